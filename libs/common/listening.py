"""The HTTP server of a process: its socket is ours before the server starts, and signals stay ours."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

BACKLOG = 2048


class Server(uvicorn.Server):
    """A server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    def leave(self, listening: socket.socket) -> None:
        """Stop listening, also when the server was cut off before it could stop by itself."""
        for server in getattr(self, "servers", ()):
            server.close()
        listening.close()


def open_socket(host: str, port: int) -> socket.socket:
    """Listen; port 0 chooses a free one. Raises: OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def make_server(app: ASGIApp, *, grace_s: float) -> Server:
    """Make the server around `app`. Units: `grace_s` seconds that requests in flight get when it stops."""
    return Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=max(1, int(grace_s)),
        )
    )
