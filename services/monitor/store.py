"""Monitor's rows: our trades' projection and what was seen of orders. One purpose a function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select

from libs.broker.orders import OrderReport
from libs.common.db import Unit
from libs.common.messages.trade import TradeRow
from libs.common.messages.vocabulary import (
    TERMINAL_ORDERS,
    BrokerMode,
    Finding,
    OrderRole,
    OrderStatus,
    Protection,
    TradeStatus,
)
from services.monitor.account_view import held_of
from services.monitor.reconcile import OurOrder, OurTrade, Owners, Seen, order_key
from services.monitor.tables import incidents, seen_orders, tracked

# ── trades ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def ours(row: TradeRow) -> OurTrade:
    """Keep of a trade what watching needs."""
    return OurTrade(
        trade_id=row.id,
        username=row.username,
        broker_mode=row.broker_mode,
        account_id=row.account_id,
        ticker=row.ticker,
        occ_symbol=row.occ_symbol,
        status=row.status,
        sl_price=row.sl_price,
        tp_price=row.tp_price,
        orders=tuple(
            OurOrder(
                trade_id=row.id,
                role=order.role,
                status=order.status,
                tag=order.tag,
                broker_order_id=order.broker_order_id,
                qty=order.qty,
                filled_qty=order.filled_qty,
            )
            for order in row.orders
        ),
        key_version=row.key_version,
        protection=row.protection,
    )


def _trade(row: Any) -> OurTrade:
    return OurTrade(
        trade_id=row.trade_id,
        username=row.username,
        broker_mode=BrokerMode(row.broker_mode),
        account_id=row.account_id,
        ticker=row.ticker,
        occ_symbol=row.occ_symbol,
        status=TradeStatus(row.status),
        sl_price=row.sl_price,
        tp_price=row.tp_price,
        orders=tuple(
            OurOrder(**{**order, "role": OrderRole(order["role"]), "status": OrderStatus(order["status"])})
            for order in row.orders
        ),
        key_version=row.key_version,
        protection=Protection(row.protection),
        rests=getattr(row, "rests", True),
    )


async def trades_of(unit: Unit, key: str, *, over_within: timedelta, rests_s: float = 0.0) -> tuple[OurTrade, ...]:
    """List an account's live trades, and those that ended a moment ago: a late fill must find its owner.

    A trade whose contract is short is listed for as long as that is so.
    `rests_s` is how long a row must not have changed to count as resting.
    """
    recent = tracked.c.changed_at > func.now() - over_within
    rests = (tracked.c.changed_at <= func.now() - timedelta(seconds=rests_s)).label("rests")
    told = select(incidents.c.trade_id).where(incidents.c.kind == Finding.SHORT.value, incidents.c.ended_at.is_(None))
    kept = ~tracked.c.is_over | recent | tracked.c.trade_id.in_(told)
    rows = await unit.all(select(tracked, rests).where(tracked.c.account_key == key, kept))
    return tuple(_trade(row) for row in rows)


async def trades_on(unit: Unit, ticker: str) -> tuple[OurTrade, ...]:
    """List every user's live trades on one ticker, by account: whoever locks accounts one by one does so in order."""
    live = select(tracked).where(tracked.c.ticker == ticker, ~tracked.c.is_over)
    rows = await unit.all(live.order_by(tracked.c.account_key))
    return tuple(_trade(row) for row in rows)


async def working_orders(unit: Unit, key: str) -> list[dict[str, Any]]:
    """List the orders of ours that still live in an account, as the page shows them."""
    statement = select(tracked).where(tracked.c.account_key == key, ~tracked.c.is_over)
    rows = [_trade(row) for row in await unit.all(statement)]
    return [
        {
            "is_ours": True,
            "trade_id": trade.trade_id,
            "occ_symbol": trade.occ_symbol,
            "role": order.role,
            "status": order.status,
            "broker_order_id": order.broker_order_id,
            "qty": order.qty,
            "filled_qty": order.filled_qty,
        }
        for trade in rows
        for order in trade.orders
        if order.status not in TERMINAL_ORDERS
    ]


async def held(unit: Unit, key: str) -> dict[str, int]:
    """Count what our trades hold of each contract of an account."""
    rows = await unit.all(select(tracked).where(tracked.c.account_key == key, ~tracked.c.is_over))
    found: dict[str, int] = defaultdict(int)
    for trade in map(_trade, rows):
        found[trade.occ_symbol] += held_of(trade)
    return found


# ── orders seen ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def late_owners(
    unit: Unit, key: str, trades: Iterable[OurTrade], reports: Iterable[OrderReport]
) -> tuple[OurTrade, ...]:
    """List trades that ended long ago and own an order that executed, where none of `trades` does."""
    trades = tuple(trades)
    owners = Owners(trades)
    unowned = [
        (leg, top)
        for top in reports
        for leg in top.flat()
        if leg.exec_qty and owners.of(leg, top) is None and leg.is_priced
    ]
    names = {name for leg, top in unowned for name in (leg.id, top.id)}
    tags = {tag for leg, top in unowned for tag in (leg.tag, top.tag) if tag}
    wanted = [{"broker_order_id": name} for name in sorted(names)] + [{"tag": tag} for tag in sorted(tags)]
    if not wanted:
        return ()
    statement = select(tracked).where(
        tracked.c.account_key == key, tracked.c.is_over, or_(*(tracked.c.orders.contains([one]) for one in wanted))
    )
    known = {trade.trade_id for trade in trades}
    found = map(_trade, await unit.all(statement))
    return tuple(trade for trade in found if trade.trade_id not in known)


async def seen_of(unit: Unit, key: str, trades: Iterable[OurTrade]) -> dict[str, Seen]:
    """Lock and read what was last told of the orders of these trades, of whichever trade it was told."""
    trades = tuple(trades)
    keys = [
        order_key(trade.broker_mode, trade.account_id, order.broker_order_id)
        for trade in trades
        for order in trade.orders
        if order.broker_order_id
    ]
    told_of = or_(seen_orders.c.trade_id.in_([one.trade_id for one in trades]), seen_orders.c.order_key.in_(keys))
    rows = await unit.all(select(seen_orders).where(seen_orders.c.account_key == key, told_of).with_for_update())
    for row in rows:
        unit.lock_taken(row.order_key)
    return {
        row.order_key: Seen(
            order_key=row.order_key,
            status=OrderStatus(row.status),
            filled_qty=row.filled_qty,
            avg_fill_price=row.avg_fill_price,
            key_version=row.key_version,
        )
        for row in rows
    }


async def parents_of(unit: Unit, key: str, trades: Iterable[OurTrade]) -> dict[str, str]:
    """Tell which group each known leg of these trades belongs to, by broker order id."""
    statement = select(seen_orders.c.order_key, seen_orders.c.parent_broker_order_id).where(
        seen_orders.c.account_key == key,
        seen_orders.c.trade_id.in_([trade.trade_id for trade in trades]),
        seen_orders.c.parent_broker_order_id.is_not(None),
    )
    rows = await unit.all(statement)
    return {row.order_key.removeprefix(f"{key}:"): row.parent_broker_order_id for row in rows}
