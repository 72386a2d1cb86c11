"""What is read: lists, details, timeline and capsule as JSON made by PostgreSQL, passed on as bytes."""

from __future__ import annotations

from datetime import datetime

import orjson

from libs.common.db import Unit
from services.orders.trade import ActionState


def _utc(column: str, name: str) -> str:
    return f"to_char({column} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as {name}"


def _money(*columns: str) -> str:
    return ", ".join(f"{column}::text as {column.split('.')[-1]}" for column in columns)


_FINAL = """
t.realized_pnl + coalesce((select sum(c.amount_usd) from orders.corrections c where c.trade_id = t.id), 0)
"""
_STORED = f"""
t.id, t.username, t.account_id, v.account_name, t.broker_mode, t.ticker, t.occ_symbol, t.option_type,
{_money("t.strike")}, t.expiry, t.multiplier, t.qty, t.filled_qty, t.entry_type,
{_money("t.limit_price", "t.entry_price")},
{_utc("t.entry_date", "entry_date")}, {_money("t.sl_price", "t.tp_price")}, t.strategy, t.status, t.protection,
{_utc("t.naked_since", "naked_since")},
{_money("t.close_price")}, {_utc("t.close_date", "close_date")}, t.close_reason, t.trigger_precision,
({_FINAL})::text as realized_pnl,
{_money("t.realized_pnl_pct", "t.hold_duration_h")}, t.override_count,
t.tradier_order_id, t.tradier_sl_order_id, t.tradier_tp_order_id, {_money("t.broker_fill_price")},
{_utc("t.broker_fill_time", "broker_fill_time")}, t.version, v.key_version, t.is_locked, t.reason, t.settlement,
t.recovered_from, v.queued_for_open, v.orders
"""
_ROW = f"""
{_STORED}, {_money("m.current_price")}, m.price_source, {_utc("m.last_updated", "last_updated")},
{_money("m.unrealized_pnl", "m.max_drawdown", "m.max_gain")},
(t.naked_s + case when t.naked_since is null then 0
    else greatest(round(extract(epoch from clock_timestamp() - t.naked_since)::numeric, 3), 0) end)::text as naked_s
"""

_TARGETS = (
    "json_build_object('target_pnl_15m', null, 'target_pnl_1h', null, 'target_mfe_pct', null, "
    "'target_mae_pct', null, 'computed_at', null)"
)

_DETAIL = f"""{_ROW},
{_money("t.card_score", "t.ai_score")}, t.ai_verdict, t.gate_verdict,
{_money("t.technical_score", "t.sentiment_score")}, t.idempotency_key,
{_money("e.delta_at_entry", "e.iv_at_entry")}, {_TARGETS} as targets,
(select coalesce(json_agg(json_build_object(
    'id', c.id, 'kind', c.kind, 'amount_usd', c.amount_usd::text, 'text', c.text,
    'created_at', c.created_at) order by c.created_at), '[]')
 from orders.corrections c where c.trade_id = t.id) as corrections
"""  # noqa: S608 - built of constants

_FROM = """
orders.trades t
join orders.trade_views v on v.trade_id = t.id
join orders.marks m on m.trade_id = t.id
"""


def _page(columns: str, where: str, order: str, source: str = _FROM) -> str:
    """Return the statement of a page, `{trades}`; the caller asks for one row more to know whether it goes on."""
    return f"""
    select json_build_object(
        'trades', coalesce(json_agg(row_to_json(p)) filter (where p.id is not null), '[]'::json)
    )::text
    from (select {columns} from {source} where {where} order by {order} limit $1) p
    """  # noqa: S608 - built of constants


# What changes by itself, and behind it the stored text of each row without its first brace. As bytes: on text, taking a
# brace away counts every character, which costs more than everything else here.
LIST_OPEN = """
select convert_to('{"trades":[', 'UTF8') || coalesce(string_agg(convert_to(
    '{"current_price":' || coalesce('"' || v.current_price || '"', 'null')
    || ',"price_source":' || coalesce(to_json(v.price_source)::text, 'null')
    || ',"last_updated":' || coalesce(
        '"' || to_char(v.last_updated at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '"', 'null')
    || ',"unrealized_pnl":' || coalesce('"' || v.unrealized_pnl || '"', 'null')
    || ',"max_drawdown":' || coalesce('"' || v.max_drawdown || '"', 'null')
    || ',"max_gain":' || coalesce('"' || v.max_gain || '"', 'null')
    || ',"naked_s":"' || (v.naked_s + case when v.naked_since is null then 0
        else greatest(round(extract(epoch from clock_timestamp() - v.naked_since)::numeric, 3), 0) end) || '",', 'UTF8')
    || substring(convert_to(v.doc, 'UTF8') from 2), ',' order by v.trade_id desc), '') || ']}'
from (
    select w.trade_id, w.doc, w.naked_s, w.naked_since, m.current_price, m.price_source, m.last_updated,
        m.unrealized_pnl, m.max_drawdown, m.max_gain
    from orders.trade_views w join orders.marks m on m.trade_id = w.trade_id
    where w.is_open and ($2::text is null or w.trade_id < $2)
    order by w.trade_id desc limit $1
) v
"""
REWORD = f"""
update orders.trade_views w set
    is_open = t.status <> 'CLOSED', naked_since = t.naked_since, naked_s = t.naked_s,
    doc = (select row_to_json(p)::text from (
        select {_STORED} from orders.trade_views v where v.trade_id = w.trade_id) p)
from orders.trades t where t.id = w.trade_id and w.doc = '{{}}'
"""  # noqa: S608 - built of constants
"""Word the stored text of rows that came without one, such as those a benchmark makes by the hundred thousand."""
LIST_OPEN_OF_MODE = _page(_ROW, "t.status <> 'CLOSED' and ($2::text is null or t.id < $2) "
                  "and ($3::text is null or t.broker_mode = $3)", "t.id desc")  # fmt: skip
LIST_ALL = _page(_ROW, "($2::text is null or t.id < $2) and ($3::text is null or t.broker_mode = $3)", "t.id desc")
_CLOSED = "t.status = 'CLOSED' and ($2::timestamptz is null or (t.close_date, t.id) < ($2, $3))"
LIST_CLOSED = _page(_ROW, f"{_CLOSED} and ($4::text is null or t.broker_mode = $4)", "t.close_date desc, t.id desc")
LIST_HISTORY = _page(
    _ROW,
    f"""{_CLOSED}
    and ($4::text is null or ($4 = 'win' and ({_FINAL}) > 0) or ($4 = 'loss' and ({_FINAL}) < 0)
         or ($4 = 'expired' and t.close_reason in ('EXPIRED_OTM', 'EXPIRED_ITM')))
    and ($5::text is null or t.strategy = $5)
    and ($6::timestamptz is null or t.close_date >= $6) and ($7::timestamptz is null or t.close_date < $7)""",
    "t.close_date desc, t.id desc",
)
_CAPSULE = """
(select json_build_object(
    'signals_snapshot', e.signals_snapshot,
    'market_regime', x.context->'market_regime',
    'order_book_state', e.order_book_state,
    'ai_reasoning_log', e.ai_reasoning_log,
    'captured_at', coalesce(x.captured_at, case
        when num_nonnulls(e.signals_snapshot, e.order_book_state, e.ai_reasoning_log) > 0 then e.captured_at end),
    'missing', (
        select coalesce(json_agg(name), '[]') from (values
            ('signals_snapshot', e.signals_snapshot), ('market_regime', x.context->'market_regime'),
            ('order_book_state', e.order_book_state), ('ai_reasoning_log', e.ai_reasoning_log)
        ) as part (name, value) where value is null or value = 'null'::jsonb)))
"""
_WITH_CONTEXT = f"""{_FROM}
left join orders.entry_context e on e.trade_id = t.id
left join orders.market_context x on x.trade_id = t.id
"""
EXPORT = _page(f"{_DETAIL}, {_CAPSULE} as context", "($2::text is null or t.id > $2)", "t.id", source=_WITH_CONTEXT)
LIST_TRACKED = _page(_ROW, "v.is_watched and ($2::text is null or t.id > $2)", "t.id")
DETAIL = f"""
select row_to_json(p)::text from (select {_DETAIL} from {_WITH_CONTEXT} where t.id = $1) p
"""  # noqa: S608 - built of constants
CONTEXT = f"""
select {_CAPSULE}::text from {_WITH_CONTEXT} where t.id = $1
"""  # noqa: S608 - built of constants
TIMELINE = """
select json_build_object('events', coalesce(
    (select json_agg(json_build_object(
        'id', e.id, 'at', to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'kind', e.kind, 'actor', e.actor, 'text', e.text, 'data', e.data) order by e.id)
     from (select * from orders.timeline l where l.trade_id = t.id order by l.id desc limit 1000) e), '[]'))::text
from orders.trades t where t.id = $1
"""

ANSWERED = f"""
with told as (
    update orders.idempotency set answered_at = clock_timestamp()
    where username = $2 and key = $3 and answered_at is null
)
select coalesce((select json_build_array(a.state, a.words)::text from orders.actions a where a.id = $4), 'null')
    || E'\\n' || row_to_json(p)::text
from (select {_DETAIL} from {_WITH_CONTEXT} where t.id = $1) p
"""  # noqa: S608 - built of constants


async def open_trades(unit: Unit, limit: int, below: str | None, mode: str | None) -> bytes:
    """List open trades, newest first."""
    if mode is None:
        return await unit.json(LIST_OPEN, limit, below) or b""
    return await unit.json(LIST_OPEN_OF_MODE, limit, below, mode) or b""


async def all_trades(unit: Unit, limit: int, below: str | None, mode: str | None) -> bytes:
    """List every trade, newest first."""
    return await unit.json(LIST_ALL, limit, below, mode) or b""


async def closed_trades(unit: Unit, limit: int, after: tuple[datetime, str] | None, mode: str | None) -> bytes:
    """List closed trades, the last closed first."""
    at, row_id = after or (None, None)
    return await unit.json(LIST_CLOSED, limit, at, row_id, mode) or b""


async def history(
    unit: Unit,
    limit: int,
    after: tuple[datetime, str] | None,
    *,
    result: str | None,
    strategy: str | None,
    closed_from: datetime | None,
    closed_to: datetime | None,
) -> bytes:
    """List closed trades that match."""
    at, row_id = after or (None, None)
    return await unit.json(LIST_HISTORY, limit, at, row_id, result, strategy, closed_from, closed_to) or b""


async def export(unit: Unit, limit: int, above: str | None) -> bytes:
    """List every trade in full, the oldest first."""
    return await unit.json(EXPORT, limit, above) or b""


async def tracked(unit: Unit, limit: int, above: str | None) -> bytes:
    """List the trades of all users that somebody must watch."""
    return await unit.json(LIST_TRACKED, limit, above) or b""


async def detail(unit: Unit, trade_id: str) -> bytes | None:
    """Return one trade in full."""
    return await unit.json(DETAIL, trade_id)


async def context(unit: Unit, trade_id: str) -> bytes | None:
    """Return the time capsule of one trade."""
    return await unit.json(CONTEXT, trade_id)


async def timeline(unit: Unit, trade_id: str) -> bytes | None:
    """Return the last thousand lines of one trade's story, oldest first."""
    return await unit.json(TIMELINE, trade_id)


async def answered(
    unit: Unit, trade_id: str, username: str, key: str, action_id: str | None
) -> tuple[bytes, tuple[ActionState, str | None] | None] | None:
    """Note that a request is being answered; return its trade in full, and state and words of its action."""
    raw = await unit.json(ANSWERED, trade_id, username, key, action_id)
    if raw is None:
        return None
    head, _, body = raw.partition(b"\n")
    ended = orjson.loads(head)
    return body, None if ended is None else (ActionState(ended[0]), ended[1])
