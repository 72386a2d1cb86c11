"""`./bookend status`: what runs, asked now and not remembered."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from deploy.local.layout import Layout
from deploy.local.ports import LOOPBACK
from deploy.local.probe import http_status
from deploy.local.state import PartState, StackState, alive, load_state


def report(layout: Layout) -> dict[str, Any]:
    """Return the document of `status --json`; every address is null when nothing runs."""
    state = load_state(layout)
    if state is None or not alive(state.launcher):
        addresses = dict.fromkeys(("gateway_url", "simulator_url", "nats_url", "database_url"))
        return {**addresses, "services": {}, "demo": None, "ready": False}
    return {
        "gateway_url": state.gateway_url,
        "simulator_url": state.simulator_url,
        "nats_url": state.nats_url,
        "database_url": state.database_url,
        "services": asyncio.run(_services(state)),
        "demo": state.demo,
        "ready": state.ready,
    }


def print_status(layout: Layout, *, as_json: bool) -> int:
    """Print it; returns 0 while a stack runs, else 3."""
    document = report(layout)
    running = document["gateway_url"] is not None
    if as_json:
        print(json.dumps(document, indent=2))  # noqa: T201
        return 0 if running else 3
    if not running:
        print(f"nothing runs with the data in {layout.data_dir}")  # noqa: T201
        return 3
    for name, part in document["services"].items():
        state = "ready" if part["ready"] else "NOT READY"
        print(f"  {name:<12} {state:<10} pid {part['pid']!s:<8} restarts {part['restarts']}")  # noqa: T201
    print(f"\n  {document['gateway_url']}   {document['demo']['username']} / {document['demo']['password']}")  # noqa: T201
    return 0


async def _services(state: StackState) -> dict[str, dict[str, Any]]:
    ready = await asyncio.gather(*(_is_ready(name, part) for name, part in state.parts.items()))
    return {
        name: {"pid": part.pid if alive(part) else None, "ready": good, "restarts": part.restarts}
        for (name, part), good in zip(state.parts.items(), ready, strict=True)
    }


async def _is_ready(name: str, part: PartState) -> bool:
    if not alive(part):
        return False
    if name in {"postgres", "nats"}:
        return await asyncio.to_thread(_listens, part.port)
    path = "/_control/cash" if name == "simulator" else "/readyz"
    return await http_status(part.port, path) == 200


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=2.0).close()
    except OSError:
        return False
    return True
