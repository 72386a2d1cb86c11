"""Requests by their key, and what must hold before money moves: rows that are read and locked around an intent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from libs.common.db import Unit
from libs.common.messages.monitor import OrderChanged
from libs.common.messages.vocabulary import BrokerMode
from services.orders import rows
from services.orders.limits import Exposure, Freshness, OpenRisk


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that came before under its key."""

    key: str
    kind: str
    body_hash: str
    envelope_id: str
    trade_id: str | None
    action_id: str | None
    created_at: datetime
    answered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account that may be traded. The token stays sealed."""

    account_key: str
    username: str
    broker_mode: BrokerMode
    account_id: str
    account_name: str | None
    token_ciphertext: str
    key_version: int


@dataclass(frozen=True, slots=True)
class Opening:
    """What the first look at a request finds."""

    settings: dict[str, Any] | None
    accounts: tuple[Account, ...]
    request: Request | None
    now: datetime
    is_killed: bool = False
    """The kill switch is engaged."""


_OPENING = """
select json_build_object(
    'settings', (select s.settings from orders.trading_settings s where s.username = $1),
    'accounts', (select coalesce(jsonb_agg(to_jsonb(a)), '[]') from orders.credentials a
        where a.username = $1 and a.token_ciphertext is not null),
    'request', (select to_jsonb(i) from orders.idempotency i where i.username = $1 and i.key = $2),
    'is_killed', coalesce((select k.engaged from orders.kill_switches k where k.username = $1), false),
    'now', clock_timestamp()
)::text
"""


async def opening(unit: Unit, username: str, key: str) -> Opening:
    """Read what a request begins with: settings, accounts, and whether its key was used."""
    raw = await unit.json(_OPENING, username, key)
    found = rows.loads(raw or b"{}")
    request = found["request"]
    return Opening(
        found["settings"],
        rows.read_all(Account, found["accounts"]),
        None if request is None else rows.read(Request, request),
        datetime.fromisoformat(found["now"]),
        found["is_killed"],
    )


_RESERVE = """
insert into orders.idempotency (username, key, kind, body_hash, envelope_id, trade_id, action_id)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict do nothing
returning key
"""


async def reserve(unit: Unit, username: str, request: Request) -> bool:
    """Take a key for this request; False when it is taken. Waits for a request that takes it right now."""
    made = await unit.json(
        _RESERVE,
        username,
        request.key,
        request.kind,
        request.body_hash,
        request.envelope_id,
        request.trade_id,
        request.action_id,
    )
    return made is not None


_ANSWERED = """
update orders.idempotency set answered_at = clock_timestamp() where username = $1 and key = $2 returning key
"""


async def answered(unit: Unit, username: str, key: str) -> None:
    """Note that the request got its answer."""
    await unit.json(_ANSWERED, username, key)


# The switch before the account, and that only where the switch lets anybody in. What comes of it is read from the
# locked rows alone; everything else is read by a later statement, which sees what was waited for. A switch that this
# very statement made is not seen by it, and was never touched; one that somebody else made meanwhile is not seen
# either, and says nothing until it is asked again. What follows in the unit are the same few statements each time, so
# their plans are made once instead of for each of their first uses.
_ADMIT = """
with made as (
    insert into orders.kill_switches (username) values ($1) on conflict do nothing returning username
), switch as materialized (
    select engaged from orders.kill_switches where username = $1 for share
), account as materialized (
    select account_key from orders.credentials
    where account_key = $2 and token_ciphertext is not null and not coalesce((select engaged from switch), false)
    for update
)
select json_build_array(
    coalesce((select engaged from switch), false), exists (select from account),
    exists (select from switch union all select from made), set_config('plan_cache_mode', 'force_generic_plan', true)
)::text
"""

# An entry on its way counts as one that is unknown: it may yet become one, when others were let in beside it.
_EXPOSURE = """
select json_build_object(
    'now', clock_timestamp(),
    'settings', (select s.settings from orders.trading_settings s where s.username = $4),
    'contract_in_use', exists (
        select from orders.trades t where t.broker_mode = $1 and t.account_id = $2 and t.occ_symbol = $3
        and t.status <> 'CLOSED'),
    'short_in', (
        select t.occ_symbol from orders.concerns c join orders.trades t on t.id = c.trade_id
        where c.username = $4 and c.kind = 'short' and c.ended_at is null
        and t.broker_mode = $1 and t.account_id = $2 limit 1),
    'realized_today', (
        select (coalesce(sum(t.realized_pnl), 0) + coalesce((
            select sum(k.amount_usd) from orders.corrections k join orders.trades x on x.id = k.trade_id
            where k.username = $4 and x.broker_mode = $1 and x.account_id = $2 and k.created_at
            >= date_trunc('day', now() at time zone 'America/New_York') at time zone 'America/New_York'), 0))::text
        from orders.trades t
        where t.username = $4 and t.broker_mode = $1 and t.account_id = $2 and t.status = 'CLOSED'
        and t.close_date >= $5::text::date::timestamp at time zone 'America/New_York'),
    'open', (
        select coalesce(json_agg(json_build_object(
            'qty', case when coalesce(o.pending, true) then t.qty else greatest(o.held - t.settled_qty, 0) end,
            'multiplier', t.multiplier,
            'entry_price', coalesce(t.entry_price, t.reference_price, 0)::text,
            'stop', case when t.protection in ('NAKED', 'NONE', 'SETTLING') then null else t.sl_price::text end,
            'is_unknown', coalesce(o.unknown, true), 'is_pending', coalesce(o.pending, true),
            'open_pnl', m.unrealized_pnl::text,
            'pnl_before', coalesce(
                case when m.session_date >= $5::text::date then m.session_start_pnl else m.unrealized_pnl end, 0)::text,
            'marked_at', greatest(m.last_updated, o.filled_at))), '[]')
        from orders.trades t join orders.marks m on m.trade_id = t.id
        left join lateral (
            select
                sum(case when b.role in ('ENTRY', 'COVER') then b.filled_qty else -b.filled_qty end) as held,
                bool_or(b.role = 'ENTRY' and b.status in ('INTENT', 'SENT', 'UNKNOWN')) as unknown,
                bool_or(b.role = 'ENTRY' and b.status not in ('FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED')) as pending,
                max(b.filled_at) filter (where b.role = 'ENTRY') as filled_at
            from orders.broker_orders b where b.trade_id = t.id) o on true
        where t.username = $4 and t.broker_mode = $1 and t.account_id = $2 and t.status <> 'CLOSED')
)::text
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands at the moment of an intent, and the settings that hold then."""

    now: datetime
    contract_in_use: bool
    exposure: Exposure
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether an entry may be stored at all."""

    is_killed: bool
    has_account: bool


async def admit(unit: Unit, account: Account) -> Admission:
    """Keep the kill switch as it is, and let limits be read and intents be written by one at a time, until this ends.

    Whoever engages the switch waits for the unit; so an entry is stored before that, or not at all.
    """
    while True:
        raw = await unit.json(_ADMIT, account.username, account.account_key)
        is_killed, has_account, is_held, _ = rows.loads(raw or b"")
        if is_held:
            return Admission(is_killed, has_account)


async def standing(unit: Unit, account: Account, occ_symbol: str, *, day: str, fresh: Freshness) -> Standing:
    """Read how an account stands: what nothing is decided by, unless it was locked by `admit`.

    `day` is the venue's in New York.
    """
    raw = await unit.json(_EXPOSURE, account.broker_mode, account.account_id, occ_symbol, account.username, day)
    found = rows.loads(raw or b"{}")
    exposure = Exposure(
        open=rows.read_all(OpenRisk, found["open"]),
        realized_today=Decimal(found["realized_today"]),
        fresh=fresh,
        short_in=found["short_in"],
    )
    now = datetime.fromisoformat(found["now"])
    return Standing(now, found["contract_in_use"], exposure, found["settings"] or {})


_TRADE_OF_ORDER = """
select trade_id from orders.broker_orders
where broker_order_id = $1 or group_order_id = $1 or tag = $2
order by broker_order_id = $1 desc nulls last, recovered_as is not null limit 1
"""


async def trade_of_order(unit: Unit, broker_order_id: str, tag: str | None) -> str | None:
    """Find the user's trade that a broker order belongs to."""
    found = await unit.json(_TRADE_OF_ORDER, broker_order_id, tag)
    return None if found is None else found.decode()


_KNOWN = """
select id from orders.broker_orders
where broker_order_id = $1 and trade_id = coalesce($2, trade_id) and recovered_as is null and confirmed_at is not null
and status = $3 and status in ('FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED') and filled_qty = $4
and avg_price is not distinct from $5::numeric and ($6::text is null or reason = $6)
"""


async def is_known(unit: Unit, fact: OrderChanged) -> bool:
    """Say whether an order of the user is known to have ended just so: nothing follows from being told once more."""
    values = (fact.status, fact.filled_qty, fact.avg_fill_price, fact.reason)
    return await unit.json(_KNOWN, fact.broker_order_id, fact.trade_id, *values) is not None
