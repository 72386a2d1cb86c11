"""What becomes of a trade and its orders when something happens: the one place where a state is assigned.

1. A trade moves only along `TRANSITIONS`; anything else is `IllegalTransition` (a trigger refuses it too).
2. Quantities before statuses: an order that ended with executed quantity has filled that much, whatever its end.
3. Merging reports is monotone: what executed never falls, a terminal order never lives again, a repeat changes nothing.
4. A locked trade's own values never change; only its orders do.
5. Money is exact: P&L is what the exits brought less what the entry cost, in cents.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from libs.common.errors import IllegalTransition
from libs.common.messages.vocabulary import (
    SANDBOX_WIPE,
    CloseReason,
    OrderRole,
    OrderStatus,
    Protection,
    TradeStatus,
    TriggerPrecision,
)
from libs.market import money
from services.orders import corrections, protection
from services.orders.merging import LAPSED, NEVER_SENT, NOT_PLACED, Report, merge
from services.orders.past import GUESSED, is_past
from services.orders.results import Ending, amounts, ended_by
from services.orders.trade import EXIT_ROLES, Event, Group, Order, Trade, View


class Happening(StrEnum):
    """What can move a trade."""

    ENTRY_PARTIAL = "entry_partial"
    """Something is executed, the rest works."""
    ENTRY_DONE = "entry_done"
    """The entry is over with something executed."""
    ENTRY_EMPTY = "entry_empty"
    """The entry is over with nothing executed."""
    CLOSE_BEGUN = "close_begun"
    CLOSE_FAILED = "close_failed"
    """The sell was refused or ended unfilled; what is held is protected again."""
    FLAT = "flat"
    """The entry is over and nothing is held any more."""
    ENDED_ELSEWHERE = "ended_elsewhere"
    """What was held ended without an order of ours: it expired, or the broker wrote it off."""


TRANSITIONS: dict[tuple[TradeStatus, Happening], TradeStatus] = {
    (TradeStatus.OPEN, Happening.ENTRY_PARTIAL): TradeStatus.PARTIAL,
    (TradeStatus.OPEN, Happening.ENTRY_DONE): TradeStatus.FILLED,
    (TradeStatus.OPEN, Happening.ENTRY_EMPTY): TradeStatus.CLOSED,
    (TradeStatus.OPEN, Happening.CLOSE_BEGUN): TradeStatus.CLOSING,
    (TradeStatus.PARTIAL, Happening.ENTRY_PARTIAL): TradeStatus.PARTIAL,
    (TradeStatus.PARTIAL, Happening.ENTRY_DONE): TradeStatus.FILLED,
    (TradeStatus.PARTIAL, Happening.CLOSE_BEGUN): TradeStatus.CLOSING,
    # Entry and exit were both over before we looked once more.
    (TradeStatus.PARTIAL, Happening.FLAT): TradeStatus.CLOSED,
    (TradeStatus.FILLED, Happening.ENTRY_DONE): TradeStatus.FILLED,
    (TradeStatus.FILLED, Happening.CLOSE_BEGUN): TradeStatus.CLOSING,
    (TradeStatus.FILLED, Happening.FLAT): TradeStatus.CLOSED,
    (TradeStatus.FILLED, Happening.ENDED_ELSEWHERE): TradeStatus.CLOSED,
    # The entry's cancel is on its way while fills still come in: they are held, and sold by the same close.
    (TradeStatus.CLOSING, Happening.ENTRY_PARTIAL): TradeStatus.CLOSING,
    (TradeStatus.CLOSING, Happening.ENTRY_DONE): TradeStatus.CLOSING,
    (TradeStatus.CLOSING, Happening.ENTRY_EMPTY): TradeStatus.CLOSED,
    (TradeStatus.CLOSING, Happening.CLOSE_FAILED): TradeStatus.FILLED,
    (TradeStatus.CLOSING, Happening.FLAT): TradeStatus.CLOSED,
    (TradeStatus.CLOSING, Happening.ENDED_ELSEWHERE): TradeStatus.CLOSED,
}

ALLOWED = frozenset((before, after) for (before, _), after in TRANSITIONS.items() if before is not after)
"""The pairs the trigger lets through."""

_HIT = {OrderRole.TAKE_PROFIT: CloseReason.TP_HIT, OrderRole.STOP_LOSS: CloseReason.SL_HIT}


def move(status: TradeStatus, happening: Happening) -> TradeStatus:
    """Return the state that follows. Raises: IllegalTransition."""
    try:
        return TRANSITIONS[status, happening]
    except KeyError:
        raise IllegalTransition(f"a trade that is {status} cannot take {happening}") from None


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def applied(view: View, reports: tuple[Report, ...], now: datetime) -> View:
    """Apply what the broker says of some of the trade's orders. Idempotent: and free of any order among reports."""
    known = view
    for report in reports:
        before = next(order for order in view.orders if order.id == report.order_id)
        after = merge(before, report, now)
        view = view.with_order(after)
        if (after.status, after.filled_qty) != (before.status, before.filled_qty):
            view = view.noting(_told(after))
    return corrections.of_settled(known, settled(view, now), now)


def sent(view: View, tag: str, now: datetime) -> View:
    """Mark a write as about to leave: from here on it may be at the broker."""
    for order in view.by_tag(tag):
        view = view.with_order(replace(order, status=OrderStatus.SENT, sent_at=now))
    return view.noting(Event(kind="order_sent", text=f"{_name(view, tag)} is sent", data={"tag": tag}))


def accepted(view: View, tag: str, broker_id: str, now: datetime) -> View:
    """Record that the broker received a write. It may still be refused a moment later."""
    for order in view.by_tag(tag):
        own = broker_id if order.sent_as is Group.SINGLE else order.broker_order_id
        status = OrderStatus.WORKING if order.is_unanswered else order.status
        group = order.group_order_id or broker_id
        view = view.with_order(
            replace(order, status=status, broker_order_id=own, group_order_id=group, answered_at=now, doubt=None)
        )
    text = f"the broker received {_name(view, tag)} as order {broker_id}"
    return settled(view.noting(Event(kind="order_accepted", actor="broker", text=text, data={"id": broker_id})), now)


def refused(view: View, tag: str, words: str, now: datetime) -> View:
    """Record that a write was refused: proven not to have happened."""
    view = _ended(view, tag, OrderStatus.REJECTED, words, now)
    event = Event(kind="order_refused", actor="broker", text=f"the broker refused {_name(view, tag)}: {words}")
    return settled(view.noting(event), now)


def not_sent(view: View, tag: str, words: str, now: datetime) -> View:
    """Record that a write provably never left. An entry is over with it; an exit is tried again with a new intent."""
    view = view.noting(Event(kind="order_not_sent", text=f"{_name(view, tag)} could not be sent: {words}"))
    return settled(_never_there(view, tag, now), now)


def never_placed(view: View, tag: str, now: datetime) -> View:
    """Record that evidence settled an unknown write as never placed."""
    view = view.noting(Event(kind="order_not_found", text=f"{_name(view, tag)} never reached the broker"))
    return settled(_never_there(view, tag, now), now)


def lapsed(view: View, tag: str, filled_qty: int, price: Decimal | None, now: datetime) -> View:
    """Record what became of an unknown day order once its day was over, by what the position had grown."""
    for order in view.by_tag(tag):
        view = view.with_order(
            replace(
                order,
                status=OrderStatus.FILLED if filled_qty == order.qty else OrderStatus.CANCELLED,
                filled_qty=filled_qty,
                avg_price=price,
                filled_at=order.venue_at if filled_qty else None,
                fill_seen_at=now if filled_qty else None,
                answered_at=now,
                ended_at=now,
                reason=LAPSED,
                doubt=None,
            )
        )
    what = f"{filled_qty} were bought at {price}" if filled_qty else "nothing of it was executed"
    text = f"the day of {_name(view, tag)} is over; by the position {what}"
    return settled(view.noting(Event(kind="order_lapsed", text=text, data={"tag": tag})), now)


def void(view: View, tag: str, now: datetime) -> View:
    """End an intent that will not be sent any more."""
    view = _ended(view, tag, OrderStatus.CANCELLED, NEVER_SENT, now)
    return settled(view.noting(Event(kind="order_void", text=f"{_name(view, tag)} was never sent")), now)


def unknown(view: View, tag: str, words: str, now: datetime) -> View:
    """Record that nobody knows whether a write happened; only evidence ends that."""
    for order in view.by_tag(tag):
        if order.status is OrderStatus.SENT:
            view = view.with_order(replace(order, status=OrderStatus.UNKNOWN))
    text = f"no clear answer for {_name(view, tag)}: {words}"
    return settled(view.noting(Event(kind="order_unknown", text=text, data={"tag": tag})), now)


def cancel_asked(view: View, group_order_id: str, now: datetime) -> View:
    """Note that a cancel is about to be asked for. It proves nothing: reading does."""
    for order in view.orders:
        if order.group_order_id == group_order_id and not order.is_terminal:
            first = order.cancel_first_at or now
            view = view.with_order(replace(order, cancel_first_at=first, cancel_at=now, reads=0, read_at=None))
    return view.noting(Event(kind="cancel_sent", text=f"order {group_order_id} is to be cancelled"))


def as_if_cancelled(view: View, group_order_id: str) -> View:
    """Return what a view would be once a broker order is confirmed cancelled, nothing more executed. Never stored."""
    for order in view.orders:
        if order.group_order_id == group_order_id and not order.is_terminal:
            view = view.with_order(replace(order, status=OrderStatus.CANCELLED))
    return view


def _never_there(view: View, tag: str, now: datetime) -> View:
    is_entry = any(order.role is OrderRole.ENTRY for order in view.by_tag(tag))
    return _ended(view, tag, OrderStatus.REJECTED if is_entry else OrderStatus.CANCELLED, NOT_PLACED, now)


def _ended(view: View, tag: str, status: OrderStatus, words: str, now: datetime) -> View:
    for order in view.by_tag(tag):
        if not order.is_terminal and not order.is_working:
            view = view.with_order(
                replace(order, status=status, reason=words, answered_at=now, ended_at=now, doubt=None)
            )
    return view


# ── the trade ────────────────────────────────────────────────────────────────────────────────────────────────────────


def begun_closing(view: View, now: datetime) -> View:
    """Move into closing; the close itself is told by the caller's action."""
    return settled(_moved(view, Happening.CLOSE_BEGUN), now)


def failed_closing(view: View, now: datetime) -> View:
    """Move back to holding: the rest is protected again."""
    return settled(_moved(view, Happening.CLOSE_FAILED), now)


def repriced(view: View, sl_price: Decimal | None, tp_price: Decimal | None, now: datetime) -> View:
    """Set stop and target."""
    return settled(replace(view, trade=replace(view.trade, sl_price=sl_price, tp_price=tp_price)), now)


def settling(view: View, now: datetime) -> View:
    """Note that the contract trades no more: from here on the broker decides how it ends."""
    return settled(_settling(view, now), now)


def _settling(view: View, now: datetime) -> View:
    event = Event(kind="settling", text=f"{view.trade.occ_symbol} has traded for the last time; it settles by itself")
    return replace(view, trade=replace(view.trade, settling_at=now)).noting(event)


def ended_without_order(view: View, ending: Ending, now: datetime) -> View:
    """End what is still held by what became of it at the broker: expired, exercised, written off."""
    moved = _moved(view, Happening.ENDED_ELSEWHERE).noting(Event(kind="ended", actor="broker", text=ending.words))
    trade = replace(
        moved.trade,
        **amounts(view, ending.ended_at, ending),
        close_reason=ending.reason,
        trigger_precision=ending.precision,
        settlement=ending.settlement,
        settled_qty=view.held_qty,
        is_locked=True,
    )
    return protection.counted(replace(moved, trade=trade), now)


def wiped(view: View, price: Decimal, now: datetime) -> View:
    """End a trade whose venue forgot the whole account: at its last mark, an estimate that counts in no statistic."""
    for order in view.orders:
        if not order.is_terminal:
            gone = replace(order, status=OrderStatus.CANCELLED, reason=SANDBOX_WIPE, ended_at=now)
            view = view.with_order(gone)
    view = settled(view, now)
    if view.trade.is_locked:
        return view
    view = replace(view, trade=replace(view.trade, reason=SANDBOX_WIPE))
    words = f"the venue forgot the account; {view.held_qty} written off at the last mark {price}"
    ending = Ending(
        reason=CloseReason.CLOSED_AT_BROKER,
        price=price,
        precision=TriggerPrecision.ESTIMATED,
        ended_at=now,
        words=words,
    )
    return ended_without_order(view, ending, now)


def settled(view: View, now: datetime) -> View:
    """Derive the trade from its orders: quantities, prices, state, protection, and the result when it is over."""
    if view.trade.is_locked:
        return corrections.of_orders(view, now)
    view = replace(view, trade=_with_entry(view))
    if view.trade.settling_at is None and protection.has_expired(view):
        view = _settling(view, now)
    bought, held = view.trade.filled_qty, view.held_qty
    if view.trade.status is not TradeStatus.CLOSED and bought:
        view = _moved(view, Happening.ENTRY_DONE if view.entry_is_over else Happening.ENTRY_PARTIAL)
    if view.entry_is_over and bought and held <= 0:
        view = replace(_moved(view, Happening.FLAT), trade=_with_result(_moved(view, Happening.FLAT)))
    elif view.entry_is_over and not bought and not protection.may_resend_entry(view):
        view = _moved(view, Happening.ENTRY_EMPTY)
        view = replace(view, trade=_without_result(view, now))
    return protection.counted(view, now)


def _moved(view: View, happening: Happening) -> View:
    after = move(view.trade.status, happening)
    if after is view.trade.status:
        return view
    event = Event(kind="status", text=f"{view.trade.status} → {after}", data={"because": happening})
    return replace(view, trade=replace(view.trade, status=after)).noting(event)


def _with_entry(view: View) -> Trade:
    fills = [order for order in view.entry_orders if order.filled_qty]
    last = view.entry_orders[-1] if view.entry_orders else None
    legs = [o for o in view.orders if o.role in EXIT_ROLES and o.broker_order_id]
    price = money.average_price((order.filled_qty, order.avg_price or Decimal(0)) for order in fills)
    times = sorted(order.filled_at for order in fills if order.filled_at)
    return replace(
        view.trade,
        filled_qty=sum(order.filled_qty for order in fills),
        limit_price=last.price if last else view.trade.limit_price,
        entry_price=price,
        entry_date=view.trade.entry_date or (times[0] if times else None),
        broker_fill_price=price,
        broker_fill_time=times[-1] if times else None,
        tradier_order_id=last.group_order_id if last else None,
        tradier_sl_order_id=_last_id(legs, OrderRole.STOP_LOSS),
        tradier_tp_order_id=_last_id(legs, OrderRole.TAKE_PROFIT),
    )


def _last_id(orders: list[Order], role: OrderRole) -> str | None:
    return next((order.broker_order_id for order in reversed(orders) if order.role is role), None)


def _with_result(view: View) -> Trade:
    """Fill in how a held trade ended. The reason is that of the order which executed last."""
    last, _ = ended_by(view)[-1]
    closing = view.close_action
    asked = closing.reason if closing and closing.reason else CloseReason.MANUAL_CLOSE
    if last.sent_as is Group.FOREIGN:
        asked = CloseReason.CLOSED_AT_BROKER
    return replace(
        view.trade,
        **amounts(view, last.filled_at),
        close_reason=_HIT.get(last.role, asked),
        trigger_precision=_precision(view),
        is_locked=True,
    )


def _precision(view: View) -> TriggerPrecision:
    """Say how the worst known of the prices that ended a trade is known."""
    names = [order.broker_order_id or "" for order, _ in ended_by(view)]
    if any(name.startswith(GUESSED) for name in names):
        return TriggerPrecision.ESTIMATED
    return TriggerPrecision.BROKER_HISTORY if any(is_past(name) for name in names) else TriggerPrecision.BROKER_FILL


def _without_result(view: View, now: datetime) -> Trade:
    """Fill in how a trade that never held anything ended."""
    last = view.entry_orders[-1]
    closing = view.close_action
    # A leg that the broker refuses late ends cancelled with the broker's reason, and takes its group down.
    taken_down = last.sent_as is Group.OTOCO and last.status is OrderStatus.CANCELLED and not last.cancel_at
    refused = taken_down and last.reason not in (None, NEVER_SENT)
    reason = CloseReason.REJECTED if refused or last.status is OrderStatus.REJECTED else CloseReason.CANCELLED
    if reason is CloseReason.CANCELLED and closing and closing.reason is CloseReason.KILL_SWITCH:
        reason = CloseReason.KILL_SWITCH
    return replace(
        view.trade,
        close_date=last.ended_at or now,
        close_reason=reason,
        reason=last.reason,
        protection=Protection.NONE,
        is_locked=True,
    )


def _name(view: View, tag: str) -> str:
    roles = {order.role for order in view.by_tag(tag)}
    if len(roles) > 1:
        return "the entry with its exits" if OrderRole.ENTRY in roles else "the bracket"
    return f"the {next(iter(roles)).replace('_', ' ').lower()} order" if roles else "an order"


def _told(order: Order) -> Event:
    filled = f", {order.filled_qty} of {order.qty} at {order.avg_price}" if order.filled_qty else ""
    words = f": {order.reason}" if order.reason else ""
    text = f"{order.role.replace('_', ' ').lower()} order {order.broker_order_id} is {order.status}{filled}{words}"
    told = order.filled_at if order.filled_qty else order.ended_at
    data: dict[str, str | int | None] = {
        "id": order.broker_order_id,
        "role": order.role,
        "status": order.status,
        "filled_qty": order.filled_qty,
        "qty": order.qty,
        "avg_price": None if order.avg_price is None else str(order.avg_price),
        "reason": order.reason,
        "broker_at": None if told is None else told.isoformat(),
    }
    return Event(kind="order_report", actor="broker", text=text, data=data)
