"""Trades as locked and stored: one statement to lock, one to load all that belongs to a trade, one to write it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import orjson

from libs.common import log
from libs.common.db import Unit
from libs.common.errors import NotFound
from services.orders import publishing, rows
from services.orders.beside import Correction, MarkRow, OpenConcern
from services.orders.concerns import Change
from services.orders.preferences import TradingSettings
from services.orders.publishing import orders_of
from services.orders.store_requests import Request
from services.orders.trade import Action, Flow, Order, Trade, View


@dataclass(frozen=True, slots=True)
class Loaded:
    """A trade with the database's time of its loading, and its account's sealed token."""

    view: View
    now: datetime
    token_ciphertext: str | None
    """None when the account's credentials are gone."""


# No key of a trade ever changes, so who writes a row that names it need not wait for who holds it.
_LOCK = "select id from orders.trades where id = $1 for no key update"

_SHOWN = """json_build_object(
    'now', clock_timestamp(),
    'trade', to_jsonb(t),
    'orders', (select coalesce(jsonb_agg(to_jsonb(o) order by o.created_at, o.id), '[]')
               from orders.broker_orders o where o.trade_id = t.id),
    'actions', (select coalesce(jsonb_agg(to_jsonb(a) order by a.created_at, a.id), '[]')
                from orders.actions a where a.trade_id = t.id and a.state in ('REQUESTED', 'QUEUED', 'RUNNING')),
    'concerns', (select coalesce(jsonb_agg(to_jsonb(c)), '[]')
                 from orders.concerns c where c.trade_id = t.id and c.ended_at is null),
    'corrections', (select coalesce(jsonb_agg(to_jsonb(k) order by k.created_at, k.id), '[]')
                    from orders.corrections k where k.trade_id = t.id),
    'is_beside_entry', t.recovered_from is not null and exists (
        select from orders.trades x join orders.broker_orders o on o.trade_id = x.id
        where x.broker_mode = t.broker_mode and x.account_id = t.account_id and x.occ_symbol = t.occ_symbol
        and x.id <> t.id and x.status <> 'CLOSED' and o.role = 'ENTRY'
        and o.status not in ('FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED')),
    'flow', to_jsonb(f), 'marks', to_jsonb(m), 'key_version', v.key_version, 'account_name', v.account_name,
    'settings', s.settings, 'token', a.token_ciphertext
)"""
_OF_TRADE = """
orders.trades t
join orders.trade_views v on v.trade_id = t.id
join orders.flows f on f.trade_id = t.id
join orders.marks m on m.trade_id = t.id
left join orders.trading_settings s on s.username = t.username
left join orders.credentials a on a.account_key = t.broker_mode || ':' || t.account_id
"""
_LOAD = f"select {_SHOWN}::text from {_OF_TRADE} where t.id = $1"  # noqa: S608 - built of constants

_ASKED = f"""
select json_build_array(
    (select to_jsonb(i) from orders.idempotency i where i.username = $2 and i.key = $3),
    (select {_SHOWN} from {_OF_TRADE} where t.id = $1)
)::text
"""  # noqa: S608 - built of constants


async def lock_view(unit: Unit, trade_id: str) -> Loaded:
    """Lock a trade and load it whole. Raises: NotFound (another user's is not there)."""
    # Two statements: one that waited for the lock would still see the other rows as they were before.
    if await unit.json(_LOCK, trade_id) is None:
        raise NotFound(f"there is no trade {trade_id}")
    unit.lock_taken(trade_id)
    return await read_view(unit, trade_id)


async def read_view(unit: Unit, trade_id: str) -> Loaded:
    """Load a trade whole without a lock. Raises: NotFound."""
    raw = await unit.json(_LOAD, trade_id)
    return _loaded(trade_id, None if raw is None else rows.loads(raw))


async def read_asked(unit: Unit, trade_id: str, username: str, key: str) -> Request | Loaded:
    """Return the request that took a key already, else the trade as `read_view`. Raises: NotFound."""
    request, found = rows.loads(await unit.json(_ASKED, trade_id, username, key) or b"[null,null]")
    return _loaded(trade_id, found) if request is None else rows.read(Request, request)


def _loaded(trade_id: str, found: dict[str, Any] | None) -> Loaded:
    if found is None:
        raise NotFound(f"there is no trade {trade_id}")
    settings = TradingSettings.model_validate(found["settings"] or {})
    view = View(
        trade=rows.read(Trade, found["trade"]),
        orders=rows.read_all(Order, found["orders"]),
        actions=rows.read_all(Action, found["actions"]),
        flow=rows.read(Flow, found["flow"]),
        marks=rows.read(MarkRow, found["marks"]),
        policy=settings.policy(),
        concerns=rows.read_all(OpenConcern, found["concerns"]),
        corrections=rows.read_all(Correction, found["corrections"]),
        is_beside_entry=found["is_beside_entry"],
        key_version=found["key_version"],
        account_name=found["account_name"],
    )
    return Loaded(view, datetime.fromisoformat(found["now"]), found["token"])


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _columns(cls: type[Any], *without: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls) if field.name not in without)


def _assignments(names: Iterable[str], source: str) -> str:
    return ", ".join(f"{name} = {source}.{name}" for name in names)


_ORDER_COLUMNS = _columns(Order, "id", "trade_id", "username", "role", "tag", "created_at")
_ACTION_COLUMNS = ("state", "words", "begun_at", "due_at", "done_at", "reason", "new_sl", "new_tp")

_WRITE = f"""
with wrote_trade as (
    update orders.trades t set {_assignments(_columns(Trade, "id", "username", "created_at"), "r")}
    from jsonb_populate_record(null::orders.trades, $1::text::jsonb) r where t.id = r.id
), wrote_orders as (
    insert into orders.broker_orders
    select r.* from jsonb_populate_recordset(null::orders.broker_orders, $2::text::jsonb) r
    on conflict (id) do update set {_assignments(_ORDER_COLUMNS, "excluded")}
), wrote_actions as (
    insert into orders.actions select r.* from jsonb_populate_recordset(null::orders.actions, $3::text::jsonb) r
    on conflict (id) do update set {_assignments(_ACTION_COLUMNS, "excluded")}
), wrote_view as (
    update orders.trade_views v
    set key_version = $5, orders = coalesce($6::text::jsonb, v.orders), queued_for_open = $7, is_watched = $8,
        changed_at = clock_timestamp(), doc = $15, is_open = not $10::boolean,
        naked_since = $16::text::timestamptz, naked_s = $17::text::numeric
    where v.trade_id = $4
), wrote_flow as (
    update orders.flows f
    set run = $19, claimed_until = case when $9::float8 <= 0 then null
        else clock_timestamp() + make_interval(secs => $9::float8) end
    where f.trade_id = $4 and $9::float8 is not null
), wrote_marks as (
    update orders.marks m set is_open = false where m.trade_id = $4 and $10::boolean and m.is_open
), wrote_concerns as (
    insert into orders.concerns
    select r.* from jsonb_populate_recordset(null::orders.concerns, $11::text::jsonb) r
    on conflict (concern_key) do update set
        severity = excluded.severity, text = excluded.text, since_at = excluded.since_at,
        ended_at = excluded.ended_at,
        key_version = greatest(orders.concerns.key_version + 1, excluded.key_version)
), wrote_timeline as (
    insert into orders.timeline (trade_id, username, kind, actor, text, data, correlation_id)
    select $4, $12, e->>'kind', e->>'actor', e->>'text', e->'data', $13
    from jsonb_array_elements($14::text::jsonb) e
), wrote_corrections as (
    insert into orders.corrections
    select r.* from jsonb_populate_recordset(null::orders.corrections, $18::text::jsonb) r
)
select ''
"""  # noqa: S608 - column names of our own dataclasses


async def write(
    unit: Unit,
    before: View,
    after: View,
    *,
    concerns: tuple[Change, ...] = (),
    lease_s: float | None = None,
) -> None:
    """Write what differs and what the unit said, in one statement. `lease_s` extends the claim from now; 0 ends it."""
    trade = after.trade
    known_orders = {order.id: order for order in before.orders}
    known_actions = {action.id: action for action in before.actions}
    moved = [order for order in after.orders if known_orders.get(order.id) != order]
    acted = [action for action in after.actions if known_actions.get(action.id) != action]
    public = None if orders_of(before) == orders_of(after) else _public(after)
    await unit.write(
        _WRITE,
        None if before.trade == trade else rows.write(rows.values(trade)),
        rows.write([rows.values(order) for order in moved]),
        rows.write([rows.values(action) for action in acted]),
        trade.id,
        after.key_version,
        public,
        after.queued is not None,
        _is_watched(after),
        lease_s,
        trade.is_locked,
        rows.write([_concern_row(after, change) for change in concerns]),
        trade.username,
        log.correlation_id.get(),
        rows.write([rows.values(event) for event in after.events]),
        publishing.list_doc(after),
        None if trade.naked_since is None else trade.naked_since.isoformat(),
        str(trade.naked_s),
        rows.write([rows.values(one) for one in after.corrections[len(before.corrections) :]]),
        after.flow.run,
    )


def _public(view: View) -> str:
    """Word the broker orders as outsiders see them."""
    return orjson.dumps([order.model_dump(mode="json") for order in orders_of(view)]).decode()


def _is_watched(view: View) -> bool:
    over = view.trade.is_locked and view.held_qty == 0
    return not over or any(not order.is_terminal for order in view.orders)


def _concern_row(view: View, change: Change) -> dict[str, Any]:
    row = rows.values(change.concern) | {"ended_at": change.ended_at}
    return row | {"username": view.trade.username, "trade_id": view.trade.id}


_INSERT = """
with made as (
    insert into orders.trades select r.* from jsonb_populate_record(null::orders.trades, $1::text::jsonb) r
), ordered as (
    insert into orders.broker_orders
    select r.* from jsonb_populate_recordset(null::orders.broker_orders, $12::text::jsonb) r
), viewed as (
    insert into orders.trade_views (trade_id, username, account_name, orders, changed_at, doc)
    values ($2, $3, $4, $13::text::jsonb, clock_timestamp(), $14)
), marked as (
    insert into orders.marks (trade_id, username, ticker) values ($2, $3, $5)
), flowing as (
    insert into orders.flows (trade_id, username, run, claimed_until)
    values ($2, $3, 1, clock_timestamp() + make_interval(secs => $6::float8))
), captured as (
    insert into orders.entry_context
        (trade_id, username, signals_snapshot, ai_reasoning_log, order_book_state,
         delta_at_entry, iv_at_entry, captured_at)
    values ($2, $3, $7::text::jsonb, $8::text::jsonb, $9::text::jsonb, $10::text::numeric, $11::text::numeric,
            clock_timestamp())
), noted as (
    insert into orders.timeline (trade_id, username, kind, actor, text, data, correlation_id)
    select $2, $3, e->>'kind', e->>'actor', e->>'text', e->'data', $16
    from jsonb_array_elements($15::text::jsonb) e
), named as (
    update orders.idempotency set trade_id = $2 where username = $3 and key = $17
)
select ''
"""


async def insert_trade(unit: Unit, view: View, context: dict[str, Any], *, key: str | None, lease_s: float) -> View:
    """Make a trade that is open, with everything beside it, claimed by the caller as run 1; returns it as stored.

    `key` is the reserved one of the request it came by, which names the trade from now on.
    """
    trade = view.trade
    await unit.write(
        _INSERT,
        rows.write(rows.values(trade)),
        trade.id,
        trade.username,
        view.account_name,
        trade.ticker,
        lease_s,
        rows.write(context.get("signals_snapshot")),
        rows.write(context.get("ai_reasoning_log")),
        rows.write(context.get("order_book_state")),
        _text(context.get("delta_at_entry")),
        _text(context.get("iv_at_entry")),
        rows.write([rows.values(order) for order in view.orders]),
        _public(view),
        publishing.list_doc(view),
        rows.write([rows.values(event) for event in view.events]),
        log.correlation_id.get(),
        key,
    )
    unit.lock_taken(trade.id)
    return replace(view, events=())


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
