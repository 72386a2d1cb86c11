"""Receiving: a bot's words become a stored signal, once, with what is decided of it at once.

1. Whose signal it is says the subject or the key it came with, never the words.
2. A signal is stored by the name its bot gave it; a refusal that is not the signal's own leaves the name free.
3. Whoever published twice is told twice, and one trade comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.broker.base import Priority
from libs.broker.venue_clock import market_clock
from libs.common.db import Unit
from libs.common.errors import AppError, IdempotencyMismatch, InvalidInput, KillSwitchOn, Throttled, UpstreamUnavailable
from libs.common.messages.signals import SignalBody, SignalState
from services.orders import (
    accounts,
    checks,
    killing,
    modes,
    sessions,
    signals,
    store_kills,
    store_requests,
    store_signals,
)
from services.orders.deps import Deps
from services.orders.signalling import INLINE_S, JOB
from services.orders.signals import Signal
from services.orders.store_requests import Account, Opening

DROPPED_OVER = 4
"""A bot this many times over its limit is not even told."""
MOST_TOLD = 50
"""How often one signal's outcome is told: a bot that repeats itself for ever fills nobody's feed."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One delivery of a bot's words. `row_id` is the same however often it is delivered."""

    username: str
    bot: str
    raw: bytes
    row_id: str
    via: str
    is_awaited: bool = False
    """Somebody waits for the outcome and places it here; else the job does, at once."""
    is_first: bool = True
    """It was not delivered before; one that is delivered again for our own trouble is no bot's haste."""


# ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def receive(deps: Deps, arrival: Arrival) -> Signal | None:
    """Store a signal and what is decided of it at once; None when it is one of a flood.

    Idempotent: by the delivery, and by the bot's name of the signal; published again it is told again, never placed
    again.
    Raises: UpstreamUnavailable; then nothing is stored and it is delivered again.
    """
    if arrival.is_first and _is_flood(deps, arrival):
        return None
    async with deps.db.for_user(arrival.username) as unit:
        rush = await store_signals.rush(unit, arrival.username, arrival.bot, arrival.row_id)
        if rush.was_answered:
            return await store_signals.read(unit, arrival.row_id)
        opening = await store_requests.opening(unit, arrival.username, "")
    per_bot, per_user = deps.settings.signals_per_min, deps.settings.signals_per_user_min
    if rush.of_bot >= DROPPED_OVER * per_bot or rush.of_user >= DROPPED_OVER * per_user:
        return None
    try:
        if rush.of_bot >= per_bot or rush.of_user >= per_user:
            raise Throttled(f"at most {per_bot} signals a minute of a bot, {per_user} of a user; try again later")
        body = signals.read_body(arrival.raw)
    except (InvalidInput, Throttled) as error:
        return await _refused(deps, arrival, error, signals.name_in(arrival.raw), rush.now)
    # One of a name that is there is decided anew, too: what is stored is what was decided first.
    signal = await _decided(deps, _new(arrival, body, rush.now), body, opening)
    async with deps.db.for_user(arrival.username) as unit:
        if not signal.is_decided and await store_kills.is_engaged(unit, arrival.username):
            signal = replace(signals.ended(signal, KillSwitchOn(killing.KILLED), rush.now), key_version=1)
        is_new = await store_signals.insert(unit, signal)
        if is_new and not signal.is_decided:
            await _plan(unit, signal, is_awaited=arrival.is_awaited)
    await deps.beats.at("orders.signal.stored")
    return signal if is_new else await _told_again(deps, arrival, signal)


def _is_flood(deps: Deps, arrival: Arrival) -> bool:
    """Count what came to this process, and say whether it is far too much: then not even the database is asked.

    What is told again is stored nowhere, so nothing else would count it.
    """
    now, settings = deps.clock.monotonic(), deps.settings
    of_bot = deps.arrivals.count(f"{arrival.username}.{arrival.bot}", now)
    of_user = deps.arrivals.count(arrival.username, now)
    return of_bot > DROPPED_OVER * settings.signals_per_min or of_user > DROPPED_OVER * settings.signals_per_user_min


def _new(arrival: Arrival, body: SignalBody, now: datetime) -> Signal:
    return Signal(
        id=arrival.row_id,
        username=arrival.username,
        bot=arrival.bot,
        signal_id=body.signal_id,
        state=SignalState.PENDING,
        body=signals.plain(body),
        body_hash=signals.hash_of(signals.canonical(body)),
        broker_mode=body.broker_mode,
        account_id=body.account_id,
        via=arrival.via,
        received_at=now,
        expires_at=body.expires_at,
    )


async def _refused(deps: Deps, arrival: Arrival, error: AppError, name: str | None, now: datetime) -> Signal | None:
    """Keep only that this delivery was refused: the signal's name stays free for one that is better."""
    empty = Signal(
        id=arrival.row_id,
        username=arrival.username,
        bot=arrival.bot,
        signal_id=None,
        state=SignalState.REJECTED,
        body=None if name is None else {"signal_id": name},
        body_hash=signals.hash_of(arrival.raw),
        via=arrival.via,
        received_at=now,
        key_version=0,
    )
    signal = signals.ended(empty, error, now)
    async with deps.db.for_user(arrival.username) as unit:
        is_new = await store_signals.insert(unit, signal)
        return signal if is_new else await store_signals.read(unit, arrival.row_id)


async def _told_again(deps: Deps, arrival: Arrival, signal: Signal) -> Signal | None:
    """Tell a signal's outcome once more to a bot that published it once more; None when there is none of its name."""
    async with deps.db.for_user(arrival.username) as unit:
        known = await store_signals.lock_named(unit, arrival.username, arrival.bot, signal.signal_id or "")
        if known is None:
            return None
        if known.body_hash == signal.body_hash:
            if known.key_version < MOST_TOLD and signals.fact_of(known) is not None:
                known = await store_signals.save(unit, replace(known, key_version=known.key_version + 1))
            return known
    words = f"signal_id {signal.signal_id} was used with another body"
    return await _refused(deps, arrival, IdempotencyMismatch(words), signal.signal_id, signal.received_at)


async def _decided(deps: Deps, signal: Signal, body: SignalBody, opening: Opening) -> Signal:
    """Refuse a new signal, or say how it goes on. Raises: UpstreamUnavailable, only while it is not too late."""
    now = signal.received_at
    try:
        settings, account = await accounts.of_request(deps, signal.username, opening, body.account_id)
        signal = replace(signal, broker_mode=account.broker_mode, account_id=account.account_id)
        signals.check_mode(body, settings.signal_mode, account.broker_mode, now)
        if settings.signal_mode == "auto":
            modes.refuse_unnamed(body.account_id, account.broker_mode)
            return replace(signal, state=SignalState.PLACING)
        await _check_session(deps, signal, body, account)
    except UpstreamUnavailable:
        raise
    except AppError as error:
        return replace(signals.ended(signal, error, now), key_version=1)
    return signal


async def _check_session(deps: Deps, signal: Signal, body: SignalBody, account: Account) -> None:
    """See that the contract trades until the signal's end. Raises: InvalidInput, MarketClosed, UpstreamUnavailable."""
    broker = deps.broker(account.broker_mode, account.account_id, account.token_ciphertext, Priority.POLL)
    contract = checks.series_of(signals.placing(signal))[0]
    now = deps.clock.now()
    clock = await market_clock(broker, now=now)
    is_open = sessions.is_open(deps, clock, account.broker_mode, contract)
    signals.check_session(body, contract, clock, now, is_open=is_open)


async def _plan(unit: Unit, signal: Signal, *, is_awaited: bool) -> None:
    """Let the job see to a signal: at once, when nobody else goes on with it, or when its time is over."""
    due_at: datetime | None = signal.expires_at
    if signal.state is SignalState.PLACING:
        due_at = signal.received_at + timedelta(seconds=INLINE_S) if is_awaited else None
    await unit.schedule(JOB, signal.id, due_at, user=signal.username)
