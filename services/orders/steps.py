"""What a flow can do next, as data, and the waits between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from libs.common.messages.vocabulary import CloseReason, OrderRole, OrderStatus
from services.orders.contract import Beside
from services.orders.merging import NOT_PLACED
from services.orders.trade import ActionState, Group, Order, View

SOON_READS = 24
"""After so many reads, a minute or two, an order is in no hurry any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Every wait of the order path. Units: seconds, real ones."""

    send_by_s: float = 10.0
    signal_price_s: float = 2.0
    """How long a signal's price, once checked, counts: its entry is sent by then or not at all."""
    confirm_first_s: float = 0.05
    confirm_last_s: float = 5.0
    confirm_slow_s: float = 30.0
    """Between reads of an order that stays in a state which is neither working nor over."""
    odd_alarm_s: float = 30.0
    """How long an order may stay so before somebody is told."""
    settle_s: float = 1.2
    """A second look at new exits: a stop on the wrong side takes its group down up to a second after "ok"."""
    look_every_s: float = 3.0
    look_last_s: float = 30.0
    """Between looks for a write that evidence does not settle."""
    look_gap_entry_s: float = 30.0
    look_gap_exit_s: float = 3.0
    clock_skew_s: float = 2.0
    """How far the venue's clock may lag behind what we know of it."""
    base_s: float = 1.0
    """How long an intent waits for the contract's position before it; the quote comes at the same time."""
    preview_s: float = 5.0
    """How long a preview of the broker's is trusted."""
    mark_s: float = 120.0
    """How old a mark may be; an older one counts as the stop."""
    recancel_s: float = 5.0
    cancel_alarm_s: float = 30.0
    naked_alarm_s: float = 5.0
    partial_exit_grace_s: float = 5.0
    orphan_grace_s: float = 2.0
    steady_s: float = 10.0
    """A bracket that ended before it rested this long was a failed try."""
    stop_limit_grace_s: float = 10.0
    stop_look_s: float = 5.0
    """How often a stop with a limit is looked at while the market is near it."""
    nap_s: float = 0.25
    """A flow that waits no longer than this keeps its claim and waits where it is."""
    guess_s: float = 1.0
    """How old the market may be that was read beside a cancel's confirmation when an order is made of it."""
    away_read_s: float = 5.0
    """How often a working entry is read by ourselves while nobody brings news, and monitor asked whether it does."""
    retry_first_s: float = 0.5
    retry_last_s: float = 30.0
    close_retry_s: float = 30.0
    """Between two sales we decide on ourselves when the broker refuses them."""
    absorbed_s: float = 900.0
    """So long after a sale beyond the holding, positions that still show no short are no report that lags."""
    inventory_look_s: float = 30.0
    """Between two looks at whether what keeps exits from resting is still there."""
    queue_settle_s: float = 60.0
    queue_poll_s: float = 5.0
    repair_tries: int = 2
    expiry_look_s: float = 30.0
    """How often expiring trades are looked at."""
    fees_look_s: float = 900.0
    """Between two looks at whether the history tells the commissions of trades that are over."""
    settling_read_s: float = 60.0
    settling_last_s: float = 600.0
    exercised_alarm_s: float = 259_200.0
    """How long an exercise stays an open incident."""
    kill_look_s: float = 1.0
    """Between two looks at what the kill switch has to end, while something moves."""
    kill_soon_s: float = 0.3
    """The same right after something was begun: its cancels are at the broker by then."""
    kill_idle_s: float = 10.0
    """The same while nothing does: what comes to light late is seen then at the latest."""
    kill_list_s: float = 2.0
    """How long a cancel of the kill switch waits for the one list that confirms many, before it is read by itself."""
    kill_read_s: float = 8.0
    kill_answer_s: float = 2.0
    """How long the request waits for the first look at what the accounts hold beside our trades."""
    kill_foreign_s: float = 60.0


# ── steps that talk to the broker ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Send:
    """Send the orders of one intent, once."""

    tag: str


@dataclass(frozen=True, slots=True)
class Look:
    """Look for an unanswered write in the account's complete list."""

    tag: str


@dataclass(frozen=True, slots=True)
class Read:
    """Read one broker order by its id."""

    group_order_id: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask for the cancel of one broker order, a group by its parent."""

    group_order_id: str


@dataclass(frozen=True, slots=True)
class PlaceBracket:
    """Take a fresh quote and make the intents of the exits."""

    sl: Decimal | None
    tp: Decimal | None


@dataclass(frozen=True, slots=True)
class PlaceSell:
    """Take a fresh quote and make the intent of the close."""


@dataclass(frozen=True, slots=True)
class ResendEntry:
    """Make another intent of the entry: at the coarser tick, or with the exits that are asked for now."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class PlaceCover:
    """See that the account is short, and make the intent of buying it back."""


@dataclass(frozen=True, slots=True)
class Inspect:
    """Read everything of the contract again, because monitor found the trade at odds with the broker."""

    action_id: str


@dataclass(frozen=True, slots=True)
class CheckOpen:
    """See whether the session a queued action waits for is open, with a two-sided quote."""

    action_id: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """See whether a holding that asks for no exits is still offered by others, or less than our orders say."""


# ── steps that only change what we know ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class MarkUnknown:
    """The writer died between sending and recording."""

    tag: str


@dataclass(frozen=True, slots=True)
class Void:
    """End an intent that must not be sent any more."""

    tag: str


@dataclass(frozen=True, slots=True)
class GiveUpEntry:
    """The time to send an entry once more is over."""

    price: Decimal


@dataclass(frozen=True, slots=True)
class BeginClose:
    """Start the stored close at this safe mark."""

    action_id: str


@dataclass(frozen=True, slots=True)
class RequestClose:
    """Decide to sell: the stop is passed, or the exits cannot be placed."""

    reason: CloseReason
    words: str


@dataclass(frozen=True, slots=True)
class FailClose:
    """The sell was refused or ended unfilled."""

    action_id: str
    words: str


@dataclass(frozen=True, slots=True)
class EndAction:
    """An action is over."""

    action_id: str
    state: ActionState
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Reprice:
    """The new exits rest: stop and target are theirs, and the adjust is done."""

    action_id: str
    sl: Decimal | None
    tp: Decimal | None


@dataclass(frozen=True, slots=True)
class Restore:
    """The adjust's exits were refused after they had been taken for placed: the old prices are asked for again."""

    sl: Decimal | None
    tp: Decimal | None
    words: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`; None: until somebody brings news."""

    until: datetime | None = None


Question = Look | Read | PlaceBracket | PlaceSell | PlaceCover | ResendEntry | Inspect | CheckOpen | LookAgain
"""Asks the broker, and at most makes an intent of what it says."""
Talk = Send | Cancel | Question
Decide = MarkUnknown | Void | GiveUpEntry | BeginClose | RequestClose | FailClose | EndAction | Reprice | Restore
Step = Talk | Decide | Wait


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, with what the waits say. `news_away`: nobody brings us news, so we ask ourselves."""

    now: datetime
    waits: Waits = field(default_factory=Waits)
    news_away: bool = False

    def at(self, since: datetime | None, after_s: float | Decimal) -> datetime | None:
        """Return the moment `after_s` past `since` when it is still to come, else None."""
        due = None if since is None else since + timedelta(seconds=float(after_s))
        return due if due is not None and due > self.now else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call changes, and how long there is nothing to do after it.

    A fact is what became of a write, or what the broker shows: true whoever drives the trade by now. Everything else is
    the driver's own decision, and nothing any more once the claim is lost.
    """

    apply: Callable[[View, Moment], View]
    pause_s: float = 0.0
    is_fact: bool = False
    to_read: str | None = None
    """The broker order that was just received, or asked to go: it is read next."""
    among: Callable[[Beside], Outcome] | None = None
    """The same, judged anew by what the account's other trades have by now: asked for under the account's lock."""


def read_or_wait(order: Order, moment: Moment) -> Step:
    """Read a broker order again, at growing intervals since it was accepted or its cancel was asked for."""
    if order.group_order_id is None:
        return Look(order.tag)
    waits = moment.waits
    last_s = waits.confirm_last_s if order.reads < SOON_READS else waits.confirm_slow_s
    gap = min(waits.confirm_first_s * 1.5 ** min(order.reads - 1, 20), last_s)
    until = moment.at(order.read_at, gap) if order.reads else None
    return Wait(until) if until else Read(order.group_order_id)


def cancel_or_read(order: Order, moment: Moment) -> Step:
    """Ask for a cancel, then read until it is confirmed; ask again when it is not.

    It is read at least once before it is asked for again: an answer that takes longer than the time between two
    cancels would else be followed by the next cancel for ever, and nobody would see that the first one worked.
    """
    if order.group_order_id is None:
        return Look(order.tag)
    is_due = order.cancel_at is not None and moment.at(order.cancel_at, moment.waits.recancel_s) is None
    if order.cancel_at is None or (is_due and order.reads):
        return Cancel(order.group_order_id)
    return read_or_wait(order, moment)


def unanswered(orders: tuple[Order, ...], moment: Moment) -> Step | None:
    """Settle writes without an answer first: whoever drives the trade now knows that nobody else has it in hand."""
    soonest: datetime | None = None
    for order in orders:
        if order.status is OrderStatus.SENT:
            return MarkUnknown(order.tag)
        if order.status is OrderStatus.UNKNOWN:
            until = next_look_at(order, moment)
            if until is None:
                return Look(order.tag)
            soonest = until if soonest is None else min(soonest, until)
    return Wait(soonest) if soonest else None


def evidence_gap_s(order: Order, waits: Waits) -> float:
    """Return how far apart two looks must be that prove a write never placed. Units: seconds.

    An exit's may be short where nobody else has lots in the contract: were it there after all, the broker itself would
    refuse to sell as much again. With lots of others, or when nobody could tell, it would sell theirs.
    """
    is_exit = order.role not in (OrderRole.ENTRY, OrderRole.COVER) and order.sent_as is not Group.OTOCO
    return waits.look_gap_exit_s if is_exit and order.base_qty == 0 else waits.look_gap_entry_s


def next_look_at(order: Order, moment: Moment) -> datetime | None:
    """Return when to look again for an unknown write: ever more seldom, but in time for the proof; None: now."""
    waits = moment.waits
    if order.read_at is None:
        return None
    gap_s = min(waits.look_every_s * 1.5 ** min(max(order.looks - 2, 0), 20), waits.look_last_s)
    due_at = order.read_at + timedelta(seconds=gap_s)
    if order.look_at is not None:
        proof_at = order.look_at + timedelta(seconds=evidence_gap_s(order, waits))
        due_at = min(due_at, proof_at) if order.read_at < proof_at else due_at
    return due_at if due_at > moment.now else None


def seen_over_at(order: Order) -> datetime | None:
    """Return our own time of seeing an order's end: `ended_at` is the venue's, whose clock may be days from ours."""
    return max((at for at in (order.read_at, order.answered_at) if at is not None), default=order.ended_at)


def retry_after(orders: tuple[Order, ...], moment: Moment) -> Wait | None:
    """Hold back the next intent while the last ones could not be sent."""
    failures = 0
    for order in reversed(orders):
        if order.reason != NOT_PLACED:
            break
        failures += 1
    if not failures:
        return None
    gap = min(moment.waits.retry_first_s * 2 ** min(failures - 1, 12), moment.waits.retry_last_s)
    until = moment.at(orders[-1].ended_at, gap)
    return Wait(until) if until else None
