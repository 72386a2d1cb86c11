"""Signals in the database: stored once, locked while something is decided of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from libs.common.db import Unit
from libs.common.errors import AppError, IllegalTransition
from libs.common.messages.signals import SignalState
from services.orders import rows, signals
from services.orders.signals import Bound, Signal

_COLUMNS = (
    "id, username, bot, signal_id, state, body, body_hash, code, reason, trade_id, broker_mode, account_id, via, "
    "received_at, expires_at, decided_at, key_version"
)

_INSERT = f"""
insert into orders.signals ({_COLUMNS})
select {_COLUMNS} from jsonb_populate_record(null::orders.signals, $1::text::jsonb)
on conflict do nothing returning id
"""  # noqa: S608 - our own column names

_SAVE = """
update orders.signals s set
    state = n.state, body = n.body, code = n.code, reason = n.reason, trade_id = n.trade_id, via = n.via,
    decided_at = n.decided_at, key_version = n.key_version
from jsonb_populate_record(null::orders.signals, $1::text::jsonb) n
where s.id = n.id returning s.id
"""

_READ = "select to_jsonb(s)::text from orders.signals s where s.id = $1"
_LOCK = "select to_jsonb(s)::text from orders.signals s where s.id = $1 for update"
_LOCK_NAMED = """
select to_jsonb(s)::text from orders.signals s where s.username = $1 and s.bot = $2 and s.signal_id = $3 for update
"""

_BEGIN = """
update orders.signals set trade_id = $2 where id = $1 and state = 'placing' and trade_id is null returning id
"""

_RUSH = """
select json_build_object(
    'now', clock_timestamp(),
    'was_answered', exists (select from orders.signals where id = $3),
    'of_bot', count(*) filter (where bot = $2), 'of_user', count(*))::text
from orders.signals where username = $1 and received_at > clock_timestamp() - interval '1 minute'
"""

_PAGE = """
select coalesce(json_agg(to_json(p)), '[]')::text from (
    select * from orders.signals s
    where s.username = $1 and ($2::text is null or s.state = $2) and ($3::text is null or s.id < $3)
    order by s.id desc limit $4) p
"""

_WAITING = """
select coalesce(json_agg(to_jsonb(s)), '[]')::text from (
    select * from orders.signals
    where username = $1 and state in ('pending', 'placing') and trade_id is null order by id for update) s
"""

_FORGET = """
delete from orders.signals where id in (
    select id from orders.signals
    where state in ('accepted', 'rejected', 'expired') and decided_at < clock_timestamp() - $1::interval
    order by decided_at limit $2)
returning id
"""


_DOCUMENTS = frozenset({"signals_snapshot", "ai_reasoning_log"})


@dataclass(frozen=True, slots=True)
class Rush:
    """How much a user's bots published in the last minute, and whether this very delivery was answered before."""

    now: datetime
    was_answered: bool
    of_bot: int
    of_user: int


async def rush(unit: Unit, username: str, bot: str, row_id: str) -> Rush:
    """Count what came in the last minute."""
    found = orjson.loads(await unit.json(_RUSH, username, bot, row_id) or b"{}")
    return Rush(datetime.fromisoformat(found["now"]), found["was_answered"], found["of_bot"], found["of_user"])


async def insert(unit: Unit, signal: Signal) -> bool:
    """Store a new signal and tell what was decided of it; False when there is one of that name or delivery."""
    if await unit.json(_INSERT, _worded(signal)) is None:
        return False
    tell(unit, signal)
    return True


async def read(unit: Unit, row_id: str) -> Signal | None:
    """Read a signal; None when it is not there or not this user's."""
    return _signal(await unit.json(_READ, row_id))


async def lock(unit: Unit, row_id: str) -> Signal | None:
    """Read a signal and keep everybody else from deciding of it."""
    return _signal(await unit.json(_LOCK, row_id))


async def lock_named(unit: Unit, username: str, bot: str, signal_id: str) -> Signal | None:
    """Read and lock a signal by the name its bot gave it."""
    return _signal(await unit.json(_LOCK_NAMED, username, bot, signal_id))


async def save(unit: Unit, signal: Signal) -> Signal:
    """Store what was decided of a locked signal, and tell it."""
    await unit.json(_SAVE, _worded(signal))
    tell(unit, signal)
    return signal


async def begin(unit: Unit, bound: Bound | None, trade_id: str) -> None:
    """Let a signal, where the trade comes of one, become this trade in the transaction of its intent.

    Raises: IllegalTransition when something else was decided of it.
    """
    if bound is not None and await unit.json(_BEGIN, bound.signal_id, trade_id) is None:
        raise IllegalTransition("the signal was decided otherwise meanwhile; nothing was sent")


async def waiting(unit: Unit, username: str) -> tuple[Signal, ...]:
    """Lock every signal of a user that is no trade yet."""
    return rows.read_all(Signal, orjson.loads(await unit.json(_WAITING, username) or b"[]"))


async def refuse_waiting(unit: Unit, username: str, error: AppError) -> int:
    """Refuse every signal of a user that is no trade yet, and say how many those were."""
    found = await waiting(unit, username)
    now = await unit.now()
    for signal in found:
        await save(unit, signals.ended(signal, error, now))
    return len(found)


async def forget_decided(unit: Unit, older_than: timedelta, most: int) -> int:
    """Remove signals that were decided so long ago, the oldest first, and say how many those were."""
    return len(await unit.fetch(_FORGET, older_than, most))


async def page(
    unit: Unit, username: str, state: SignalState | None, before: str | None, limit: int
) -> tuple[Signal, ...]:
    """List a user's signals, newest first."""
    return rows.read_all(Signal, orjson.loads(await unit.json(_PAGE, username, state, before, limit) or b"[]"))


def tell(unit: Unit, signal: Signal) -> None:
    """Say what a stored signal has come to."""
    fact = signals.fact_of(signal)
    if fact is not None:
        unit.lock_taken(signal.id)
        unit.emit(fact)


def _signal(raw: bytes | None) -> Signal | None:
    return None if raw is None else rows.read(Signal, orjson.loads(raw))


def _worded(signal: Signal) -> str:
    values: dict[str, Any] = rows.values(replace(signal, body=_lasting(signal)))
    return rows.write(values) or "{}"


def _lasting(signal: Signal) -> dict[str, Any] | None:
    """Return what is kept of a body: of a decided signal not its documents, which a trade keeps as its own capsule."""
    if signal.body is None or not signal.is_decided:
        return signal.body
    return {name: value for name, value in signal.body.items() if name not in _DOCUMENTS}
