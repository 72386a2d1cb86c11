"""The kill switch's rows: whether it is engaged, asked by whoever stores or sends an entry, and what it has to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from libs.common.db import Unit
from libs.common.messages.safety import KillRow
from libs.common.messages.vocabulary import BrokerMode
from services.orders import rows
from services.orders.killing import Doomed, Trouble

# A row that this very statement made, or waited for while somebody else made it, is not seen by it.
_HELD = """
with made as (
    insert into orders.kill_switches (username) values ($1) on conflict do nothing
)
select engaged::text from orders.kill_switches where username = $1 for share
"""


async def is_engaged(unit: Unit, username: str) -> bool:
    """Say whether the switch is engaged, and keep it as it is until this unit ends.

    Whoever engages it waits for the unit; so an entry is stored, or marked as sent, before that, or not at all.
    """
    # At first use it is asked once more: who made the row in the meantime may have engaged it.
    return (await unit.json(_HELD, username) or await unit.json(_HELD, username)) == b"true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One user's switch."""

    engaged: bool = False
    changed_at: datetime | None = None
    key_version: int = 0
    looked_at: datetime | None = None
    told: str = ""
    foreign: tuple[KillRow, ...] = ()


_MAKE = "insert into orders.kill_switches (username) values ($1) on conflict do nothing returning username"
_LOCK = "select username from orders.kill_switches where username = $1 for update"
_READ = """
select json_build_object('engaged', engaged, 'changed_at', changed_at, 'key_version', key_version,
    'looked_at', looked_at, 'told', told, 'foreign', foreign_found)::text
from orders.kill_switches where username = $1
"""


async def lock(unit: Unit, username: str) -> Switch:
    """Lock the switch, made at first use."""
    await unit.json(_MAKE, username)
    await unit.json(_LOCK, username)
    unit.lock_taken(username)
    return await read(unit, username)


async def read(unit: Unit, username: str) -> Switch:
    """Read the switch without a lock; one that was never touched is not engaged."""
    raw = await unit.json(_READ, username)
    if raw is None:
        return Switch()
    found = rows.loads(raw)
    changed_at, looked_at = found["changed_at"], found["looked_at"]
    return Switch(
        engaged=found["engaged"],
        changed_at=None if changed_at is None else datetime.fromisoformat(changed_at),
        key_version=found["key_version"],
        looked_at=None if looked_at is None else datetime.fromisoformat(looked_at),
        told=found["told"],
        foreign=tuple(KillRow.model_validate(row) for row in found["foreign"]),
    )


_TURN = """
update orders.kill_switches
set engaged = $2, changed_at = clock_timestamp(), looked_at = case when $2 then null else looked_at end
where username = $1
returning changed_at::text
"""


async def turn(unit: Unit, username: str, *, engaged: bool) -> None:
    """Engage or release; what the accounts hold beside our trades is looked at anew. The row is locked."""
    await unit.json(_TURN, username, engaged)


_TOLD = """
update orders.kill_switches set told = $2, key_version = key_version + 1 where username = $1
returning key_version::text
"""


async def told(unit: Unit, username: str, words: str) -> int:
    """Note what is told now, and return the version it is told under. The row is locked."""
    return int(await unit.json(_TOLD, username, words) or b"0")


_LOOKED = """
update orders.kill_switches set looked_at = clock_timestamp(), foreign_found = $2::text::jsonb where username = $1
returning username
"""


async def looked(unit: Unit, username: str, foreign: Sequence[KillRow]) -> None:
    """Keep what the accounts were found to hold beside our trades."""
    found = orjson.dumps([row.model_dump(mode="json") for row in foreign]).decode()
    await unit.json(_LOOKED, username, found)


# What came to light of an order sent before: its trade is the switch's to end, even after a release.
_TAKE = """
insert into orders.kills (trade_id, username)
select t.id, t.username from orders.trades t
where t.username = $1 and t.status <> 'CLOSED'
and ($2 or exists (select from orders.kills k where k.trade_id = t.recovered_from and k.withdrawn_at is null))
on conflict do nothing
"""


async def take(unit: Unit, username: str, *, engaged: bool) -> None:
    """Take up every open trade while the switch is engaged; afterwards only what surfaced of those taken up before."""
    await unit.json(_TAKE, username, engaged)


_WITHDRAWN = """
update orders.kills set withdrawn_at = clock_timestamp() where trade_id = $1 and withdrawn_at is null returning trade_id
"""


async def withdrawn(unit: Unit, trade_id: str) -> None:
    """Let a trade live on whose sale its user took back after a release."""
    await unit.json(_WITHDRAWN, trade_id)


_TROUBLED = """
update orders.kills set trouble = $2, trouble_lasts = $3
where trade_id = any($1::text[]) and (trouble, trouble_lasts) is distinct from ($2, $3)
returning trade_id
"""


async def troubled(unit: Unit, trade_ids: Sequence[str], trouble: Trouble | None) -> None:
    """Note what keeps the switch from these trades' account, or that nothing does any more."""
    words, lasts = (None, False) if trouble is None else (trouble.words, trouble.lasts)
    await unit.fetch(_TROUBLED, list(trade_ids), words, lasts)


_TERMINAL = "('FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED')"
_DOOMED = f"""
select coalesce(json_agg(json_build_object(
    'trade_id', t.id, 'occ_symbol', t.occ_symbol, 'account_id', t.account_id, 'broker_mode', t.broker_mode,
    'qty', t.qty, 'held_qty', coalesce(o.held, 0) - t.settled_qty, 'multiplier', t.multiplier,
    'price', coalesce(t.entry_price, t.reference_price, 0)::text, 'stop', t.sl_price::text,
    'protection', t.protection, 'is_settling', t.settling_at is not null,
    'has_live_entry', coalesce(o.live_entry, false), 'has_unknown', coalesce(o.unknown, false),
    'has_live_exits', coalesce(o.live_exits, false), 'has_leaving', coalesce(o.leaving, false),
    'has_live_sale', coalesce(o.live_sale, false), 'is_unbid', coalesce(o.unbid, false),
    'close_state', c.state,
    'failed_at', f.done_at, 'failed_words', f.words, 'successor_occ', t.successor_occ,
    'trouble', k.trouble, 'trouble_lasts', k.trouble_lasts) order by t.id), '[]')::text
from orders.kills k
join orders.trades t on t.id = k.trade_id
left join lateral (
    select
        sum(case when b.role in ('ENTRY', 'COVER') then b.filled_qty else -b.filled_qty end) as held,
        bool_or(b.role = 'ENTRY' and b.status not in {_TERMINAL}) as live_entry,
        bool_or(b.status = 'UNKNOWN') as unknown,
        bool_or(b.role in ('STOP_LOSS', 'TAKE_PROFIT') and b.status not in {_TERMINAL}) as live_exits,
        bool_or(b.cancel_at is not null and b.status not in {_TERMINAL}) as leaving,
        bool_or(b.role = 'CLOSE' and b.status not in {_TERMINAL} and b.status <> 'INTENT') as live_sale,
        bool_or(b.role = 'CLOSE' and b.status not in {_TERMINAL} and b.type = 'limit') as unbid
    from orders.broker_orders b where b.trade_id = t.id) o on true
left join lateral (
    select a.state from orders.actions a
    where a.trade_id = t.id and a.kind = 'CLOSE' and a.state in ('REQUESTED', 'QUEUED', 'RUNNING')
    order by a.created_at limit 1) c on true
left join lateral (
    select a.done_at, a.words from orders.actions a
    where a.trade_id = t.id and a.reason = 'KILL_SWITCH' and a.state = 'FAILED'
    order by a.done_at desc limit 1) f on true
where k.username = $1 and k.withdrawn_at is null and t.status <> 'CLOSED'
"""  # noqa: S608 - built of constants


async def doomed(unit: Unit, username: str) -> tuple[Doomed, ...]:
    """List the trades that the switch still has to end."""
    return rows.read_all(Doomed, rows.loads(await unit.json(_DOOMED, username) or b"[]"))


_HELD_BY_US = f"""
select coalesce(json_object_agg(h.occ_symbol, case when h.busy then null else h.qty end), '{{}}')::text
from (
    select t.occ_symbol, bool_or(coalesce(o.busy, false)) as busy, sum(coalesce(o.held, 0) - t.settled_qty) as qty
    from orders.trades t
    left join lateral (
        select sum(case when b.role in ('ENTRY', 'COVER') then b.filled_qty else -b.filled_qty end) as held,
            bool_or(b.role in ('ENTRY', 'COVER') and b.status not in {_TERMINAL}) as busy
        from orders.broker_orders b where b.trade_id = t.id) o on true
    where t.status <> 'CLOSED' and t.broker_mode = $1 and t.account_id = $2
    group by t.occ_symbol) h
"""  # noqa: S608 - built of constants


async def held(unit: Unit, mode: BrokerMode, account_id: str) -> dict[str, int | None]:
    """Sum what our open trades hold of each contract; None where an entry of theirs may be executing."""
    found: dict[str, int | None] = rows.loads(await unit.json(_HELD_BY_US, mode, account_id) or b"{}")
    return found


_COUNTED = """
select json_build_array(
    (select count(*) from orders.kill_switches where engaged),
    (select count(*) from orders.kills k join orders.trades t on t.id = k.trade_id
     where k.withdrawn_at is null and t.status <> 'CLOSED'))::text
"""


async def counted(unit: Unit) -> tuple[int, int]:
    """Count the switches of all users that are engaged, and the trades that they still have to end."""
    engaged, left = rows.loads(await unit.json(_COUNTED) or b"[0, 0]")
    return engaged, left
