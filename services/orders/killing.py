"""What the kill switch does next, and what it says of itself. Pure.

1. Every trade that was open when it was engaged, and every one that comes to light while it is, is ended: an entry is
   cancelled, what is held is sold. Releasing takes none of that back, and revives nothing.
2. Entries go first, then what may lose most.
3. No more exits are taken down than sales can follow: a holding waits with its exits until there is room.
4. Outside its session a holding keeps its exits, and its sale waits for the open.
5. A trade stands in one list until it is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.broker.reports import PositionReport
from libs.common.errors import AppError, InvalidInput, UpstreamAuth, UpstreamRefused, UpstreamUnavailable
from libs.common.messages.safety import KillRow, KillState
from libs.common.messages.vocabulary import BrokerMode, CloseReason, Protection
from services.orders import asking
from services.orders.limits import risk_usd
from services.orders.plan import is_running
from services.orders.steps import Moment
from services.orders.trade import ActionKind, ActionState, View

MOST_LISTED = 500
"""So many rows an answer lists at most: a fact must fit the bus."""
LONGEST_REASON = 240
"""The broker's own words may be among a reason's."""
ROOM_S = 10.0
"""Sales that can leave within so long may follow exits that are taken down now."""
MOST_BARE = 8
"""So many holdings are without their exits at once, waiting for their sales to leave, at most."""
_LISTS = ("closing", "queued_for_open", "unknown", "failed", "settling")
KILLED = "the kill switch is engaged; release it before you trade again"
WORDS = "the kill switch is engaged"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an account cannot be reached, in words that stay the same while it does; `lasts`: only a person ends it."""

    words: str
    lasts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """An open trade that the switch is to end, as stored. Units: `qty` what is held, of an entry what was asked for."""

    trade_id: str
    occ_symbol: str
    account_id: str
    broker_mode: BrokerMode
    qty: int
    held_qty: int
    multiplier: int
    price: Decimal
    """What was paid, or was to be paid."""
    stop: Decimal | None
    protection: Protection
    is_settling: bool
    has_live_entry: bool
    has_unknown: bool
    has_live_exits: bool
    has_leaving: bool
    """An order of it was asked to be cancelled and is not seen ended."""
    has_live_sale: bool
    is_unbid: bool
    """Its sale rests at the least price, for want of a bid."""
    close_state: ActionState | None
    """Of the close that is on its way, whoever asked for it."""
    failed_at: datetime | None
    """When the last sale of the switch failed."""
    failed_words: str | None
    successor_occ: str | None
    trouble: str | None = None
    """What keeps the switch from its account."""
    trouble_lasts: bool = False

    @property
    def risk_usd(self) -> Decimal:
        """Return what may be lost."""
        bare = self.protection in (Protection.NAKED, Protection.NONE)
        return risk_usd(self.held_qty, self.multiplier, self.price, None if bare else self.stop)

    @property
    def is_bare_for_us(self) -> bool:
        """Say whether its exits are down for a sale that is not yet at the broker."""
        is_closing = self.close_state in (ActionState.REQUESTED, ActionState.RUNNING)
        return is_closing and self.held_qty > 0 and not self.has_live_sale


def shown(
    rows: Iterable[Doomed], foreign: Iterable[KillRow], *, engaged: bool, changed_at: datetime | None
) -> KillState:
    """Tell where everything stands."""
    lists: dict[str, list[KillRow]] = {name: [] for name in _LISTS}
    for row in rows:
        name, reason = _where(row)
        lists[name].append(
            KillRow(
                trade_id=row.trade_id,
                occ_symbol=row.occ_symbol,
                account_id=row.account_id,
                broker_mode=row.broker_mode,
                qty=row.held_qty or row.qty,
                reason=reason[:LONGEST_REASON],
            )
        )
    lists["foreign"] = list(foreign)
    omitted = sum(max(len(found) - MOST_LISTED, 0) for found in lists.values())
    listed = {name: tuple(found[:MOST_LISTED]) for name, found in lists.items()}
    return KillState(engaged=engaged, changed_at=changed_at, omitted=omitted, **listed)


def trouble_of(error: AppError | TimeoutError) -> Trouble:
    """Say what an account that could not be reached is in."""
    if isinstance(error, (UpstreamUnavailable, TimeoutError)):
        return Trouble("the broker does not answer", lasts=False)
    # What was asked stands in brackets and changes from one look to the next.
    return Trouble(
        str(error).partition(" (")[0], lasts=isinstance(error, (UpstreamAuth, UpstreamRefused, InvalidInput))
    )


def _where(row: Doomed) -> tuple[str, str]:
    name, reason = _stands(row)
    if row.trouble is None or name != "closing":
        return name, reason
    if row.trouble_lasts:
        return "failed", f"{row.trouble}; its exits rest" if row.has_live_exits else row.trouble
    return name, f"{reason}; {row.trouble}"


def _stands(row: Doomed) -> tuple[str, str]:  # noqa: PLR0911 - one answer per place
    if row.is_settling:
        return "settling", "the contract trades no more; it settles by itself"
    if row.has_unknown:
        return "unknown", "an order got no clear answer; being settled by what the broker shows"
    if row.close_state is ActionState.QUEUED:
        return "queued_for_open", "the session is closed; sold once it opens"
    if row.close_state is None and row.successor_occ is not None:
        return "failed", f"the contract became {row.successor_occ}: it is sold by hand"
    if row.close_state is None and row.failed_at is not None:
        return "failed", row.failed_words or "the broker refused the sale"
    if row.close_state is None:
        return "closing", "waits for its turn; its exits rest" if row.held_qty > 0 else "waits for its turn"
    if row.has_live_entry:
        return "closing", "the entry is being cancelled"
    if row.has_live_sale:
        return (
            "closing",
            "nobody bids; the sale rests at the least price" if row.is_unbid else "the sale is at the broker",
        )
    return "closing", "the exits are being cancelled" if row.has_live_exits else "the sale is being prepared"


# ── what is next ─────────────────────────────────────────────────────────────────────────────────────────────────────


def may_begin(row: Doomed, moment: Moment) -> bool:
    """Say whether a close of the switch can be asked for now."""
    if row.is_settling or row.close_state is not None or row.successor_occ is not None:
        return False
    return moment.at(row.failed_at, moment.waits.close_retry_s) is None


def entries_first(rows: Iterable[Doomed], moment: Moment) -> tuple[Doomed, ...]:
    """List what can begin at once: entries that work or are unknown, and nothing held."""
    return tuple(row for row in rows if row.held_qty <= 0 and may_begin(row, moment))


def holdings(rows: Iterable[Doomed], moment: Moment) -> tuple[Doomed, ...]:
    """List holdings to be sold, what may lose most first."""
    waiting = [row for row in rows if row.held_qty > 0 and may_begin(row, moment)]
    return tuple(sorted(waiting, key=lambda row: (not row.has_live_entry, -row.risk_usd, row.trade_id)))


def room(rows: Iterable[Doomed], writes_left: int) -> int:
    """Return how many more exits may be taken down now: each costs a cancel and a sale, those under way a sale."""
    bare = sum(row.is_bare_for_us for row in rows)
    return max(min(MOST_BARE - bare, (writes_left - bare) // 2), 0)


def moves(row: Doomed) -> bool:
    """Say whether something of it may have changed within a second."""
    return not row.is_settling and row.close_state is not ActionState.QUEUED and row.failed_at is None


def begun(view: View, moment: Moment, *, is_open: bool, new_id: Callable[[], str]) -> View:
    """Ask for the end of one trade, under its lock; what waits for an open makes room for it."""
    if view.trade.is_locked or view.trade.settling_at is not None:
        return view
    if view.close_action is not None:
        return view
    if view.queued is not None:
        view = asking.ended(view, view.queued.id, ActionState.WITHDRAWN, moment.now, words=WORDS)
    running = view.running
    if view.held_qty > 0 and not is_open:
        if running is not None and running.kind is ActionKind.ADJUST:
            return view  # it ends in a moment; a queued close beside it would have to wait for it
        state = ActionState.QUEUED
    else:
        state = ActionState.REQUESTED if is_running(view, moment) else ActionState.RUNNING
    return asking.with_close(
        view, action_id=new_id(), reason=CloseReason.KILL_SWITCH, state=state, now=moment.now, words=WORDS
    )


def refused_entry(view: View, moment: Moment, *, new_id: Callable[[], str]) -> View:
    """End a trade whose entry must not be sent because the switch is engaged: its intent is voided by the close."""
    for queued in [action for action in view.actions if action.state is ActionState.QUEUED]:
        view = asking.ended(view, queued.id, ActionState.WITHDRAWN, moment.now, words=WORDS)
    return asking.with_close(
        view,
        action_id=new_id(),
        reason=CloseReason.KILL_SWITCH,
        state=ActionState.RUNNING,
        now=moment.now,
        words=WORDS,
    )


def foreign(
    mode: BrokerMode,
    account_id: str,
    positions: Iterable[PositionReport],
    held: tuple[Mapping[str, int | None], Mapping[str, int | None]],
) -> tuple[KillRow, ...]:
    """List what an account holds beyond our trades. `held`: theirs by contract, before and after the broker was asked.

    None in it: an entry of ours may be executing there, so nobody can tell.
    """
    found = []
    for position in positions:
        known = [one.get(position.symbol, 0) for one in held]
        ours = None if None in known else max(qty or 0 for qty in known)
        qty = 0 if ours is None else int(position.qty) - ours
        if qty > 0 or (qty < 0 and not ours):
            found.append(
                KillRow(
                    trade_id=None,
                    occ_symbol=position.symbol,
                    account_id=account_id,
                    broker_mode=mode,
                    qty=qty,
                    reason="not ours: left alone",
                )
            )
    return tuple(found)
