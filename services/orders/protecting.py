"""Protect: from a holding to resting exits for exactly what is held.

| step      | mark                          | what undoes it                                   | key         |
|-----------|-------------------------------|--------------------------------------------------|-------------|
| quote     | none                          | the stop is passed: sell as `SL_HIT` instead     | trade       |
| intent    | legs INTENT, one tag          | a close, or another quantity: never sent         | order tag   |
| send      | legs SENT                     | nothing: only evidence                           | order tag   |
| record    | WORKING, REJECTED, UNKNOWN    | a second try with a fresh quote, then the policy | order tag   |
| look twice| `confirmed_at`, `reads` ≥ 2   | a stop on the wrong side takes the group down    | broker id   |

1. Exits never coexist with a working entry.
2. Nothing is placed over a bracket, or a sale, that still lives: it is cancelled and confirmed first.
3. A leg that fills in part gets a moment to finish; then what is left gets a bracket of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from libs.common.messages.vocabulary import CloseReason, OrderRole, OrderStatus
from services.orders import adjusting, otoco, protection
from services.orders.merging import NEVER_SENT, NOT_PLACED
from services.orders.steps import (
    LookAgain,
    Moment,
    PlaceBracket,
    RequestClose,
    Restore,
    Send,
    Step,
    Void,
    Wait,
    cancel_or_read,
    read_or_wait,
    retry_after,
    seen_over_at,
    unanswered,
)
from services.orders.trade import BRACKET_ROLES, Group, NakedPolicy, Order, View


def plan(view: View, moment: Moment) -> Step:
    """Return the next step towards every exit asked for resting."""
    if view.trade.successor_occ is not None:
        # Placing looks first, and finds that nothing can be placed; but also who sold what the contract became.
        return PlaceBracket(view.trade.sl_price, view.trade.tp_price)
    brackets = tuple(order for order in view.orders if order.role in BRACKET_ROLES)
    step = unanswered(brackets, moment) or _late_sale(view, moment)
    if step is not None:
        return step
    live = view.live_bracket
    if live:
        return _live(view, live, moment)
    if not protection.wanted(view):
        is_odd = view.trade.foreign_exit is not None or view.trade.shown_qty is not None
        return LookAgain() if is_odd and view.held_qty > 0 else Wait()
    return _bare(view, tuple(order for order in brackets if otoco.protects(view, order)), moment)


def _late_sale(view: View, moment: Moment) -> Step | None:
    """Take down a sale whose close is over: it had been given up as never placed, and is there after all."""
    sale = next((order for order in view.orders if order.role is OrderRole.CLOSE and not order.is_terminal), None)
    if sale is None:
        return None
    if sale.status is OrderStatus.INTENT:
        return Void(sale.tag)
    return unanswered((sale,), moment) or cancel_or_read(sale, moment)


def _live(view: View, live: tuple[Order, ...], moment: Moment) -> Step:
    first = live[0]
    if first.status is OrderStatus.INTENT:
        return Send(first.tag) if first.qty == view.sellable_qty else Void(first.tag)
    leaving = next((order for order in live if order.cancel_at or _must_go(view, order, moment)), None)
    if leaving is not None:
        return cancel_or_read(leaving, moment)
    unsure = next((order for order in live if order.confirmed_at is None or order.odd_since is not None), None)
    if unsure is not None:
        return read_or_wait(unsure, moment)
    offered = {role: sum(o.remaining_qty for o in live if o.role is role) for role in {o.role for o in live}}
    # More than is held, too: a bracket that was given up as never placed may rest beside the one that replaced it.
    if protection.wanted(view) - set(offered) or any(qty != view.sellable_qty for qty in offered.values()):
        return _misfit(view, live, moment)
    return _second_look(view, live, moment)


def _must_go(view: View, order: Order, moment: Moment) -> bool:
    """Say whether an exit sent with the entry is not what protects: held back, at old prices, or never released."""
    if not otoco.protects(view, order) or otoco.is_outdated(view, order):
        return True
    entry = otoco.entry_of(view, order)
    if entry is None or order.confirmed_at is not None:
        return False
    return moment.at(entry.fill_seen_at, view.policy.partial_entry_grace_s) is None


def _second_look(view: View, live: tuple[Order, ...], moment: Moment) -> Step:
    """Look once more at exits that rest: a wrong stop takes its group down a moment after it was let through."""
    for order in live:
        if order.sent_as is not Group.OTOCO:
            seen, since = order.reads >= 2, live[0].answered_at
        else:
            since = max(at for at in (order.confirmed_at, _filled_at(view, order)) if at)
            seen = order.read_at is not None and (order.read_at - since).total_seconds() >= moment.waits.settle_s
        if not seen:
            until = moment.at(since, moment.waits.settle_s)
            return Wait(until) if until else read_or_wait(order, moment)
    return Wait()


def _filled_at(view: View, order: Order) -> datetime | None:
    """Return when we saw the entry filled that an exit was sent with."""
    entry = otoco.entry_of(view, order)
    return None if entry is None else entry.fill_seen_at


def _misfit(view: View, live: tuple[Order, ...], moment: Moment) -> Step:
    """Let a fill in progress finish, then take down what does not fit the holding."""
    fills = [o.fill_seen_at for o in view.orders if o.role in BRACKET_ROLES and o.fill_seen_at]
    until = moment.at(max(fills), moment.waits.partial_exit_grace_s) if fills else None
    if until is None:
        return cancel_or_read(live[0], moment)
    soon = read_or_wait(live[0], moment)
    return soon if not isinstance(soon, Wait) else Wait(min(until, soon.until or until))


def _bare(view: View, brackets: tuple[Order, ...], moment: Moment) -> Step:
    policy = view.policy.naked_policy
    restored = _restored(view, brackets, moment)
    if restored is not None:
        return restored
    tries = failed_tries(brackets, moment, (view.trade.sl_price, view.trade.tp_price))
    most = 1 if policy is NakedPolicy.FLATTEN else moment.waits.repair_tries
    held_back = retry_after(brackets, moment) or _by_hand(view, brackets, moment)
    if held_back is None and tries >= most:
        held_back = refused_sale(view, moment)
    if held_back is not None:
        return held_back
    if view.trade.foreign_exit is not None or view.trade.shown_qty == 0:
        # Nothing is sold either: what we hold is offered by somebody else, or not there. Placing looks again first.
        return PlaceBracket(view.trade.sl_price, view.trade.tp_price)
    if tries and policy is NakedPolicy.ALERT and tries >= moment.waits.repair_tries:
        return Wait()
    if tries >= most:
        return RequestClose(CloseReason.FLATTENED, "its exits could not be placed")
    return PlaceBracket(view.trade.sl_price, view.trade.tp_price)


def _restored(view: View, brackets: tuple[Order, ...], moment: Moment) -> Restore | None:
    """Go back to the prices before an adjust whose exits the broker refused after they were taken for placed."""
    last = tuple(order for order in brackets if order.tag == brackets[-1].tag)
    old = adjusting.replaced(view, last) if failed_tries(last, moment) else None
    words = next((order.reason for order in last if order.reason), None) or "no reason given"
    return None if old is None else Restore(*old, words)


def failed_tries(
    brackets: tuple[Order, ...], moment: Moment, asked: tuple[Decimal | None, Decimal | None] | None = None
) -> int:
    """Count the last brackets in a row that the broker did not let rest, those at the asked prices where given.

    Those that never reached it do not count.
    """
    tries = 0
    for tag in reversed(list(dict.fromkeys(order.tag for order in brackets))):
        legs = [order for order in brackets if order.tag == tag]
        if any(leg.reason in (NOT_PLACED, NEVER_SENT) for leg in legs):
            continue
        # One leg's refusal may be known before its sibling's, which we then ask to cancel: refused all the same.
        refused = any(leg.reason for leg in legs)
        taken_down = is_cancelled_by_hand(legs) or any(leg.cancel_at for leg in legs)
        if any(leg.filled_qty for leg in legs) or (taken_down and not refused) or _rested(legs, moment):
            break
        tries += asked is None or adjusting.prices_of(legs) == asked
    return tries


def is_cancelled_by_hand(legs: Iterable[Order]) -> bool:
    """Say whether somebody else took a resting bracket down at the broker, which gives a reason when it does so."""
    legs = tuple(legs)
    seen = any(o.confirmed_at and not o.cancel_at and o.status is OrderStatus.CANCELLED for o in legs)
    return seen and not any(order.reason for order in legs)


def is_repair(view: View) -> bool:
    """Say whether exits are missing that nobody of us took down: then everything is looked at before they go back."""
    trade = view.trade
    if trade.foreign_exit is not None or trade.shown_qty is not None or trade.successor_occ is not None:
        return True
    # Those that never left say nothing of what became of the ones before them.
    sent = (order for order in reversed(view.orders) if order.reason not in (NOT_PLACED, NEVER_SENT))
    last = next((order for order in sent if order.role in BRACKET_ROLES), None)
    if last is None:
        return False
    # Exits sent with their entry carry its tag; what the entry bought takes no exit down.
    legs = [order for order in view.by_tag(last.tag) if order.role in BRACKET_ROLES]
    if any(order.filled_qty for order in legs):
        return False
    # One leg may be seen gone before the other, which we then take down: that is no less somebody else's doing.
    by_itself = any(order.status is OrderStatus.CANCELLED and not order.cancel_at for order in legs)
    return by_itself or not any(order.cancel_at for order in legs)


def _rested(legs: list[Order], moment: Moment) -> bool:
    """Say whether a bracket had rested for long, by our own times."""
    answered = min((leg.confirmed_at for leg in legs if leg.confirmed_at), default=None)
    read = max((leg.read_at for leg in legs if leg.read_at), default=None)
    if answered is None or read is None:
        return False
    return (read - answered).total_seconds() >= moment.waits.steady_s


def _by_hand(view: View, brackets: tuple[Order, ...], moment: Moment) -> Wait | None:
    """Leave a person time who cancelled the exits at the broker."""
    last = brackets[-1] if brackets else None
    if last is None:
        return None
    legs = tuple(order for order in brackets if order.tag == last.tag)
    if not is_cancelled_by_hand(legs) or any(order.filled_qty for order in legs):
        return None
    until = moment.at(last.read_at, view.policy.repair_delay_s)
    return Wait(until) if until else None


def was_sale_refused(view: View) -> bool:
    """Say whether the broker refused the last sale: it may know that there is nothing to sell."""
    sales = [o for o in view.orders if o.role is OrderRole.CLOSE and o.reason not in (NOT_PLACED, NEVER_SENT)]
    sales = [order for order in sales if order.status is not OrderStatus.INTENT and order.sent_as is not Group.FOREIGN]
    return bool(sales) and sales[-1].status is OrderStatus.REJECTED


def refused_sale(view: View, moment: Moment) -> Wait | None:
    """Do not hammer: after a refused sale the next one that we decide on ourselves waits."""
    refused = [seen_over_at(o) for o in view.orders if o.role is OrderRole.CLOSE and o.status is OrderStatus.REJECTED]
    last = max((at for at in refused if at), default=None)
    until = moment.at(last, moment.waits.close_retry_s)
    return Wait(until) if until else None
