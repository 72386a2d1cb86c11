"""Free ports on the loopback address, and the plain question whether one is taken.

Ports come from below the range the kernel gives to outgoing connections. Inside it a server that was just killed could
lose its port to somebody's connection, and a client that tries a closed port again and again can connect to itself.
"""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
_LOWEST = 12_000
_EPHEMERAL_FROM = 32_768
_TRIES = 200


def free_port() -> int:
    """Find a port nobody uses. Another program may take it before we do: callers say so plainly."""
    top = _first_ephemeral()
    for _ in range(_TRIES if top > _LOWEST + 1000 else 0):
        port = _LOWEST + secrets.randbelow(top - _LOWEST)
        if is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now (a connection in TIME_WAIT does not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_or_new(port: int | None) -> int:
    """Keep a remembered port while it is free, else choose another."""
    return port if port and is_free(port) else free_port()


def _first_ephemeral() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_FROM
