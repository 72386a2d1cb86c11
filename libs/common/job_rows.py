"""The table of jobs: what is due when, claimed by database time, one run at a time.

1. A claim raises `run`; only the run that holds the claim may finish, so a paused runner's late result touches no row.
2. A finished job that is not to come back has `due_at` infinity until its row is removed: the tenant's door may
   finish, and never delete.
3. A job scheduled again while it runs keeps the earlier of the new instant and what its run decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from libs.common.unit import Unit


@dataclass(frozen=True)
class Job:
    """One claimed run of a job. Time: `due_at` and `claimed_until` aware UTC, by the database's clock."""

    kind: str
    key: str
    user: str | None
    data: dict[str, Any] = field(compare=False)
    run: int
    due_at: datetime
    claimed_until: datetime
    tries: int = 0


@dataclass(frozen=True)
class Wanted:
    """How many jobs of one kind a runner can take, and for how long. Units: `lease_s` seconds."""

    kind: str
    slots: int
    lease_s: float


_SCHEDULE = """
insert into {schema}.jobs (kind, key, username, data, due_at)
values ($1, $2, $3, $4::text::jsonb, coalesce($5, clock_timestamp()))
on conflict (kind, key) do {existing}
"""

# Brings a job forward and never back; one that runs now, or was over, is due at the new instant.
_FORWARD = """update set
    due_at = case
        when jobs.claimed_until > clock_timestamp() or jobs.due_at = 'infinity' then excluded.due_at
        else least(jobs.due_at, excluded.due_at)
    end"""

# Reading a column of `excluded` needs the right to read it, which the tenant has of due_at only.
_REPLACE = """update set username = $3, data = $4::text::jsonb, due_at = excluded.due_at, tries = 0"""

_CLAIM = """
with due as (
    select found.kind, found.key, wanted.lease_s
    from unnest($1::text[], $2::int[], $3::float8[]) as wanted (kind, slots, lease_s)
    cross join lateral (
        select kind, key from {schema}.jobs
        where kind = wanted.kind and due_at <= clock_timestamp()
          and (claimed_until is null or claimed_until <= clock_timestamp())
        order by due_at
        limit wanted.slots
        for update skip locked
    ) as found
)
update {schema}.jobs
set run = jobs.run + 1, claimed_until = clock_timestamp() + make_interval(secs => due.lease_s)
from due
where jobs.kind = due.kind and jobs.key = due.key
returning jobs.kind, jobs.key, username, data::text as data, run, due_at, claimed_until, tries
"""

_NEXT_DUE = """
select extract(epoch from min(due_at) - clock_timestamp())::float8
from {schema}.jobs
where kind = any($1) and due_at > clock_timestamp() and due_at < 'infinity'
"""

# A changed due_at means that somebody scheduled the job again while it ran.
_FINISH = """
update {schema}.jobs
set due_at = case
        when due_at <> $4 then least(due_at, coalesce($5, clock_timestamp() + $6, 'infinity'))
        else coalesce($5, clock_timestamp() + $6, 'infinity')
    end,
    claimed_until = null, tries = 0, last_error = null
where kind = $1 and key = $2 and run = $3 and claimed_until is not null
returning 1
"""

_FAIL = """
update {schema}.jobs
set due_at = case when due_at <> $4 then due_at else clock_timestamp() + make_interval(secs => $5) end,
    claimed_until = null, tries = tries + 1, last_error = $6
where kind = $1 and key = $2 and run = $3 and claimed_until is not null
returning 1
"""

_RELEASE = """
update {schema}.jobs set claimed_until = null
where kind = $1 and key = $2 and run = $3 and claimed_until is not null
returning 1
"""

_EXTEND = """
update {schema}.jobs set claimed_until = clock_timestamp() + make_interval(secs => $4)
where kind = $1 and key = $2 and run = $3 and claimed_until > clock_timestamp()
returning 1
"""

_OURS = """
select 1 from {schema}.jobs where kind = $1 and key = $2 and run = $3 and claimed_until > clock_timestamp()
"""

_REMOVE = """
delete from {schema}.jobs where kind = $1 and key = $2 and due_at = 'infinity' and claimed_until is null
"""


async def schedule(
    unit: Unit,
    kind: str,
    key: str,
    due_at: datetime | None,
    *,
    user: str | None,
    data: Mapping[str, Any] | None,
    replace: bool,
) -> None:
    """Store that a job is due at `due_at`, None being now."""
    sql = _SCHEDULE.format(schema=unit.schema, existing=_REPLACE if replace else _FORWARD)
    await unit.fetch(sql, kind, key, user, orjson.dumps(dict(data or {}), default=str).decode(), due_at)


async def claim(unit: Unit, wanted: Sequence[Wanted]) -> list[Job]:
    """Take what is due and nobody runs, oldest first."""
    records = await unit.fetch(
        _CLAIM.format(schema=unit.schema),
        [one.kind for one in wanted],
        [one.slots for one in wanted],
        [one.lease_s for one in wanted],
    )
    return [_job(record) for record in records]


async def next_due_s(unit: Unit, kinds: Sequence[str]) -> float | None:
    """Say in how long the next job of these kinds is due, None when none is planned. Units: seconds."""
    found: float | None = (await unit.fetch(_NEXT_DUE.format(schema=unit.schema), list(kinds)))[0][0]
    return found


async def finish(unit: Unit, job: Job, next_due: datetime | timedelta | None) -> bool:
    """Store when the job is due next (None: never); False when the run is not ours any more."""
    moment = next_due if isinstance(next_due, datetime) else None
    after = next_due if isinstance(next_due, timedelta) else None
    sql = _FINISH.format(schema=unit.schema)
    return bool(await unit.fetch(sql, job.kind, job.key, job.run, job.due_at, moment, after))


async def fail(unit: Unit, job: Job, *, again_in_s: float, reason: str) -> bool:
    """Store that the run failed and when it is tried again; False when the run is not ours any more."""
    sql = _FAIL.format(schema=unit.schema)
    return bool(await unit.fetch(sql, job.kind, job.key, job.run, job.due_at, again_in_s, reason[:2000]))


async def release(unit: Unit, job: Job) -> bool:
    """Give an unfinished claim back, due as it was."""
    return bool(await unit.fetch(_RELEASE.format(schema=unit.schema), job.kind, job.key, job.run))


async def extend(unit: Unit, job: Job, lease_s: float) -> bool:
    """Hold a claim for longer, counted from now; False when it is lost. Units: seconds."""
    return bool(await unit.fetch(_EXTEND.format(schema=unit.schema), job.kind, job.key, job.run, lease_s))


async def ours(unit: Unit, job: Job) -> bool:
    """Say whether the claim is still held, by the database's clock."""
    return bool(await unit.fetch(_OURS.format(schema=unit.schema), job.kind, job.key, job.run))


async def end(unit: Unit, job: Job, next_due: datetime | timedelta | None) -> bool:
    """Finish a run behind the worker's door, unless its handler did, and remove the row of a job that is over."""
    was_ours = await finish(unit, job, next_due)
    await unit.fetch(_REMOVE.format(schema=unit.schema), job.kind, job.key)
    return was_ours


def _job(record: Any) -> Job:
    return Job(
        kind=record["kind"],
        key=record["key"],
        user=record["username"],
        data=orjson.loads(record["data"]),
        run=record["run"],
        due_at=record["due_at"],
        claimed_until=record["claimed_until"],
        tries=record["tries"],
    )
