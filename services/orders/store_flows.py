"""Which trades somebody must look at, across users; read through the worker's door."""

from __future__ import annotations

from datetime import date

from libs.common.db import Unit
from libs.common.messages.vocabulary import BrokerMode
from services.orders import rows

# Watched are those that are open, of which an order works, or that are short: with what is asked of others, few of all.
_INTERRUPTED = """
select coalesce(json_agg(json_build_array(t.id, t.username)), '[]')::text
from (
    select v.trade_id from orders.trade_views v where v.is_watched
    union select a.trade_id from orders.actions a where a.state in ('REQUESTED', 'RUNNING')
) w
join orders.trades t on t.id = w.trade_id
join orders.flows f on f.trade_id = t.id
left join orders.jobs j on j.kind = 'advance' and j.key = t.id and j.due_at < now() + interval '1 minute'
where j.key is null and (f.claimed_until is null or f.claimed_until < clock_timestamp())
and (
    t.status in ('PARTIAL', 'CLOSED')
    or exists (select from orders.broker_orders o where o.trade_id = t.id and (o.status in ('INTENT', 'SENT', 'UNKNOWN')
            or (o.cancel_at is not null and o.status in ('WORKING', 'PARTIAL'))))
    or exists (select from orders.actions a where a.trade_id = t.id and a.state in ('REQUESTED', 'RUNNING'))
    or (t.status = 'FILLED' and (t.protection in ('PENDING', 'NAKED')
        or (t.protection = 'NONE' and (t.foreign_exit is not null or t.shown_qty is not null))))
)
"""

_WORKING_ENTRIES = """
select coalesce(json_agg(json_build_array(t.id, t.username)), '[]')::text
from orders.trades t
where t.status in ('OPEN', 'PARTIAL', 'CLOSING') or (t.status = 'FILLED' and t.protection in ('PENDING', 'NAKED'))
"""

# Near: a mark is the middle, so the bid may be at the stop while the mark is well above it.
_STOP_LIMITS = """
select coalesce(json_agg(json_build_array(t.id, t.username)), '[]')::text
from orders.broker_orders o
join orders.trades t on t.id = o.trade_id
join orders.marks m on m.trade_id = t.id
where o.type = 'stop_limit' and o.status in ('WORKING', 'PARTIAL') and o.role = 'STOP_LOSS' and t.status = 'FILLED'
and ($1::boolean or m.current_price is null or m.current_price <= o.stop * 1.25 or o.triggered_at is not null)
"""

_SHORT = "select c.trade_id from orders.concerns c where c.kind = 'short' and c.ended_at is null"
_EXPIRING = f"""
select coalesce(json_agg(json_build_array(t.id, t.username, t.occ_symbol,
    coalesce((s.settings->>'expiry_flatten_min')::int, 30))), '[]')::text
from orders.trades t
left join orders.trading_settings s on s.username = t.username
left join orders.jobs j on j.kind = 'expiry' and j.key = t.id and j.due_at < 'infinity'
where (t.status <> 'CLOSED' or t.id in ({_SHORT}))
and t.broker_mode = $1 and t.expiry <= $2::text::date and j.key is null
"""  # noqa: S608 - built of constants

_ANY_OPEN = f"""
select coalesce(json_agg(json_build_array(t.broker_mode, t.id, t.username) order by random()), '[]')::text
from (select distinct on (broker_mode, account_id) broker_mode, id, username from orders.trades
      where status <> 'CLOSED' or id in ({_SHORT}) order by broker_mode, account_id, id desc) t
"""  # noqa: S608 - built of constants


async def expiring(unit: Unit, mode: BrokerMode, until: date) -> list[tuple[str, str, str, int]]:
    """List open trades of a venue that expire until a day and that no look is planned for.

    Shape: trade, user, contract, minutes before the last trade at which the user wants to be flat (0: not asked for).
    """
    found = rows.loads(await unit.json(_EXPIRING, mode.value, until.isoformat()) or b"[]")
    return [(trade_id, username, occ_symbol, minutes) for trade_id, username, occ_symbol, minutes in found]


async def one_of_each_account(unit: Unit) -> dict[BrokerMode, list[tuple[str, str]]]:
    """List, by venue, the newest open trade of each account with its user, by chance: any of them tells its time."""
    found: dict[BrokerMode, list[tuple[str, str]]] = {}
    for mode, trade_id, username in rows.loads(await unit.json(_ANY_OPEN) or b"[]"):
        found.setdefault(BrokerMode(mode), []).append((trade_id, username))
    return found


async def interrupted(unit: Unit) -> list[tuple[str, str]]:
    """List trades with something unfinished that no job is planned for, with their users."""
    return _pairs(await unit.json(_INTERRUPTED))


async def working_entries(unit: Unit) -> list[tuple[str, str]]:
    """List trades whose entry works, whose close runs or whose holding lacks exits, with their users."""
    return _pairs(await unit.json(_WORKING_ENTRIES))


async def stop_limits(unit: Unit, *, all_of_them: bool) -> list[tuple[str, str]]:
    """List holdings whose resting stop has a limit and is near the last mark, or every one, with their users."""
    return _pairs(await unit.json(_STOP_LIMITS, all_of_them))


async def unknown_orders(unit: Unit) -> int:
    """Count the writes of all users whose outcome is unknown."""
    return int(await unit.json("select count(*)::text from orders.broker_orders where status = 'UNKNOWN'") or b"0")


def _pairs(raw: bytes | None) -> list[tuple[str, str]]:
    return [(trade_id, username) for trade_id, username in rows.loads(raw or b"[]")]
