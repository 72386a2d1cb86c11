"""Signals: published over HTTP, approved, refused and listed, and the job that sees to each."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from libs.broker.base import Priority
from libs.common import log
from libs.common.errors import AppError, InvalidInput, NotFound, PoisonMessage, Throttled
from libs.common.handlers import Context, Raw, Reply, answers, encode, receive
from libs.common.ids import new_id
from libs.common.jobs import Job, job
from libs.common.messages.base import USERNAME_PATTERN
from libs.common.messages.signals import ApproveSignal, ListSignals, PublishSignal, RejectSignal, SignalState
from libs.common.metrics import METRICS
from libs.market import money
from services.orders import arriving, checks, signalling, signals, store_accounts, store_signals, talk
from services.orders.arriving import Arrival
from services.orders.deps import Deps, account_key
from services.orders.signalling import JOB
from services.orders.signals import Signal

MOST = 200
_NAME = re.compile(USERNAME_PATTERN)
_DROPPED = METRICS.counter("signals_dropped_total", "Signals of bots far over their limit, answered by nothing")
MOST_LETTERS = 10
"""So many unreadable signals of one user are put aside a minute; the others are only answered."""
QUOTES_S = 1.0
"""How long a list waits for the quotes of what waits; it is answered without them then."""

_log = log.get(__name__)

Quoted = dict[str, dict[str, Any]]


@receive(durable="orders-signals")
async def on_signal(raw: Raw, deps: Deps) -> None:
    """Take what a bot published. Whose it is says the subject, which the bus lets nobody else publish to.

    Raises: PoisonMessage for what could not be read, once its sender is answered.
    """
    _, user, bot = raw.subject.split(".")
    if not (_NAME.fullmatch(user) and _NAME.fullmatch(bot)):
        raise PoisonMessage("nobody's signal: the subject names no user and bot")
    arrival = Arrival(user, bot, raw.data, raw.id, f"bot {bot}", is_first=raw.deliveries == 1)
    signal = await arriving.receive(deps, arrival)
    if signal is None:
        _DROPPED.inc()
    elif signal.signal_id is None and signal.code == InvalidInput.code:
        if deps.letters.count(user, deps.clock.monotonic()) > MOST_LETTERS:
            _log.info("signal_unread", user=user, bot=bot, detail=signal.reason)
            return
        raise PoisonMessage(f"a signal that cannot be read: {signal.reason}")


@answers(PublishSignal)
async def publish_signal(command: PublishSignal, ctx: Context, deps: Deps) -> Reply:
    """Take a signal as from the bus and answer what became of it. Idempotent: by bot and `signal_id`.

    Raises: what refused it.
    """
    arrival = Arrival(
        ctx.user, command.bot, orjson.dumps(command.body), new_id(), ctx.via or f"bot {command.bot}", is_awaited=True
    )
    signal = await arriving.receive(deps, arrival)
    if signal is None:
        raise Throttled("too many signals from this bot; try again later")
    if signal.state is SignalState.PLACING:
        signal, _ = await signalling.advance(deps, ctx.user, signal.id)
    return _answer(signal, 201)


@answers(ApproveSignal)
async def approve_signal(command: ApproveSignal, ctx: Context, deps: Deps) -> Reply:
    """Let a waiting signal become a trade. Idempotent: by the signal. Raises: what refused it."""
    signal = await signalling.approve(deps, ctx.user, command.id, ctx.via, by_program=command.by_program)
    signal, _ = await signalling.advance(deps, ctx.user, signal.id)
    return _answer(signal, 200)


@answers(RejectSignal)
async def reject_signal(command: RejectSignal, ctx: Context, deps: Deps) -> Reply:
    """Refuse a waiting signal. Idempotent: by the signal."""
    return Reply.of(signals.row_of(await signalling.reject(deps, ctx.user, command.id, ctx.via)))


@answers(ListSignals)
async def list_signals(query: ListSignals, ctx: Context, deps: Deps) -> bytes:
    """List signals, newest first; each waiting one with its contract's quote, or null where none came in time."""
    if not 1 <= query.limit <= MOST:
        raise InvalidInput(f"limit must be between 1 and {MOST}, was {query.limit}")
    if query.cursor is not None and (len(query.cursor) > 64 or not query.cursor.replace("-", "").isalnum()):
        raise InvalidInput("this cursor is not one of ours")
    async with deps.db.for_user(ctx.user) as unit:
        found = await store_signals.page(unit, ctx.user, query.state, query.cursor, query.limit + 1)
    shown = found[: query.limit]
    quotes = await _quotes(deps, ctx.user, [one for one in shown if one.state is SignalState.PENDING])
    rows = [signals.row_of(one).model_dump(mode="json") | {"quote": quotes.get(one.id)} for one in shown]
    return encode({"signals": rows, "next_cursor": shown[-1].id if len(found) > query.limit else None})


@job(JOB, lease_s=6.0, longest_s=15.0, concurrency=16, retry_s=0.5, retry_max_s=10.0)
async def see_to(work: Job, deps: Deps) -> datetime | timedelta | None:
    """Place what needs no approval or has it; end what nobody approved in time."""
    try:
        return (await signalling.advance(deps, work.user or "", work.key))[1]
    except NotFound:
        return None


def _answer(signal: Signal, status: int) -> Reply:
    """Answer a signal that goes on or became a trade. Raises: what refused it."""
    if signal.state in {SignalState.REJECTED, SignalState.EXPIRED}:
        raise signals.refusal_of(signal)
    return Reply.of(signals.row_of(signal), status if signal.state is SignalState.ACCEPTED else 202)


async def _quotes(deps: Deps, username: str, waiting: list[Signal]) -> Quoted:
    """Quote what waits, an account at a time; an account that cannot be asked in time has none."""
    by_account: dict[str, list[Signal]] = defaultdict(list)
    for signal in waiting:
        if signal.broker_mode is not None and signal.account_id is not None:
            by_account[account_key(signal.broker_mode, signal.account_id)].append(signal)
    if not by_account:
        return {}
    async with deps.db.for_user(username) as unit:
        known = {one.account_key: one for one in await store_accounts.accounts_of(unit, username)}
    found: Quoted = {}
    for key, group in by_account.items():
        account = known.get(key)
        if account is None:
            continue
        broker = deps.broker(account.broker_mode, account.account_id, account.token_ciphertext, Priority.POLL)
        wanted = {one.id: [str(c) for c in checks.series_of(signals.placing(one))] for one in group}
        symbols = tuple({symbol for series in wanted.values() for symbol in series})
        now = deps.clock.now()
        try:
            async with asyncio.timeout(QUOTES_S):
                quotes, clock = await talk.market_of(broker, symbols, now)
        except (AppError, TimeoutError):
            continue
        for row_id, series in wanted.items():
            quote = next((quotes[symbol] for symbol in series if symbol in quotes), None)
            if quote is None:
                continue
            at = quote.quoted_at
            age_s = None if at is None else round(max((clock.market_at(now) - at).total_seconds(), 0.0), 1)
            bid, ask = quote.bid or Decimal(0), quote.ask or Decimal(0)
            found[row_id] = {"bid": bid, "ask": ask, "mid": money.mid(bid, ask), "age_s": age_s}
    return found
