"""Settings: one document to the user, its trading part kept by orders and its display part here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from fastapi import Response

from libs.common.messages.orders import GetTradingSettings, UpdateTradingSettings
from services.gateway import store_inbox as store
from services.gateway.caller import Caller
from services.gateway.models_settings import DISPLAY_FIELDS, SettingsBody


async def show(caller: Caller) -> Response:
    """Answer both parts as one document."""
    reply = await caller.deps.bus.ask(GetTradingSettings(), user=caller.username)
    async with caller.deps.db.for_user(caller.username) as unit:
        display = await store.display_of(unit, caller.username)
    return _merged(orjson.loads(reply.body), display)


async def change(caller: Caller, body: SettingsBody) -> Response:
    """Change orders' part first, since only that can be refused; then the display part. Raises: AppError.

    Idempotent: sending the same subset again changes nothing more.
    """
    given = body.model_dump(mode="json", exclude_unset=True)
    confirm = given.pop("confirm", None)
    display = {name: value for name, value in given.items() if name in DISPLAY_FIELDS}
    trading = {name: value for name, value in given.items() if name not in DISPLAY_FIELDS}
    question = UpdateTradingSettings(changes=trading, confirm=confirm) if trading else GetTradingSettings()
    reply = await caller.deps.bus.ask(question, user=caller.username, via=caller.via or None)
    async with caller.deps.db.for_user(caller.username) as unit:
        kept = await store.save_display(unit, caller.username, display)
    return _merged(orjson.loads(reply.body), kept)


def _merged(trading: dict[str, Any], display: dict[str, Any]) -> Response:
    """Put the parts together; the document is as old as its older part and as new as its newer one."""
    shown = {name: display[name] for name in sorted(DISPLAY_FIELDS)}
    times = [at for at in (trading.get("updated_at"), display["updated_at"]) if at]
    whole = {**trading, **shown, "updated_at": max(times, key=datetime.fromisoformat)}
    whole.setdefault("created_at", display["created_at"])
    return Response(orjson.dumps(whole), media_type="application/json")
