"""The statements behind every fact and every read of an account: few, because a round trip costs more than most do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from libs.common.db import Unit
from libs.common.messages.monitor import OrderChanged
from libs.common.messages.vocabulary import BrokerMode, Finding, OrderRole, OrderStatus, Protection, TradeStatus
from services.monitor.reconcile import OurOrder, OurTrade, Seen, is_over
from services.monitor.store_accounts import Account, account_key
from services.monitor.tables import tracked

_KEPT = [column.name for column in tracked.columns if column.name not in ("trade_id", "username", "changed_at")]
_TIMES = ("hot_until", "orders_synced_at", "portfolio_synced_at", "problem_since", "doubtful_since")


# ── what a fact of a trade brings ────────────────────────────────────────────────────────────────────────────────────

# The trade before its account, in every statement that locks both. An account that was given up is not brought back by
# late news; one that another user has is not seen, and left alone.
_KEEP = f"""
with told as (
    select * from jsonb_populate_record(null::monitor.tracked, $1::text::jsonb)
), kept as (
    insert into monitor.tracked (trade_id, username, changed_at, {", ".join(_KEPT)})
    select trade_id, username, now(), {", ".join(_KEPT)} from told
    on conflict (trade_id) do update set changed_at = now(), {", ".join(f"{name} = excluded.{name}" for name in _KEPT)}
    where tracked.key_version < excluded.key_version
    returning 1
), news as materialized (
    select exists (select from kept) as is_news, exists (select from kept) and $3::float8 is not null as is_hot,
        now() + make_interval(secs => coalesce($3::float8, 0)) as hot_until,
        exists (select from monitor.accounts a join told on a.account_key = told.account_key) as is_watched
), made as (
    insert into monitor.accounts (account_key, username, broker_mode, account_id, account_name, hints, hot_until)
    select account_key, username, broker_mode, account_id, $2, is_hot::int, case when is_hot then hot_until end
    from told, news where not is_watched and not is_over
    on conflict do nothing
    returning 1
), lived as (
    update monitor.accounts a set
        account_name = coalesce($2, a.account_name),
        quiet_looks = case when is_news then 0 else a.quiet_looks end,
        hints = a.hints + is_hot::int,
        hot_until = case when is_hot then greatest(a.hot_until, news.hot_until) else a.hot_until end
    from told, news where a.account_key = told.account_key
)
select json_build_array(is_watched, exists (select from made), exists (
    select from monitor.jobs j join told on j.key = told.account_key
    where j.kind = $4 and j.claimed_until > clock_timestamp()))::text
from news
"""  # noqa: S608 - column names of our own table


@dataclass(frozen=True, slots=True)
class Kept:
    """What a fact led to."""

    is_watched: bool
    """Its account was watched before."""
    is_new: bool
    """Its account is watched from now on."""
    is_followed: bool
    """The account's job of the kind that was asked about runs now."""


async def keep(
    unit: Unit, trade: OurTrade, account_name: str | None, *, hot_for: timedelta | None, followed_by: str
) -> Kept:
    """Store the newest view of a trade, watch its account, and note that something lives in it. Locks the account."""
    row = {
        "trade_id": trade.trade_id,
        "username": trade.username,
        "account_key": account_key(trade.broker_mode, trade.account_id),
        "broker_mode": trade.broker_mode,
        "account_id": trade.account_id,
        "ticker": trade.ticker,
        "occ_symbol": trade.occ_symbol,
        "status": trade.status,
        "sl_price": trade.sl_price,
        "tp_price": trade.tp_price,
        "orders": [asdict(order) for order in trade.orders],
        "key_version": trade.key_version,
        "is_over": is_over(trade),
        "protection": trade.protection,
    }
    hot_s = None if hot_for is None else hot_for.total_seconds()
    raw = await unit.json(_KEEP, orjson.dumps(row, default=str).decode(), account_name, hot_s, followed_by)
    return Kept(*orjson.loads(raw or b"[false, false, false]"))


_HINT = """
update monitor.accounts set
    hints = hints + 1,
    hot_until = case when $2::float8 is null then hot_until
        else greatest(hot_until, now() + make_interval(secs => $2::float8)) end
where account_key = $1
"""


async def hint(unit: Unit, key: str, *, hot_for: timedelta | None = None) -> None:
    """Note that something happened in an account, and keep it hot for a while."""
    await unit.json(_HINT, key, None if hot_for is None else hot_for.total_seconds())


# ── what a read of an account stands on ──────────────────────────────────────────────────────────────────────────────

_SEE = """
with watched as materialized (
    select * from monitor.accounts where account_key = $1 {lock}
), listed as materialized (
    select t.* from monitor.tracked t where t.account_key = $1 and (
        not t.is_over or t.changed_at > now() - $2::interval or t.trade_id in (
            select i.trade_id from monitor.incidents i where i.kind = $3 and i.ended_at is null))
), told as materialized (
    select s.* from monitor.seen_orders s where s.account_key = $1 and (
        s.trade_id in (select trade_id from listed) or s.order_key in (
            select $1 || ':' || (o->>'broker_order_id') from listed, jsonb_array_elements(listed.orders) o))
    {lock}
)
select json_build_object(
    'account', (select to_jsonb(w) from watched w),
    'trades', (select coalesce(jsonb_agg(to_jsonb(l) || jsonb_build_object(
        'sl_price', l.sl_price::text, 'tp_price', l.tp_price::text)), '[]') from listed l),
    'seen', (select coalesce(jsonb_agg(jsonb_build_array(
        s.order_key, s.status, s.filled_qty, s.avg_fill_price::text, s.key_version)), '[]') from told s),
    'parents', (select coalesce(jsonb_object_agg(s.order_key, s.parent_broker_order_id), '{{}}') from told s
        where s.parent_broker_order_id is not null and s.trade_id in (select trade_id from listed))
)::text
"""
_READ, _LOCK = _SEE.format(lock=""), _SEE.format(lock="for update")


@dataclass(frozen=True, slots=True)
class Sight:
    """An account with our trades in it, and what was last told of their orders."""

    account: Account | None
    trades: tuple[OurTrade, ...]
    seen: dict[str, Seen]
    parents: dict[str, str]
    """The group that each known leg belongs to, by broker order id."""


async def sight(unit: Unit, key: str, *, over_within: timedelta, lock: bool = False) -> Sight:
    """Read an account and what belongs to it; with `lock`, the account and what was told stay as they are read.

    A trade that ended is read `over_within` of its end, and as long as its contract is short.
    """
    raw = await unit.json(_LOCK if lock else _READ, key, over_within, Finding.SHORT.value)
    found = orjson.loads(raw or b"{}")
    seen = [_seen(*one) for one in found["seen"]]
    if lock:
        for one in seen:
            unit.lock_taken(one.order_key)
    return Sight(
        _account(found["account"]),
        tuple(_trade(row) for row in found["trades"]),
        {one.order_key: one for one in seen},
        {name.removeprefix(f"{key}:"): parent for name, parent in found["parents"].items()},
    )


def _account(row: dict[str, Any] | None) -> Account | None:
    if row is None:
        return None
    values = {name: row[name] for name in Account.__dataclass_fields__} | {
        "broker_mode": BrokerMode(row["broker_mode"])
    }
    values |= {name: datetime.fromisoformat(row[name]) for name in _TIMES if row[name] is not None}
    values["listed_on"] = None if row["listed_on"] is None else date.fromisoformat(row["listed_on"])
    return Account(**values)


def _trade(row: dict[str, Any]) -> OurTrade:
    return OurTrade(
        trade_id=row["trade_id"],
        username=row["username"],
        broker_mode=BrokerMode(row["broker_mode"]),
        account_id=row["account_id"],
        ticker=row["ticker"],
        occ_symbol=row["occ_symbol"],
        status=TradeStatus(row["status"]),
        sl_price=_decimal(row["sl_price"]),
        tp_price=_decimal(row["tp_price"]),
        orders=tuple(
            OurOrder(**{**order, "role": OrderRole(order["role"]), "status": OrderStatus(order["status"])})
            for order in row["orders"]
        ),
        key_version=row["key_version"],
        protection=Protection(row["protection"]),
    )


def _seen(name: str, status: str, filled_qty: int, avg_fill_price: str | None, key_version: int) -> Seen:
    return Seen(
        order_key=name,
        status=OrderStatus(status),
        filled_qty=filled_qty,
        avg_fill_price=_decimal(avg_fill_price),
        key_version=key_version,
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# ── what a read tells ────────────────────────────────────────────────────────────────────────────────────────────────

_TOLD = ("account_key", "trade_id", "role", "status", "filled_qty", "avg_fill_price", "key_version", "seen_at",
         "parent_broker_order_id")  # fmt: skip
_TELL = f"""
with told as (
    insert into monitor.seen_orders (order_key, username, {", ".join(_TOLD)})
    select order_key, username, {", ".join(_TOLD)}
    from jsonb_populate_recordset(null::monitor.seen_orders, $1::text::jsonb)
    order by order_key
    on conflict (order_key) do update set {", ".join(f"{name} = excluded.{name}" for name in _TOLD)}
    where seen_orders.key_version < excluded.key_version
    returning order_key
)
select coalesce(json_agg(order_key), '[]')::text from told
"""  # noqa: S608 - column names of our own table


async def tell(unit: Unit, username: str, key: str, changed: Iterable[tuple[OrderChanged, int]]) -> int:
    """Store what is told of each order and say it, unless another runner just told it; returns how many were told."""
    facts: dict[str, tuple[OrderChanged, int]] = {}
    for fact, version in changed:
        facts.setdefault(fact.order_key, (fact, version))
    if not facts:
        return 0
    rows = [
        {
            "order_key": fact.order_key,
            "username": username,
            "account_key": key,
            "trade_id": fact.trade_id,
            "role": fact.role or "",
            "status": fact.status,
            "filled_qty": fact.filled_qty,
            "avg_fill_price": fact.avg_fill_price,
            "key_version": version,
            "seen_at": fact.seen_at,
            "parent_broker_order_id": fact.parent_broker_order_id,
        }
        for fact, version in facts.values()
    ]
    stored = set(orjson.loads(await unit.json(_TELL, orjson.dumps(rows, default=str).decode()) or b"[]"))
    for name, (fact, version) in facts.items():
        if name in stored:
            unit.lock_taken(name)
            unit.emit(fact, key_version=version, user=username)
    return len(stored)
