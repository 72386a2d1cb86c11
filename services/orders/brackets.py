"""Prices of entries, stops and targets: what may be sent, and the orders that say it.

1. Nothing is sent that the rules already refuse: exits on their tick, 0.10 apart, the stop below entry and bid.
2. Rounding is ours and shown: stops and targets to the nearest tick, an entry limit down.
3. A stop at or above the bid is a stop that is hit; it is never sent again.
4. An order row holds all of its request: what is sent can be built again from the rows alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from libs.broker.orders import Duration as BrokerDuration
from libs.broker.orders import OcoOrder, OptionOrder, OrderType, OtocoOrder, PlaceRequest
from libs.broker.reports import Quote
from libs.common.errors import InvalidInput, InvariantBroken
from libs.common.messages.orders import Entry
from libs.common.messages.vocabulary import Duration, EntryType, OrderRole, OrderStatus
from libs.market import money
from libs.market.options import OccSymbol
from services.orders.trade import Group, Order, Policy, Trade, View

MAX_QTY = 1000
"""More than this in one order is a slip of the finger."""
MIN_DISTANCE = Decimal("0.10")
"""Least distance of the two exits. Source: venue rule OcoPriceDifferenceIsLessThanDelta, options."""
MAX_PRICE = Decimal(100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a trade will be sent with. `reference` is what the entry is expected to cost."""

    limit: Decimal | None
    sl: Decimal | None
    tp: Decimal | None
    reference: Decimal


@dataclass(frozen=True, slots=True)
class StopPassed:
    """The bid is at or below the stop: sell instead."""

    stop: Decimal
    bid: Decimal


@dataclass(frozen=True, slots=True)
class NoMarket:
    """There is no quote to judge a stop by."""


def check_qty(qty: int) -> None:
    """Refuse a quantity nobody can mean. Raises: InvalidInput."""
    if not 1 <= qty <= MAX_QTY:
        raise InvalidInput(f"quantity must be between 1 and {MAX_QTY}, was {qty}")


def entry_prices(entry: Entry, sl: Decimal | None, tp: Decimal | None, contract: OccSymbol, quote: Quote) -> Prices:
    """Round and check the prices of a new trade against its quote. Raises: InvalidInput."""
    limit = entry_limit(entry, contract)
    ask, bid = quote.ask or Decimal(0), quote.bid or Decimal(0)
    if not quote.has_market or (entry.type is EntryType.MARKET and ask <= 0):
        raise InvalidInput(f"{contract} has no offer at the moment, bid {bid} ask {ask}")
    reference = limit if limit is not None else ask
    sl, tp = exit_prices(sl, tp, contract)
    check_exits(sl, tp, reference=reference, reference_name="entry")
    if sl is not None and sl >= bid:
        raise InvalidInput(f"stop must be below the bid {bid}, was {sl}")
    return Prices(limit=limit, sl=sl, tp=tp, reference=reference)


def exit_prices(sl: Decimal | None, tp: Decimal | None, contract: OccSymbol) -> tuple[Decimal | None, Decimal | None]:
    """Round stop and target to their nearest tick. Raises: InvalidInput below one tick."""
    tick_class = money.exit_tick_class(contract.root)
    for name, price in (("stop", sl), ("target", tp)):
        if price is not None and (not price.is_finite() or not 0 < price < MAX_PRICE):
            raise InvalidInput(f"{name} must be a price above 0, was {price}")
    stop = None if sl is None else money.round_nearest(sl, tick_class)
    target = None if tp is None else money.round_nearest(tp, tick_class)
    if stop is not None and sl is not None and stop < money.tick_at(sl, tick_class):
        raise InvalidInput(f"stop must be at least one tick, {money.tick_at(sl, tick_class)}, was {sl}")
    return stop, target


def check_exits(sl: Decimal | None, tp: Decimal | None, *, reference: Decimal | None, reference_name: str) -> None:
    """Check stop and target against each other and what was or will be paid. Raises: InvalidInput."""
    if reference is not None and sl is not None and reference_name == "entry" and sl >= reference:
        raise InvalidInput(f"stop must be below entry {reference}, was {sl}")
    if reference is not None and tp is not None and tp <= reference:
        raise InvalidInput(f"target must be above {reference_name} {reference}, was {tp}")
    if sl is not None and tp is not None and tp - sl < MIN_DISTANCE:
        raise InvalidInput(f"stop and target must be at least {MIN_DISTANCE} apart, were {sl} and {tp}")


def adjust_prices(
    view: View, new_sl: Decimal | None, new_tp: Decimal | None, quote: Quote | None
) -> tuple[Decimal | None, Decimal | None]:
    """Round and check new exits of a trade before anything is cancelled. A price left out stays. Raises: InvalidInput.

    A stop may be above the entry (it then secures a gain), never at or above the bid; nor a target at or below it.
    """
    trade = view.trade
    contract = OccSymbol.parse(trade.occ_symbol)
    given_sl, given_tp = exit_prices(new_sl, new_tp, contract)
    sl = trade.sl_price if given_sl is None else given_sl
    tp = trade.tp_price if given_tp is None else given_tp
    if new_sl is None and new_tp is None:
        raise InvalidInput("an adjust names a new stop, a new target or both")
    if view.held_qty <= 0:
        check_exits(sl, tp, reference=trade.reference_price, reference_name="entry")
        return sl, tp
    if quote is None or not quote.has_market:
        raise InvalidInput(f"{contract} has no quote at the moment; the exits stay as they are")
    bid = quote.bid or Decimal(0)
    if sl is not None and sl >= bid:
        raise InvalidInput(f"stop must be below the bid {bid}, was {sl}")
    check_exits(sl, tp, reference=bid, reference_name="the bid")
    return sl, tp


def entry_limit(entry: Entry, contract: OccSymbol) -> Decimal | None:
    """Round and check an entry's own price; None at the market. Raises: InvalidInput."""
    price = entry.limit_price
    if entry.type is EntryType.MARKET:
        if price is not None:
            raise InvalidInput("a market entry has no limit price")
        if entry.duration is not Duration.DAY:
            raise InvalidInput("a market entry is good for the day only")
        return None
    if price is None:
        raise InvalidInput("a limit entry needs a limit price")
    if not price.is_finite() or not 0 < price < MAX_PRICE:
        raise InvalidInput(f"limit must be a price above 0, was {price}")
    rounded = money.round_down(price, money.entry_tick_class(contract.root))
    if rounded <= 0:
        raise InvalidInput(f"limit must be at least one tick, was {price}")
    return rounded


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def entry_orders(
    trade: Trade,
    policy: Policy,
    *,
    as_group: bool,
    new_id: Callable[[], str],
    tag: str,
    send_by: datetime,
    now: datetime,
) -> tuple[Order, ...]:
    """Make the entry's intent; `as_group`: with both exits behind it, for a limit entry that asks for both."""
    both = trade.sl_price is not None and trade.tp_price is not None
    sent_as = Group.OTOCO if as_group and both and trade.entry_type is EntryType.LIMIT else Group.SINGLE
    entry = Order(
        id=new_id(),
        trade_id=trade.id,
        username=trade.username,
        role=OrderRole.ENTRY,
        tag=tag,
        status=OrderStatus.INTENT,
        sent_as=sent_as,
        type=OrderType.MARKET if trade.entry_type is EntryType.MARKET else OrderType.LIMIT,
        duration=trade.entry_duration,
        qty=trade.qty,
        price=trade.limit_price,
        send_by=send_by,
        created_at=now,
    )
    if sent_as is Group.SINGLE:
        return (entry,)
    limit = _stop_limit(trade, policy, trade.sl_price)
    return (entry, *_exits(entry, (trade.sl_price, limit), trade.tp_price, new_id))


def entry_again(
    view: View, price: Decimal, *, new_id: Callable[[], str], tag: str, send_by: datetime, now: datetime
) -> tuple[Order, ...]:
    """Make the intent of an entry that is sent once more, as it was sent before, with the trade's present exits."""
    return entry_orders(
        replace(view.trade, limit_price=price),
        view.policy,
        as_group=view.entry_orders[-1].sent_as is Group.OTOCO,
        new_id=new_id,
        tag=tag,
        send_by=send_by,
        now=now,
    )


def bracket_orders(
    view: View,
    sl: Decimal | None,
    tp: Decimal | None,
    quote: Quote | None,
    *,
    new_id: Callable[[], str],
    tag: str,
    now: datetime,
) -> tuple[Order, ...] | StopPassed | NoMarket:
    """Make the intents of the exits for all that is held, one OCO where both are asked for."""
    if sl is not None:
        if quote is None or not quote.has_market:
            return NoMarket()
        if sl >= (quote.bid or Decimal(0)):
            return StopPassed(sl, quote.bid or Decimal(0))
    running = view.running
    shared = Order(
        id="",
        trade_id=view.trade.id,
        username=view.trade.username,
        role=OrderRole.TAKE_PROFIT,
        tag=tag,
        status=OrderStatus.INTENT,
        sent_as=Group.OCO if sl is not None and tp is not None else Group.SINGLE,
        type=OrderType.LIMIT,
        duration=Duration.GTC,
        qty=view.sellable_qty,
        action_id=running.id if running else None,
        created_at=now,
    )
    return _exits(shared, (sl, _stop_limit(view.trade, view.policy, sl)), tp, new_id)


def _exits(
    shared: Order, stop: tuple[Decimal | None, Decimal | None], tp: Decimal | None, new_id: Callable[[], str]
) -> tuple[Order, ...]:
    """Make the target's and the stop's leg of one write. `stop` is its price and its limit, the rest is `shared`."""
    sl, limit = stop
    shared = replace(shared, duration=Duration.GTC, price=None, send_by=None)
    legs: list[Order] = []
    if tp is not None:
        legs.append(replace(shared, id=new_id(), role=OrderRole.TAKE_PROFIT, type=OrderType.LIMIT, price=tp))
    if sl is not None:
        kind = OrderType.STOP if limit is None else OrderType.STOP_LIMIT
        legs.append(replace(shared, id=new_id(), role=OrderRole.STOP_LOSS, type=kind, price=limit, stop=sl))
    return tuple(legs)


def _stop_limit(trade: Trade, policy: Policy, stop: Decimal | None) -> Decimal | None:
    offset = policy.stop_limit_offset
    if offset is None or stop is None:
        return None
    tick_class = money.exit_tick_class(OccSymbol.parse(trade.occ_symbol).root)
    lowest = money.tick_at(Decimal(0), tick_class)
    return max(money.round_down(stop - offset, tick_class), lowest)


def sell_order(
    view: View, quote: Quote | None, *, order_id: str, tag: str, now: datetime, qty: int | None = None
) -> Order | NoMarket:
    """Make the intent of a close: market, or without a bid a day limit at the least price there is."""
    if quote is None or not quote.has_market:
        return NoMarket()
    running = view.running
    bid = quote.bid or Decimal(0)
    tick_class = money.exit_tick_class(OccSymbol.parse(view.trade.occ_symbol).root)
    return Order(
        id=order_id,
        trade_id=view.trade.id,
        username=view.trade.username,
        role=OrderRole.CLOSE,
        tag=tag,
        status=OrderStatus.INTENT,
        sent_as=Group.SINGLE,
        type=OrderType.MARKET if bid > 0 else OrderType.LIMIT,
        duration=Duration.DAY,
        qty=view.sellable_qty if qty is None else qty,
        price=None if bid > 0 else money.tick_at(Decimal(0), tick_class),
        action_id=running.id if running else None,
        created_at=now,
    )


def cover_order(view: View, *, qty: int, order_id: str, tag: str, now: datetime) -> Order:
    """Make the intent of buying back what was sold too much, at the market."""
    return Order(
        id=order_id,
        trade_id=view.trade.id,
        username=view.trade.username,
        role=OrderRole.COVER,
        tag=tag,
        status=OrderStatus.INTENT,
        sent_as=Group.SINGLE,
        type=OrderType.MARKET,
        duration=Duration.DAY,
        qty=qty,
        created_at=now,
    )


def request_of(trade: Trade, orders: tuple[Order, ...]) -> PlaceRequest:
    """Build what is sent for the orders of one write."""
    by_role = {order.role: order for order in orders}
    first = orders[0]
    if first.sent_as is Group.SINGLE:
        return OptionOrder(
            occ_symbol=trade.occ_symbol,
            underlying=trade.ticker,
            side=first.side,
            qty=first.qty,
            type=first.type,
            duration=BrokerDuration(first.duration),
            tag=first.tag,
            price=first.price,
            stop=first.stop,
        )
    target, stop = by_role[OrderRole.TAKE_PROFIT], by_role[OrderRole.STOP_LOSS]
    if target.price is None or stop.stop is None:
        raise InvariantBroken(f"the bracket {first.tag} lacks a price")
    if first.sent_as is Group.OCO:
        return OcoOrder(
            occ_symbol=trade.occ_symbol,
            underlying=trade.ticker,
            qty=target.qty,
            target_price=target.price,
            stop_price=stop.stop,
            tag=first.tag,
            stop_limit_price=stop.price,
            duration=BrokerDuration(target.duration),
        )
    entry = by_role[OrderRole.ENTRY]
    if entry.price is None:
        raise InvariantBroken(f"the entry of {first.tag} lacks its limit")
    return OtocoOrder(
        occ_symbol=trade.occ_symbol,
        underlying=trade.ticker,
        qty=entry.qty,
        entry_price=entry.price,
        target_price=target.price,
        stop_price=stop.stop,
        tag=first.tag,
        stop_limit_price=stop.price,
        entry_duration=BrokerDuration(entry.duration),
        exit_duration=BrokerDuration(target.duration),
    )
