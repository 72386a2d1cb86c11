"""Whether what is held has the exits it asked for, and how long it had not.

1. Covered means: for every kind of exit asked for, orders seen resting are worth the whole held quantity.
2. A stop that was asked for is not covered by a target, nor the other way round. Somebody else's stop that holds the
   contracts covers them: nothing of ours could rest beside it.
3. Seconds without cover are counted by the broker's own times, from the first fill to the last exit's rest.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from libs.common.messages.vocabulary import OrderRole, OrderStatus, Protection, TradeStatus
from libs.market import money, products
from libs.market.options import OccSymbol
from services.orders import otoco
from services.orders.trade import BRACKET_ROLES, ActionKind, Event, View

FOREIGN_STOP = "stop"
_PRICE_REFUSED = "OrderPriceIsInvalid"


def wanted(view: View) -> frozenset[OrderRole]:
    """Return the kinds of exit the trade asked for, or will have when its running adjust is through."""
    running = view.running
    sl, tp = view.trade.sl_price, view.trade.tp_price
    if running and running.kind is ActionKind.ADJUST:
        sl, tp = running.new_sl, running.new_tp
    kinds = {OrderRole.STOP_LOSS: sl, OrderRole.TAKE_PROFIT: tp}
    return frozenset(role for role, price in kinds.items() if price is not None)


def covered_qty(view: View, role: OrderRole) -> int:
    """Return how many contracts have an exit of this kind seen resting."""
    seen = (o for o in view.orders if o.role is role and o.is_working and o.confirmed_at and not o.odd_since)
    return sum(order.remaining_qty for order in seen if otoco.protects(view, order))


def is_covered(view: View) -> bool:
    """Say whether every exit asked for rests for the whole held quantity."""
    if view.trade.foreign_exit == FOREIGN_STOP:
        return True
    return all(covered_qty(view, role) >= view.sellable_qty for role in wanted(view))


def has_expired(view: View) -> bool:
    """Say whether the broker let an exit expire at or past the contract's last trade: by its own time it is over."""
    expired = [o.ended_at for o in view.orders if o.role in BRACKET_ROLES and o.status is OrderStatus.EXPIRED]
    if not expired or view.held_qty <= 0:
        return False
    last = products.last_trade_at(OccSymbol.parse(view.trade.occ_symbol))
    return any(at is not None and at >= last for at in expired)


def of(view: View) -> Protection:
    """Name the trade's protection."""
    if view.trade.status is TradeStatus.CLOSED:
        return Protection.NONE
    if view.trade.settling_at is not None and view.held_qty > 0:
        return Protection.SETTLING
    if not wanted(view):
        return Protection.NONE
    if view.held_qty <= 0:
        return Protection.PENDING
    if is_covered(view):
        return Protection.PROTECTED
    brackets = [order for order in view.orders if order.role in BRACKET_ROLES]
    replacing = view.running is not None or not view.entry_is_over
    on_its_way = not brackets or any(not order.is_terminal for order in brackets)
    return Protection.PENDING if replacing or on_its_way else Protection.NAKED


def counted(view: View, now: datetime) -> View:
    """Bring `protection` and the seconds without it up to date. Units: seconds, to the millisecond."""
    trade = view.trade
    found = of(view)
    can_be_bare = found not in (Protection.PROTECTED, Protection.SETTLING)
    bare = view.held_qty > 0 and bool(wanted(view)) and can_be_bare
    since, seconds = trade.naked_since, trade.naked_s
    if bare and since is None:
        since = _uncovered_since(view, now)
    elif not bare and since is not None:
        until = _covered_at(view, now)
        seconds += Decimal(str(max((until - since).total_seconds(), 0))).quantize(Decimal("0.001"))
        since = None
    if found is not trade.protection:
        view = _noted(view, found, seconds - trade.naked_s)
    return replace(view, trade=replace(trade, protection=found, naked_since=since, naked_s=seconds))


def _noted(view: View, found: Protection, bare_s: Decimal) -> View:
    """Tell the story's reader that the exits rest, or that one is missing; what lies between is told by its steps."""
    names = " and ".join(sorted(role.replace("_", " ").lower() for role in wanted(view)))
    if found is Protection.PROTECTED:
        text = f"protected: {names} rest at the broker for all {view.held_qty}, after {bare_s} s without"
    elif found is Protection.NAKED:
        text = f"not protected: {view.held_qty} held without every exit asked for ({names})"
    else:
        return view
    return view.noting(Event(kind="protection", text=text, data={"protection": found, "bare_s": str(bare_s)}))


def _uncovered_since(view: View, now: datetime) -> datetime:
    """Return when cover was lost: the end of the last bracket that rested, else the entry's fill."""
    rested = [o for o in view.orders if o.role in BRACKET_ROLES and o.is_terminal and o.rested_at]
    known = [o.ended_at for o in rested if o.ended_at] or [o.filled_at for o in view.entry_orders if o.filled_at]
    return max(known) if known else now


def _covered_at(view: View, now: datetime) -> datetime:
    if view.trade.settling_at is not None:
        return view.trade.settling_at
    if view.held_qty <= 0:
        sold = [order.filled_at for order in view.exit_orders if order.filled_at]
        return max(sold) if sold else now
    rested = [o.rested_at for o in view.live_bracket if o.rested_at]
    return max(rested) if rested else now


def may_resend_entry(view: View) -> bool:
    """Say whether an entry is sent again instead of ending the trade: once at the coarser tick, or with new exits."""
    orders = view.entry_orders
    if view.close_action is not None:
        return False
    if otoco.is_to_be_renewed(view):
        return True
    order = orders[0]
    if len(orders) != 1 or order.price is None or _PRICE_REFUSED not in (order.reason or ""):
        return False
    if order.status not in (OrderStatus.REJECTED, OrderStatus.CANCELLED):
        return False
    return coarser_limit(view.trade.occ_symbol, order.price) is not None


def coarser_limit(occ_symbol: str, price: Decimal) -> Decimal | None:
    """Return an entry limit on the coarser tick, never above what was said; None when that changes nothing."""
    coarser = money.coarser(money.entry_tick_class(OccSymbol.parse(occ_symbol).root))
    if coarser is None:
        return None
    rounded = money.round_down(price, coarser)
    return rounded if 0 < rounded != price else None
