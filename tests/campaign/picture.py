"""Both sides of the truth at one moment: our rows as stored, and the broker's own books."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import asyncpg

from services.orders.merging import LAPSED
from tests.journey.stack import Simulator

Row = dict[str, Any]
WORKING = frozenset({"open", "partially_filled", "pending"})


@dataclass(frozen=True)
class Picture:
    """Everything the checker compares. Broker orders as `/_control/orders` words them, groups with their legs."""

    trades: dict[str, Row]
    orders: list[Row]
    """Our broker orders, a row per leg."""
    actions: list[Row]
    corrections: list[Row]
    all_incidents: list[Row]
    at_broker: list[Row]
    cash: dict[str, Row]
    placements: list[Row]
    """Every request that placed something, with its tag and time."""
    theirs: frozenset[int] = frozenset()
    """Orders that somebody else gave in our accounts."""
    signals: tuple[Row, ...] = ()
    """Ours, `name` being what their bot calls them, of refused ones too."""
    taken: frozenset[tuple[str, str]] = frozenset()
    """User and name of each signal that the stream said it has."""
    commission_usd: Decimal = Decimal(0)
    """What the broker takes for each contract traded."""

    @property
    def incidents(self) -> list[Row]:
        """List the open incidents."""
        return [row for row in self.all_incidents if row["ended_at"] is None]

    def of_trade(self, trade_id: str) -> list[Row]:
        """List the orders of a trade."""
        return [row for row in self.orders if row["trade_id"] == trade_id]

    def of_kind(self, trade_id: str, *, is_fees: bool) -> list[Row]:
        """List what was learned of a trade's money after its end: commissions, or the rest."""
        return [row for row in self.corrections if row["trade_id"] == trade_id and (row["kind"] == "fees") is is_fees]

    def legs(self) -> list[Row]:
        """List what can execute at the broker; each leg knows its group's id, class and tag, and whether it rests.

        A group's exits that wait for its entry do not rest: they protect nothing yet, and need no position.
        """
        return [
            {**leg, "group": top["id"], "tag": top["tag"], "rests": leg["status"] in WORKING and not _waits(leg, top)}
            for top in self.at_broker
            for leg in top["leg"] or [top]
        ]

    def held_at_broker(self, account: str, symbol: str) -> int:
        """Return what the broker holds of a contract."""
        return int(self.cash.get(account, {}).get("positions", {}).get(symbol, 0))

    def has_incident(self, trade: Row, *kinds: str) -> bool:
        """Say whether an open incident speaks of a trade or its contract."""
        return any(
            (row["trade_id"] == trade["id"] or (row["account_id"], row["occ_symbol"])
             == (trade["account_id"], trade["occ_symbol"])) and (not kinds or row["kind"] in kinds)
            for row in self.incidents
        )  # fmt: skip


def _waits(leg: Row, top: Row) -> bool:
    entry = top["leg"][0] if top["class"] in ("oto", "otoco") else leg
    return leg["status"] == "pending" and entry is not leg and entry["status"] in WORKING


def held_qty(orders: list[Row]) -> int:
    """Return what our own orders hold."""
    return sum(int(row["filled_qty"]) * (1 if row["role"] in ("ENTRY", "COVER") else -1) for row in orders)


def flow_usd(leg: Row, multiplier: int = 100) -> Decimal:
    """Return what an order's executions did to the cash."""
    amount = Decimal(str(leg["exec_quantity"])) * Decimal(str(leg["avg_fill_price"] or 0)) * multiplier
    return -amount if str(leg["side"]).startswith("buy") else amount


def read_picture(
    database_url: str, world: Simulator, placements: list[Row], theirs: frozenset[int], accounts: frozenset[str],
    taken: frozenset[tuple[str, str]],
) -> Picture:  # fmt: skip
    """Read both sides now; what is not of these accounts is left out."""
    rows = asyncio.run(_rows(database_url))
    all_orders = world.orders_of_all()
    return Picture(
        trades={row["id"]: row for row in rows["trades"]},
        orders=named(rows["broker_orders"], all_orders),
        actions=rows["actions"],
        corrections=rows["corrections"],
        all_incidents=rows["incidents"],
        at_broker=[one for one in all_orders if one["account"] in accounts],
        cash={row["account"]: row for row in world.cash() if row["account"] in accounts},
        placements=placements,
        theirs=theirs,
        signals=tuple(rows["signals"]),
        taken=taken,
        commission_usd=Decimal(world.toggles()["commission_cents"]) / 100,
    )


def named(orders: list[Row], at_broker: list[Row]) -> list[Row]:
    """Name the broker's order of each that was judged by the position alone, its day over: no list told us its id."""
    by_tag = {top["tag"]: str(top["id"]) for top in at_broker if top["tag"]}

    def name(row: Row) -> Row:
        own = by_tag.get(row["tag"])
        if own is None or row["broker_order_id"] is not None or row["reason"] != LAPSED or not row["filled_qty"]:
            return row
        return row | {"broker_order_id": own, "group_order_id": own}

    return [name(row) for row in orders]


_QUERIES = {
    "trades": "select * from orders.trades",
    "broker_orders": "select * from orders.broker_orders order by created_at, id",
    "actions": "select * from orders.actions where state in ('REQUESTED', 'QUEUED', 'RUNNING')",
    "corrections": "select * from orders.corrections",
    "incidents": "select * from monitor.incidents",
    "signals": "select *, coalesce(signal_id, body->>'signal_id') as name from orders.signals",
}


async def _rows(url: str) -> dict[str, list[Row]]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return {name: [dict(row) for row in await connection.fetch(query)] for name, query in _QUERIES.items()}
    finally:
        await connection.close()


def time_of(request: Row) -> datetime:
    """Read when a request came in."""
    return datetime.fromisoformat(request["time"])
