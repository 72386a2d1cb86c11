"""The simulator's wiring: routes, the beat that moves it on, the server and its port file."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from uvicorn.protocols.http.h11_impl import H11Protocol

from simulator import control, orats, tradier, tradier_market
from simulator.edge import Edge
from simulator.settings import Settings
from simulator.world import World

SHUTDOWN_S = 2
KEEP_ALIVE_S = 75
"""Above every cadence of a client: a connection closed just as a request is written loses that write."""
CHUNK_S = 0.02


class Protocol(H11Protocol):
    """HTTP whose connections can be cut by what answers on them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the transport where a fault finds it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


async def beat(world: World) -> None:
    """Move the world on for ever: fills, cancels, replays, the session's end."""
    while True:
        world.sync(CHUNK_S)
        await world.rest()


def end_with(beating: asyncio.Task[None]) -> None:
    """End the process with a beat that broke: a market that stands still must not look alive."""
    if not beating.cancelled() and beating.exception() is not None:
        logging.getLogger("uvicorn.error").critical("the beat broke", exc_info=beating.exception())
        signal.raise_signal(signal.SIGTERM)


def build(world: World) -> Starlette:
    """Make the application."""

    async def stream(socket: WebSocket) -> None:
        await world.hub.serve(socket, lambda: world.toggles.heartbeat_ms / 1000)

    async def live(request: Request) -> PlainTextResponse:
        _ = request
        return PlainTextResponse("ok")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        _ = app
        beating = asyncio.create_task(beat(world), name="beat")
        beating.add_done_callback(end_with)
        yield
        world.hub.close()
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        world.journal.close()

    routes: list[BaseRoute] = [
        WebSocketRoute("/v1/accounts/events", stream),
        Route("/livez", live),
        Route("/readyz", live),
        *control.routes(world),
        Mount("/v1", cast("ASGIApp", Edge(world, tradier.ROUTES + tradier_market.ROUTES, tradier.check))),
        Mount("/datav2", cast("ASGIApp", Edge(world, orats.ROUTES, orats.check))),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


class Server(uvicorn.Server):
    """A server that tells which port it got."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then write the port file: who finds it may connect."""
        await super().startup(sockets=sockets)
        if not self.servers:
            return
        port = self.servers[0].sockets[0].getsockname()[1]
        target = self._settings.port_file
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(target.name + ".new")
            fresh.write_text(f"{port}\n")
            fresh.replace(target)
        print(f"simulator listening on http://{self._settings.host}:{port}", flush=True)  # noqa: T201


def run(settings: Settings) -> None:
    """Serve until a signal."""
    config = uvicorn.Config(
        build(World(settings)),
        host=settings.host,
        port=settings.port,
        http=Protocol,
        ws="websockets-sansio",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    Server(config, settings).run()
