"""The table of jobs: what is due when, claimed by database time, one run at a time.

1. A claim raises `run`; only the run that holds the claim may finish, so a paused runner's late result touches no row.
2. A finished job that is not to come back has `due_at` infinity until its row is removed: the tenant's door may
   finish, and never delete.
3. A job scheduled again while it runs keeps the earlier of the new instant and what its run decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from libs.common.unit import Unit


@dataclass
class Ending:
    """What was stored of a run's end. Units: `left_s` seconds until the job is due again, None when it is over."""

    is_stored: bool = False
    left_s: float | None = None

    def note(self, left_s: float | None) -> None:
        """Note that the end is stored."""
        self.is_stored, self.left_s = True, left_s


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
    ending: Ending = field(default_factory=Ending, compare=False, repr=False)


@dataclass(frozen=True)
class Wanted:
    """How many jobs of one kind a runner can take, and for how long. Units: `lease_s` seconds."""

    kind: str
    slots: int
    lease_s: float


_WHEN = "coalesce({at}, clock_timestamp() + coalesce({after}, interval '0'))"

# Brings a job forward and never back; one that runs now, or was over, is due at the new instant. Several in one
# statement, locked in one order whoever plans them.
_FORWARD = f"""
insert into {{schema}}.jobs (kind, key, username, data, due_at)
select kind, key, username, data::jsonb, {_WHEN.format(at="due_at", after="after")}
from unnest(${{0}}::text[], ${{1}}::text[], ${{2}}::text[], ${{3}}::text[], ${{4}}::timestamptz[], ${{5}}::interval[])
    as planned (kind, key, username, data, due_at, after)
order by kind, key
on conflict (kind, key) do update set
    due_at = case
        when jobs.claimed_until > clock_timestamp() or jobs.due_at = 'infinity' then excluded.due_at
        else least(jobs.due_at, excluded.due_at)
    end
"""  # noqa: S608 - built of constants

# Reading a column of `excluded` needs the right to read it, which the tenant has of due_at only.
_REPLACE = f"""
insert into {{schema}}.jobs (kind, key, username, data, due_at)
values (${{0}}, ${{1}}, ${{2}}::text, ${{3}}::text::jsonb,
        {_WHEN.format(at="${4}::timestamptz", after="${5}::interval")})
on conflict (kind, key) do update set
    username = ${{2}}::text, data = ${{3}}::text::jsonb, due_at = excluded.due_at, tries = 0
"""  # noqa: S608 - built of constants

# What is due next is told along; what is claimed now is due already, so it is not among that.
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
), claimed as (
    update {schema}.jobs
    set run = jobs.run + 1, claimed_until = clock_timestamp() + make_interval(secs => due.lease_s)
    from due
    where jobs.kind = due.kind and jobs.key = due.key
    returning jobs.kind, jobs.key, username, data::text as data, run, due_at, claimed_until, tries
)
select claimed.*, next.due_s from (
    select extract(epoch from min(due_at) - clock_timestamp())::float8 as due_s
    from {schema}.jobs
    where kind = any($1) and due_at > clock_timestamp() and due_at < 'infinity'
) next left join claimed on true
"""

# A changed due_at means that somebody scheduled the job again while it ran.
_NEXT = """case
    when due_at <> $4 then least(due_at, coalesce($5, clock_timestamp() + $6, 'infinity'))
    else coalesce($5, clock_timestamp() + $6, 'infinity')
end"""
_LEFT = "extract(epoch from case when {at} < 'infinity' then {at} - clock_timestamp() end)::float8"
_FINISH = f"""
update {{schema}}.jobs
set due_at = {_NEXT}, claimed_until = null, tries = 0, last_error = null
where kind = $1 and key = $2 and run = $3 and claimed_until is not null
returning {_LEFT.format(at="due_at")}
"""  # noqa: S608 - built of constants

# Finished by its handler already, it is only removed if it is over. Locked first: somebody may schedule it right now.
_END = f"""
with held as materialized (
    select kind, key, run = $3 and claimed_until is not null as is_ours, claimed_until is null as is_free,
        due_at = 'infinity' as was_over, {_NEXT} as next_at
    from {{schema}}.jobs where kind = $1 and key = $2 for update
), gone as (
    delete from {{schema}}.jobs using held
    where jobs.kind = held.kind and jobs.key = held.key
    and ((is_ours and next_at = 'infinity') or (is_free and was_over))
), kept as (
    update {{schema}}.jobs set due_at = next_at, claimed_until = null, tries = 0, last_error = null from held
    where jobs.kind = held.kind and jobs.key = held.key and is_ours and next_at < 'infinity'
)
select {_LEFT.format(at="next_at")} from held where is_ours
"""  # noqa: S608 - built of constants

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


# ── planning ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Planned:
    """A job that a unit plans. Due at `due_at`, or `after` now by the database's clock. `replaces` what is planned."""

    kind: str
    key: str
    user: str | None
    data: str
    due_at: datetime | None
    after: timedelta | None
    replaces: bool

    @classmethod
    def of(
        cls, name: tuple[str, str], due: datetime | timedelta | None, *, user: str | None, data: Any, replaces: bool
    ) -> Planned:
        """Plan a job (kind, key)."""
        at, after = (None, due) if isinstance(due, timedelta) else (due, None)
        return cls(*name, user, orjson.dumps(dict(data or {}), default=str).decode(), at, after, replaces)

    @property
    def values(self) -> tuple[Any, ...]:
        """Its arguments, in the statements' order."""
        return self.kind, self.key, self.user, self.data, self.due_at, self.after


def planning(planned: Sequence[Planned], schema: str, taken: int) -> tuple[list[str], list[Any]]:
    """Return the statements that store what is planned, with their arguments, numbered after those `taken`.

    No two of them may be the same job.
    """
    forward = [one.values for one in planned if not one.replaces]
    statements, args = [], []
    if forward:
        statements.append(_numbered(_FORWARD, schema, taken))
        args += [list(column) for column in zip(*forward, strict=True)]
    for one in planned:
        if one.replaces:
            statements.append(_numbered(_REPLACE, schema, taken + len(args)))
            args += one.values
    return statements, args


@cache
def _numbered(sql: str, schema: str, taken: int) -> str:
    return sql.format(*range(taken + 1, taken + 7), schema=schema)


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def claim(unit: Unit, wanted: Sequence[Wanted]) -> tuple[list[Job], float | None]:
    """Take what is due and nobody runs, oldest first; also in how long the next job of these kinds is due, if any.

    Units: seconds.
    """
    records = await unit.fetch(
        _CLAIM.format(schema=unit.schema),
        [one.kind for one in wanted],
        [one.slots for one in wanted],
        [one.lease_s for one in wanted],
    )
    return [_job(record) for record in records if record["kind"] is not None], records[0]["due_s"]


async def finish(unit: Unit, job: Job, next_due: datetime | timedelta | None) -> bool:
    """Store when the job is due next (None: never); False when the run is not ours any more."""
    return _noted(unit, job, await unit.fetch(_FINISH.format(schema=unit.schema), *_ending(job, next_due)))


def _noted(unit: Unit, job: Job, records: list[Any]) -> bool:
    if records:
        unit.after_commit(lambda: job.ending.note(records[0][0]))
    return bool(records)


def _ending(job: Job, next_due: datetime | timedelta | None) -> tuple[Any, ...]:
    moment = next_due if isinstance(next_due, datetime) else None
    after = next_due if isinstance(next_due, timedelta) else None
    return job.kind, job.key, job.run, job.due_at, moment, after


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
    return _noted(unit, job, await unit.fetch(_END.format(schema=unit.schema), *_ending(job, next_due)))


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
