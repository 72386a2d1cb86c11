"""Expiry: when to sell before it, what there is to do after it, and how a trade ended by it. Pure.

1. Before the last trade what is held is sold, by default in its last half hour; near the money always, because an
   exercise is no outcome anybody chose.
2. After it no order can help: the trade settles, and nothing of it is naked, orphaned or repaired.
3. It ends by the broker's truth; without one by the next session's open it is worth its intrinsic value by the
   official close, and says that this is an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto

from libs.broker.orders import OrderReport, OrderSide
from libs.broker.reports import Quote
from libs.common.messages.vocabulary import (
    CloseReason,
    OrderStatus,
    Settlement,
    TradeStatus,
    TriggerPrecision,
)
from libs.market import calendar, products
from libs.market.options import OccSymbol, OptionType
from libs.market.products import SettlementKind
from services.orders import oversold, protecting
from services.orders.contract import Beside
from services.orders.results import Ending
from services.orders.steps import EndAction, FailClose, Moment, Read, Step, Void, Wait, unanswered
from services.orders.trade import ActionState, View

NEAR_PCT = Decimal(1)
DEFAULT_FLATTEN_MIN = 30
_OVER = "the contract trades no more"


class Phase(Enum):
    """Where a trade stands on its contract's way to the end."""

    FAR = auto()
    LAST_MINUTES = auto()
    """To be sold, or its entry to be withdrawn."""
    OVER = auto()
    """Traded for the last time, not yet noted."""
    SETTLING = auto()


@dataclass(frozen=True, slots=True)
class Truth:
    """What the broker shows of an expired contract's account. Quantities: contracts and shares, negative is short."""

    contract_qty: Decimal
    share_qty: Decimal
    quote: Quote | None
    """The underlying's."""
    orders: tuple[OrderReport, ...] = ()
    beside: Beside = field(default_factory=Beside)


def contract_of(view: View) -> OccSymbol:
    """Return the trade's contract."""
    return OccSymbol.parse(view.trade.occ_symbol)


def begins_at(contract: OccSymbol, flatten_min: int) -> datetime:
    """Return from when a contract is to be looked at. Time: market."""
    return products.last_trade_at(contract) - timedelta(minutes=flatten_min or DEFAULT_FLATTEN_MIN)


def next_look(view: View, moment: Moment, last_trade_at: datetime | None = None) -> datetime | None:
    """Return when to look again: often around the last trade, ever more rarely while it settles.

    Time: real; `last_trade_at` is when the venue's clock will reach it, None where that is not known.
    """
    since, waits = view.trade.settling_at, moment.waits
    if view.trade.status is TradeStatus.CLOSED:
        return moment.now + timedelta(seconds=waits.settling_last_s) if oversold.is_short(view) else None
    if since is None:
        soon = moment.now + timedelta(seconds=waits.expiry_look_s)
        return soon if last_trade_at is None or last_trade_at <= moment.now else min(soon, last_trade_at)
    grown_s = (moment.now - since).total_seconds() / 10
    return moment.now + timedelta(seconds=min(max(grown_s, waits.settling_read_s), waits.settling_last_s))


def phase(view: View, market_at: datetime, underlying: Decimal | None = None) -> Phase:
    """Say where a trade stands. `underlying` is its price; None when nobody knows it."""
    contract = contract_of(view)
    last = products.last_trade_at(contract)
    if view.trade.status is TradeStatus.CLOSED:
        return Phase.SETTLING if oversold.is_short(view) and market_at >= last else Phase.FAR
    if market_at >= last:
        return Phase.SETTLING if view.trade.settling_at is not None else Phase.OVER
    if market_at < begins_at(contract, view.policy.expiry_flatten_min):
        return Phase.FAR
    wanted = view.policy.expiry_flatten_min > 0 or _is_near(contract, underlying)
    return Phase.LAST_MINUTES if wanted else Phase.FAR


def to_flatten(view: View, market_at: datetime, underlying: Decimal | None, moment: Moment) -> bool:
    """Say whether a close is to be asked for now."""
    if phase(view, market_at, underlying) is not Phase.LAST_MINUTES:
        return False
    waiting = view.close_action is not None and view.close_action.state is not ActionState.QUEUED
    return not waiting and protecting.refused_sale(view, moment) is None


def can_settle(view: View) -> bool:
    """Say whether what is left of the trade can only settle: its entry is over and something is held."""
    return view.entry_is_over and view.held_qty > 0


def is_quiet(view: View) -> bool:
    """Say whether no order of ours can turn out to have executed after all."""
    return all(order.is_terminal for order in view.orders)


def _is_near(contract: OccSymbol, underlying: Decimal | None) -> bool:
    """Say whether a contract is in the money or within one percent of it; unknown counts as near."""
    if underlying is None:
        return True
    return intrinsic(contract, underlying) > 0 or abs(underlying - contract.strike) * 100 <= NEAR_PCT * underlying


def intrinsic(contract: OccSymbol, underlying: Decimal) -> Decimal:
    """Return what a contract is worth at expiry. Units: USD per share."""
    gain = underlying - contract.strike if contract.option_type is OptionType.CALL else contract.strike - underlying
    return max(gain, Decimal(0))


# ── the flow of a trade that settles ─────────────────────────────────────────────────────────────────────────────────


def plan(view: View, moment: Moment) -> Step:
    """Return the next step of a trade whose contract trades no more: only its orders' own ends are read."""
    intent = next((order for order in view.orders if order.status is OrderStatus.INTENT), None)
    if intent is not None:
        return Void(intent.tag)
    step = unanswered(view.orders, moment)
    if step is not None:
        return step
    for action in view.actions:
        if action.is_active:
            closing = view.trade.status is TradeStatus.CLOSING and action.state is ActionState.RUNNING
            return FailClose(action.id, _OVER) if closing else EndAction(action.id, ActionState.FAILED, _OVER)
    live = next((order for order in view.orders if not order.is_terminal and order.group_order_id), None)
    if live is None or live.group_order_id is None:
        return Wait()
    until = moment.at(live.read_at, moment.waits.settling_read_s)
    return Wait(until) if until else Read(live.group_order_id)


# ── how it ended ─────────────────────────────────────────────────────────────────────────────────────────────────────


def estimated_from(contract: OccSymbol) -> datetime:
    """Return from when the end is estimated: the open after the session in which it settled. Time: market."""
    settled = calendar.session_on_or_before(contract.expiry).session_date
    return calendar.next_session(settled).opens_at


def judged(view: View, truth: Truth, market_at: datetime) -> Ending | None:
    """Say how what is held ended; None while nobody can know. Source: order path, §7."""
    over = market_at >= products.last_trade_at(contract_of(view))
    if not (over and can_settle(view) and is_quiet(view)):
        return None
    sold = _sold_by_the_broker(view, truth)
    if sold is not None:
        return sold
    contract = contract_of(view)
    is_late = market_at >= estimated_from(contract)
    close = _official_close(truth.quote, is_late=is_late)
    if close is None:
        return None
    worth = intrinsic(contract, close)
    gone = truth.contract_qty < view.held_qty
    if gone and market_at >= products.settles_at(contract) and _fits(view, contract, worth, truth):
        return _ending(view, contract, worth, market_at, TriggerPrecision.OFFICIAL_CLOSE)
    return _ending(view, contract, worth, market_at, TriggerPrecision.ESTIMATED) if is_late else None


def judged_short(view: View, truth: Truth, market_at: datetime) -> Ending | None:
    """Say what it cost that more was sold than held when the contract ended; None while nobody can know."""
    contract = contract_of(view)
    over = market_at >= products.last_trade_at(contract)
    if not (over and oversold.is_short(view) and is_quiet(view)):
        return None
    is_late = market_at >= estimated_from(contract)
    close = _official_close(truth.quote, is_late=is_late)
    if close is None:
        return None
    worth = intrinsic(contract, close)
    shown = truth.contract_qty == 0 and market_at >= products.settles_at(contract)
    # An assigned put buys shares, and they show; how many shares an assigned call sold from, nobody knows.
    buys_shares = worth > 0 and contract.option_type is OptionType.PUT
    if buys_shares and products.settlement(contract).kind is SettlementKind.PHYSICAL:
        shown = shown and truth.share_qty >= -view.held_qty * view.trade.multiplier
    if not shown and not is_late:
        return None
    precision = TriggerPrecision.OFFICIAL_CLOSE if shown else TriggerPrecision.ESTIMATED
    return _short_ending(view, contract, worth, market_at, precision)


def _sold_by_the_broker(view: View, truth: Truth) -> Ending | None:
    """Find a sale in the contract that is nobody's of ours, later than our buying, and takes all that is held."""
    ours = {order.broker_order_id for order in view.orders} | {order.group_order_id for order in view.orders}
    ours |= truth.beside.ours | {name for name, _ in truth.beside.explained}
    for report in truth.orders:
        fits = report.occ_symbol == view.trade.occ_symbol and report.side is OrderSide.SELL_TO_CLOSE
        if (
            not fits
            or {report.id, report.parent_id} & ours
            or report.exec_qty != view.held_qty
            or report.avg_fill_price is None
        ):
            continue
        sold_at = report.transaction_at or report.created_at
        earlier = sold_at is not None and view.trade.entry_date is not None and sold_at < view.trade.entry_date
        if earlier or truth.contract_qty >= view.held_qty:
            continue
        return Ending(
            reason=CloseReason.CLOSED_AT_BROKER,
            price=report.avg_fill_price,
            precision=TriggerPrecision.BROKER_FILL,
            ended_at=report.transaction_at or products.last_trade_at(contract_of(view)),
            words=f"the broker sold {report.exec_qty} at {report.avg_fill_price} (order {report.id})",
        )
    return None


def _official_close(quote: Quote | None, *, is_late: bool) -> Decimal | None:
    """Return the underlying's close of the last session; from the next open on it is the previous one's."""
    if quote is None:
        return None
    return quote.close or (quote.previous_close if is_late else None)


def _fits(view: View, contract: OccSymbol, worth: Decimal, truth: Truth) -> bool:
    """Say whether what the account shows is what such an end leaves behind."""
    if worth == 0 or products.settlement(contract).kind is SettlementKind.CASH:
        return True
    if contract.option_type is OptionType.PUT:
        return True  # an exercised put sells shares, and nobody knows how many there were
    return truth.share_qty >= view.held_qty * view.trade.multiplier


def _ending(
    view: View, contract: OccSymbol, worth: Decimal, market_at: datetime, precision: TriggerPrecision
) -> Ending:
    at = min(market_at, products.settles_at(contract))
    if worth == 0:
        words = f"{contract} expired worthless"
        return Ending(reason=CloseReason.EXPIRED_OTM, price=worth, precision=precision, ended_at=at, words=words)
    cash = products.settlement(contract).kind is SettlementKind.CASH
    shares = view.held_qty * view.trade.multiplier
    verb = "bought" if contract.option_type is OptionType.CALL else "sold"
    told = "settled in cash" if cash else f"was exercised: {shares} shares of {view.trade.ticker} were {verb}"
    return Ending(
        reason=CloseReason.EXPIRED_ITM,
        price=worth,
        precision=precision,
        ended_at=at,
        settlement=Settlement.CASH if cash else Settlement.EXERCISED,
        words=f"{contract} {told}, worth {worth} a share at {contract.strike}",
    )


def _short_ending(
    view: View, contract: OccSymbol, worth: Decimal, market_at: datetime, precision: TriggerPrecision
) -> Ending:
    in_shares = worth > 0 and products.settlement(contract).kind is SettlementKind.PHYSICAL
    shares = -view.held_qty * view.trade.multiplier
    if in_shares:
        verb = "sold" if contract.option_type is OptionType.CALL else "bought"
        told = f"assigned: {shares} shares of {view.trade.ticker} {verb} at {contract.strike}, worth {worth} a share"
    else:
        told = f"settled in cash at {worth}" if worth else "expired worthless"
    return Ending(
        reason=CloseReason.EXPIRED_ITM if worth else CloseReason.EXPIRED_OTM,
        price=worth,
        precision=precision,
        ended_at=min(market_at, products.settles_at(contract)),
        settlement=Settlement.EXERCISED if in_shares else Settlement.CASH if worth else None,
        words=f"{told} (an estimate)" if precision is TriggerPrecision.ESTIMATED else told,
    )
