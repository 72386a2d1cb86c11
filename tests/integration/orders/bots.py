"""A bot in a test: writes signals, publishes them past the bus, and reads what was said of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson

from libs.common.ids import new_id
from libs.common.testing import eventually
from services.orders import arriving
from services.orders.arriving import Arrival
from services.orders.signals import Signal
from tests.integration.orders.house import House

BOT = "scanner"


def signal(house: House, **changes: Any) -> dict[str, Any]:
    """Write a signal for a market entry with both exits around a pinned 4.00 × 4.20."""
    contract = house.contract
    return {
        "v": 1,
        "signal_id": new_id(),
        "expires_at": (datetime.now(UTC) + timedelta(seconds=60)).isoformat(),
        "ticker": contract.root,
        "option_type": str(contract.option_type),
        "strike": str(contract.strike),
        "expiry": contract.expiry.isoformat(),
        "qty": 2,
        "entry": {"type": "market"},
        "sl_price": "3.00",
        "tp_price": "6.00",
    } | changes


async def publish(house: House, body: dict[str, Any] | bytes, *, bot: str = BOT, row_id: str = "") -> Signal | None:
    """Deliver a bot's words as the stream would."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return await arriving.receive(house.deps, Arrival(house.user, bot, raw, row_id or new_id(), f"bot {bot}"))


async def rows_of(house: House) -> list[dict[str, Any]]:
    """Read the user's signals, oldest first."""
    async with house.admin() as admin:
        found = await admin.fetch("select * from orders.signals where username = $1 order by id", house.user)
    return [dict(row) for row in found]


async def until(house: House, row_id: str, *, within_s: float = 8.0, **wanted: Any) -> dict[str, Any]:
    """Wait until a signal's row shows the values."""

    async def shows() -> dict[str, Any] | None:
        row = next((row for row in await rows_of(house) if row["id"] == row_id), None)
        return row if row is not None and all(row[name] == value for name, value in wanted.items()) else None

    try:
        return cast("dict[str, Any]", await eventually(shows, within_s=within_s))
    except AssertionError:
        raise AssertionError(await rows_of(house)) from None


async def outcomes(house: House, row_id: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """List the facts said of signals: the topic and the data, oldest first."""
    said = [(topic, data) for topic, data in await house.facts() if topic.startswith("signal_")]
    return [(topic, data) for topic, data in said if row_id in {None, data["id"]}]


async def entries(house: House) -> list[dict[str, Any]]:
    """List the entries at the broker."""
    found = await house.sim.orders(house.account_id)
    return [one for one in found if one["class"] == "option" and one["side"] == "buy_to_open"]
