"""What is wrong with a trade as orders itself sees it: derived from its state, so that it ends by itself.

1. A concern is raised once and ended once; which are open follows from the trade alone.
2. A trade that is over has no concern but an order of its own that still lives, or what that order did after all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from libs.broker.orders import OrderType
from libs.common.messages.vocabulary import (
    OptionType,
    OrderRole,
    OrderStatus,
    Protection,
    Settlement,
    Severity,
    TradeStatus,
)
from services.orders import closing, oversold, protection
from services.orders.beside import OpenConcern
from services.orders.steps import Moment
from services.orders.trade import Group, View


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that is wrong now."""

    kind: str
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """A concern to store and tell: raised, or ended when `ended_at` is set."""

    concern: OpenConcern
    ended_at: datetime | None = None


def found(view: View, moment: Moment) -> tuple[Found, ...]:
    """List what is wrong now."""
    symbol = view.trade.occ_symbol
    wrong: list[Found] = []
    wrong += [*_unknown(view, symbol), *_odd(view, moment)]
    slow = [o.cancel_first_at for o in view.orders if not o.is_terminal and o.cancel_first_at]
    if any(moment.at(at, moment.waits.cancel_alarm_s) is None for at in slow):
        wrong.append(Found("cancel_unconfirmed", Severity.ERROR, f"{symbol}: the broker does not confirm a cancel"))
    if view.held_qty < 0:
        wrong.append(Found("short", Severity.CRITICAL, f"{symbol}: more was sold than bought, {-view.held_qty} short"))
    if view.trade.status is TradeStatus.CLOSED:
        return (*wrong, *_bought_twice(view), *_exercised(view, moment))
    wrong += _of_holding(view)
    if _settles_too_long(view, moment):
        wrong.append(Found("unsettled", Severity.ERROR, f"{symbol}: expired, and nobody says how it was settled"))
    if _is_naked(view, moment):
        held = view.held_qty
        wrong.append(Found("naked", Severity.CRITICAL, f"{symbol}: {held} held without every exit asked for"))
    elif _sells_too_long(view, moment):
        text = f"{symbol}: the sale of {view.held_qty} does not execute, and nothing else protects them"
        wrong.append(Found("close_unfilled", Severity.ERROR, text))
    if _has_no_bid(view):
        wrong.append(Found("no_bid", Severity.WARNING, f"{symbol}: nobody bids; a sale rests at the least price"))
    return tuple(wrong)


def _unknown(view: View, symbol: str) -> list[Found]:
    unknown = [order for order in view.orders if order.status is OrderStatus.UNKNOWN]
    if not unknown:
        return []
    doubt = next((order.doubt for order in unknown if order.doubt), None)
    if doubt is None:
        return [Found("unknown_order", Severity.ERROR, f"{symbol}: an order got no clear answer; being settled")]
    role = unknown[0].role.replace("_", " ").lower()
    text = (
        f"{symbol}: nobody can tell whether the {role} order reached the broker: {doubt}. "
        "Compare with the broker's own list, then name its order there, or say that there is none"
    )
    return [Found("unsettled_order", Severity.ERROR, text)]


def _odd(view: View, moment: Moment) -> list[Found]:
    """Find orders that the broker has, but shows for long as neither working nor over."""
    for order in view.orders:
        if order.is_terminal or order.group_order_id is None:
            continue
        held_back = order.sent_as is Group.OTOCO and order.role is not OrderRole.ENTRY
        is_told = held_back or order.role is OrderRole.CLOSE
        pending_since = None if order.confirmed_at or is_told else order.answered_at
        since = order.odd_since or pending_since
        if since is not None and moment.at(since, moment.waits.odd_alarm_s) is None:
            shown = "in a state nobody knows" if order.odd_since else "as not yet accepted"
            text = f"{view.trade.occ_symbol}: the broker keeps showing order {order.group_order_id} {shown}; look there"
            return [Found("odd_order", Severity.ERROR, text)]
    return []


def _of_holding(view: View) -> list[Found]:
    """List what is odd about a holding, however well it is protected."""
    trade = view.trade
    symbol, held = trade.occ_symbol, view.held_qty
    wrong = []
    if trade.recovered_from is not None:
        text = f"{symbol}: {trade.filled_qty} were bought by an entry after its trade {trade.recovered_from} was over"
        wrong.append(Found("late_fill", Severity.ERROR, text))
    if trade.shown_qty is not None and trade.shown_qty < held:
        text = f"{symbol}: {held} held by our orders, the broker shows {trade.shown_qty} and no sale explains it"
        wrong.append(Found("shortfall", Severity.ERROR, text))
    if trade.foreign_exit is not None:
        text = (
            f"{symbol}: an order that is not ours ({trade.foreign_exit}) offers what we hold; ours cannot rest beside"
        )
        wrong.append(Found("foreign_exit", Severity.WARNING, text))
    if trade.successor_occ is not None:
        text = f"{symbol} became {trade.successor_occ} by a corporate action; its exits are in your hands"
        wrong.append(Found("corporate_action", Severity.CRITICAL, text))
    return wrong


def changes(view: View, moment: Moment) -> tuple[Change, ...]:
    """Compare what is wrong with what is known to be."""
    wrong = {one.kind: one for one in found(view, moment)}
    known = {one.kind: one for one in view.concerns}
    ended = [
        Change(replace(one, key_version=one.key_version + 1), moment.now)
        for kind, one in known.items()
        if kind not in wrong
    ]
    raised = [
        Change(
            OpenConcern(
                concern_key=f"{kind}:{view.trade.id}:{int(moment.now.timestamp() * 1000)}",
                kind=kind,
                severity=one.severity,
                text=one.text,
                since_at=moment.now,
            )
        )
        for kind, one in wrong.items()
        if kind not in known
    ]
    return (*ended, *raised)


def next_look(view: View, moment: Moment) -> datetime | None:
    """Return when a concern may begin that no step would notice."""
    trade = view.trade
    bare = None if trade.naked_since is None else moment.at(_seen_bare_at(view), moment.waits.naked_alarm_s)
    told = trade.settlement is Settlement.EXERCISED or trade.status is not TradeStatus.CLOSED
    settled = moment.at(trade.settling_at, moment.waits.exercised_alarm_s) if told else None
    selling = moment.at(_selling_since(view), moment.waits.cancel_alarm_s)
    shares = [moment.at(order.created_at, moment.waits.exercised_alarm_s) for order in oversold.assigned(view)]
    return min((at for at in (bare, settled, selling, *shares) if at is not None), default=None)


def _bought_twice(view: View) -> tuple[Found, ...]:
    """Tell of what is held by a trade that is over: a purchase to cover surfaced beside the one that replaced it."""
    if view.held_qty <= 0:
        return ()
    words = f"{view.held_qty} more were bought back than had been sold; they are held without exits: sell them by hand"
    return (Found("naked", Severity.CRITICAL, f"{view.trade.occ_symbol}: {words}"),)


def _exercised(view: View, moment: Moment) -> tuple[Found, ...]:
    """Tell for a few days that there are shares now where there was an option."""
    trade = view.trade
    late = [o for o in oversold.assigned(view) if moment.at(o.created_at, moment.waits.exercised_alarm_s) is not None]
    if late:
        text = f"{trade.occ_symbol}: {late[0].qty} sold beyond the holding were {late[0].reason}"
        return (Found("exercised", Severity.WARNING, text),)
    is_news = moment.at(trade.settling_at, moment.waits.exercised_alarm_s) is not None
    if trade.settlement is not Settlement.EXERCISED or not is_news:
        return ()
    shares = trade.settled_qty * trade.multiplier
    told = f"you now hold {shares}" if trade.option_type is OptionType.CALL else f"you sold {shares}"
    text = f"{trade.occ_symbol} was exercised: {told} shares of {trade.ticker} at {trade.strike}"
    return (Found("exercised", Severity.WARNING, text),)


def _settles_too_long(view: View, moment: Moment) -> bool:
    at = view.trade.settling_at
    return at is not None and moment.at(at, moment.waits.exercised_alarm_s) is None


def _is_naked(view: View, moment: Moment) -> bool:
    if view.trade.protection is Protection.NAKED:
        return True
    if view.trade.protection is Protection.SETTLING:
        return False
    if view.held_qty <= 0 or protection.is_covered(view) or _is_being_sold(view) or _has_no_bid(view):
        return False
    if any(known.kind == "naked" for known in view.concerns):
        return True  # what began in the meantime protects nothing yet
    grace_s = float(view.policy.partial_entry_grace_s) if view.trade.status is TradeStatus.PARTIAL else 0.0
    return moment.at(_seen_bare_at(view), moment.waits.naked_alarm_s + grace_s) is None


def _is_being_sold(view: View) -> bool:
    """Say whether a sale is at the broker; exits that went down for one that cannot leave yet leave a holding bare."""
    return any(order.role is OrderRole.CLOSE and not order.is_terminal for order in view.orders)


def _seen_bare_at(view: View) -> datetime | None:
    """Return our own time of first seeing a holding; a venue's clock may differ from ours."""
    seen = [order.fill_seen_at for order in view.entry_orders if order.fill_seen_at]
    begun = [action.begun_at for action in view.actions if action.begun_at]
    return max([*seen, *begun], default=None)


def _sells_too_long(view: View, moment: Moment) -> bool:
    """Say whether a sale at the market has been asked for as long as a cancel may take, and is not done."""
    since = _selling_since(view)
    return since is not None and moment.at(since, moment.waits.cancel_alarm_s) is None


def _selling_since(view: View) -> datetime | None:
    sales = [order for order in view.orders if order.role is OrderRole.CLOSE and order.is_working]
    return min((o.sent_at for o in sales if o.sent_at and o.type is OrderType.MARKET), default=None)


def _has_no_bid(view: View) -> bool:
    """Say whether a sale waits for a bid: over the night too, while it waits to be renewed."""
    return closing.unbid(view) is not None
