"""From a bot's words to a trade: received once, approved where its user wants that, placed by the one way to place.

| step     | mark                                          | a crash after it                                     |
|----------|-----------------------------------------------|------------------------------------------------------|
| receive  | the signal's row, its job, its first outcome  | delivered again: the row is there, the job goes on   |
| approve  | state `placing`, the job is due               | the job places                                       |
| place    | the trade's intent names it, in one unit      | the job asks by the same key and gets the same trade |
| conclude | state and outcome in one unit                 | nothing is left to do                                |

A refusal is stored only while no trade carries the signal, under the row's lock; the intent takes the signal under the
same lock. So whoever is late, another replica or this one after a pause, finds it decided.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from libs.common import log
from libs.common.db import Unit
from libs.common.errors import (
    AppError,
    Expired,
    Forbidden,
    IdempotencyInProgress,
    IllegalTransition,
    InvariantBroken,
    KillSwitchOn,
    NotFound,
    OutcomeUnknown,
    UpstreamUnavailable,
)
from libs.common.handlers import Context
from libs.common.ids import new_id
from libs.common.messages.signals import SignalState
from libs.common.messages.vocabulary import OrderStatus
from services.orders import handlers_place, killing, modes, signals, store_audit, store_kills, store_signals
from services.orders.deps import Deps
from services.orders.signals import Signal

JOB = "signal"
INLINE_S = 5.0
"""How long whoever asked for a signal's placement goes on with it before its job does."""
AGAIN = timedelta(seconds=0.5)
TRIED_FOR = timedelta(seconds=60)
"""How long a placement that could not be begun is tried: the price it was decided at grows old."""

_log = log.get(__name__)


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def approve(deps: Deps, username: str, row_id: str, via: str | None, *, by_program: bool = False) -> Signal:
    """Let a waiting signal become a trade, by a person's word or a program's. Idempotent.

    Raises: NotFound, Expired, IllegalTransition, KillSwitchOn, LiveNotEnabled.
    """
    async with deps.db.for_user(username) as unit:
        # The switch before the signal: whoever engages it takes both in this order.
        is_killed = await store_kills.is_engaged(unit, username)
        signal, now = await _locked(unit, row_id), await unit.now()
        if signal.state is SignalState.PENDING and is_killed:
            raise KillSwitchOn(killing.KILLED)
        if signal.state is SignalState.PENDING:
            if signal.expires_at is not None and now >= signal.expires_at:
                raise Expired("the signal's time is over; nothing was sent")
            if by_program:
                # What the signal itself named; the row's account is the settings' where it named none.
                modes.refuse_unnamed((signal.body or {}).get("account_id"), signal.broker_mode)
            signal = await store_signals.save(unit, signals.moved(signal, SignalState.PLACING, now, via=via))
            await unit.schedule(JOB, row_id, now + timedelta(seconds=INLINE_S), user=username)
            await _audited(unit, signal, "signal_approved", via)
        elif signal.state is not SignalState.PLACING and signal.trade_id is None:
            raise IllegalTransition(f"the signal was {signal.state} before: {signal.reason}")
    await deps.beats.at("orders.signal.approved")
    return signal


async def reject(deps: Deps, username: str, row_id: str, via: str | None) -> Signal:
    """Refuse a waiting signal. Idempotent. Raises: NotFound, IllegalTransition."""
    async with deps.db.for_user(username) as unit:
        signal, now = await _locked(unit, row_id), await unit.now()
        if signal.state in {SignalState.REJECTED, SignalState.EXPIRED}:
            return signal
        if signal.state is not SignalState.PENDING:
            raise IllegalTransition(f"the signal is {signal.state}; close its trade instead")
        refusal = Forbidden("rejected by its user")
        signal = await store_signals.save(unit, replace(signals.ended(signal, refusal, now), code="rejected", via=via))
        await _audited(unit, signal, "signal_rejected", via)
        return signal


async def _audited(unit: Unit, signal: Signal, kind: str, via: str | None) -> None:
    text = f"signal {signal.signal_id} of bot {signal.bot} {kind.removeprefix('signal_')}"
    about = {"id": signal.id, "bot": signal.bot, "signal_id": signal.signal_id}
    await store_audit.audited(unit, signal.username, kind, text, about, via=via)


async def _locked(unit: Unit, row_id: str) -> Signal:
    signal = await store_signals.lock(unit, row_id)
    if signal is None:
        raise NotFound("there is no such signal")
    return signal


# ── placing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def advance(deps: Deps, username: str, row_id: str) -> tuple[Signal, datetime | timedelta | None]:
    """Bring a signal as far as it goes now; returns it and when to come again. Idempotent. Raises: NotFound."""
    async with deps.db.for_user(username) as unit:
        signal = await store_signals.read(unit, row_id)
    if signal is None:
        raise NotFound("there is no such signal")
    if signal.is_decided:
        return signal, None
    if signal.state is SignalState.PENDING:
        return await _expired(deps, signal)
    return await _placed(deps, signal)


async def _expired(deps: Deps, signal: Signal) -> tuple[Signal, datetime | None]:
    async with deps.db.for_user(signal.username) as unit:
        signal, now = await _locked(unit, signal.id), await unit.now()
        if signal.state is not SignalState.PENDING or signal.expires_at is None or now < signal.expires_at:
            return signal, None if signal.is_decided else signal.expires_at
        refusal = Expired("nobody approved the signal in time; nothing was sent")
        return await store_signals.save(unit, signals.ended(signal, refusal, now)), None


async def _placed(deps: Deps, signal: Signal) -> tuple[Signal, timedelta | None]:
    """Place, and conclude from what that came to."""
    ctx = Context(
        id=new_id(),
        user=signal.username,
        correlation_id=log.correlation_id.get() or new_id(),
        occurred_at=deps.clock.now(),
        deadline_at=None if signal.trade_id else signal.expires_at,
        via=f"bot {signal.bot}",
    )
    try:
        reply = await handlers_place.place(signals.placing(signal), ctx, deps, signal.bound)
    except IdempotencyInProgress:
        return signal, AGAIN
    except (UpstreamUnavailable, OutcomeUnknown, Expired) as error:
        if "trade_id" not in error.extra and not _is_late(deps, signal):
            _log.info("signal_waits", id=signal.id, code=error.code, detail=error.detail)
            return signal, AGAIN
        return await _concluded(deps, signal, error)
    except InvariantBroken:
        raise
    except AppError as error:
        return await _concluded(deps, signal, error)
    await deps.beats.at("orders.signal.placed")
    trade = reply.json()
    entry = [order for order in trade["orders"] if order["role"] == "ENTRY"][-1]
    unclear = entry["status"] in (OrderStatus.INTENT, OrderStatus.SENT)
    if unclear or (entry["status"] == OrderStatus.UNKNOWN and not _is_late(deps, signal)):
        # Evidence settles it, mostly within the minute; a trade that stays unknown is told as one, it may have been.
        return signal, AGAIN
    return await _concluded(deps, signal, None, trade["id"])


def _is_late(deps: Deps, signal: Signal) -> bool:
    """Say whether the time is over in which what went wrong may go right."""
    until = (signal.decided_at or signal.received_at) + TRIED_FOR
    return deps.clock.now() >= (until if signal.expires_at is None else min(until, signal.expires_at))


async def _concluded(
    deps: Deps, signal: Signal, error: AppError | None, trade_id: str | None = None
) -> tuple[Signal, timedelta | None]:
    """Store the outcome. A refusal without a trade counts only while there is none."""
    async with deps.db.for_user(signal.username) as unit:
        now_there, now = await _locked(unit, signal.id), await unit.now()
        if now_there.state is not SignalState.PLACING:
            return now_there, None
        if error is None:
            after = signals.moved(now_there, SignalState.ACCEPTED, now, trade_id=trade_id)
        elif now_there.trade_id is not None and "trade_id" not in error.extra:
            return now_there, AGAIN
        else:
            after = signals.ended(now_there, error, now)
        return await store_signals.save(unit, after), None
