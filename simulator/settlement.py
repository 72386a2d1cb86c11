"""What time does to orders and options: sessions end, contracts expire, brokers act on their own. Pure.

1. An option is worth its intrinsic value at its last trade, and nothing afterwards.
2. Exercise moves shares at the strike; the premium stays with the option's result.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from simulator import calendar
from simulator.book import OPTION_MULTIPLIER, WORKING, Account, Order, Position, Status
from simulator.exchange import Exchange
from simulator.rules import Leg, Ticket
from simulator.universe import TICKERS, Contract, occ, parse_occ

AUTOMATIC_EXERCISE_FROM = Decimal("0.01")


def _unfinished(exchange: Exchange) -> list[Order]:
    ids = [order_id for ids in exchange.unfinished.values() for order_id in ids]
    return [exchange.orders[order_id] for order_id in sorted(ids)]


def expire_day_orders(exchange: Exchange) -> None:
    """End the day orders whose session is over."""
    for order in _unfinished(exchange):
        trades = _trades(exchange, order)
        over = (order.session_date < exchange.session_date and not (exchange.is_late and trades)) or (
            order.status in WORKING and not trades
        )
        if over and order.duration == "day" and not order.is_terminal and not order.waiting:
            _expire(exchange, order)


def _trades(exchange: Exchange, order: Order) -> bool:
    return all(exchange.trades(one.security) for one in exchange.legs(exchange.top(order)))


def _expire(exchange: Exchange, order: Order) -> None:
    top = exchange.top(order)
    entry = exchange.orders[top.legs[0]] if top.kind in ("oto", "otoco") else None
    if entry is order and order.executed and exchange.toggles.otoco_release == "first_fill":
        exchange.end(order, Status.EXPIRED)
    else:
        exchange.finish(top, Status.EXPIRED)


def settle_expired(exchange: Exchange) -> None:
    """End the orders and settle the positions of every contract past its last trade."""
    for order in _unfinished(exchange):
        contract = parse_occ(order.option_symbol or "")
        if (
            contract
            and not order.is_terminal
            and exchange.now >= calendar.last_trade_at(contract.root, contract.expiry)
        ):
            exchange.finish(exchange.top(order), Status.EXPIRED)
    for account in exchange.accounts.values():
        for position in list(account.positions.values()):
            contract = parse_occ(position.symbol)
            if contract and exchange.now >= _settles_at(exchange, contract):
                _settle(exchange, account, position, contract)


def _settles_at(exchange: Exchange, contract: Contract) -> datetime:
    last_trade = calendar.last_trade_at(contract.root, contract.expiry)
    if exchange.toggles.settlement == "at_close":
        return last_trade
    return calendar.at_eastern(contract.expiry + timedelta(days=1), calendar.PREMARKET_OPENS)


def _settle(exchange: Exchange, account: Account, position: Position, contract: Contract) -> None:
    last_day = calendar.eastern(calendar.last_trade_at(contract.root, contract.expiry)).date()
    # Exercise goes by the close of the shares, also where the options trade a quarter of an hour longer.
    closed_at = calendar.at_eastern(last_day, calendar.closing_time(last_day))
    price = exchange.quotes.official_price(contract.underlying, closed_at)
    intrinsic = price - contract.strike if contract.is_call else contract.strike - price
    if intrinsic >= AUTOMATIC_EXERCISE_FROM:
        exercise(exchange, account, position, contract, quantity=position.quantity, price=price)
    else:
        _remove(exchange, account, position.symbol, position.quantity, value=Decimal(0), kind="OPTEXP")


def exercise(
    exchange: Exchange, account: Account, position: Position, contract: Contract, *, quantity: int, price: Decimal
) -> None:
    """Turn contracts into shares at the strike, or into cash for an index."""
    intrinsic = max(price - contract.strike if contract.is_call else contract.strike - price, Decimal(0))
    if TICKERS[contract.underlying].is_index:
        _remove(exchange, account, position.symbol, quantity, value=intrinsic, kind="OPTEXP")
        return
    _remove(
        exchange, account, position.symbol, quantity, value=Decimal(0), kind="OPTEXER" if quantity > 0 else "OPTASSIGN"
    )
    shares = quantity * OPTION_MULTIPLIER if contract.is_call else -quantity * OPTION_MULTIPLIER
    realized = account.trade(
        exchange.take_id(), contract.underlying, shares, contract.strike, multiplier=1, at=exchange.now
    )
    exchange.note_realized(account, realized)
    amount = -shares * contract.strike
    exchange.record(account.id, "trade", contract.underlying, quantity=shares, price=contract.strike, amount=amount)


def _remove(exchange: Exchange, account: Account, symbol: str, quantity: int, *, value: Decimal, kind: str) -> None:
    held = account.positions[symbol]
    cost, opened_at = held.cost * quantity / held.quantity, held.acquired_at
    realized = account.trade(
        exchange.take_id(), symbol, -quantity, value, multiplier=OPTION_MULTIPLIER, at=exchange.now
    )
    exchange.note_realized(account, realized)
    proceeds = value * quantity * OPTION_MULTIPLIER
    exchange.record(account.id, "option", symbol, option_type=kind, quantity=quantity, amount=proceeds)
    exchange.record(
        account.id, "closed", symbol, quantity=abs(quantity), cost=cost, proceeds=proceeds, opened_at=opened_at
    )


def cancel_all_of(exchange: Exchange, account_id: str, security: str) -> None:
    """Take down every order of an account in one security."""
    for order in _unfinished(exchange):
        if order.account == account_id and order.security == security and not order.is_terminal:
            exchange.finish(exchange.top(order), Status.CANCELED)


def liquidate(exchange: Exchange, account_id: str, security: str, quantity: int) -> Order:
    """Sell a position out at the market, as a broker's desk does, over any order of the customer's."""
    cancel_all_of(exchange, account_id, security)
    contract = parse_occ(security)
    leg = Leg(contract.underlying if contract else security, security if contract else None,
              "sell_to_close" if contract else "sell", quantity, "market", "day", None, None)  # fmt: skip
    return exchange.place(account_id, Ticket("option" if contract else "equity", None, (leg,)))


def fill_every_leg(exchange: Exchange, group: Order) -> None:
    """Let both exits of a group execute, the race every broker promises not to lose."""
    exits = exchange.legs(group) if group.kind == "oco" else exchange.legs(group)[1:]
    for leg in exits:
        leg.held = True
    for leg in exits:
        if leg.executed < leg.quantity:
            leg.status, leg.waiting = Status.OPEN, False
            exchange.fill(leg, leg.quantity - leg.executed, leg.price or leg.stop or Decimal(0))
    exchange.end(group, Status.FILLED)


def adjust_contract(exchange: Exchange, symbol: str, account_id: str | None) -> str | None:
    """Replace a contract by an adjusted one in every account that holds it; answer the new symbol."""
    contract = parse_occ(symbol)
    if contract is None:
        return None
    successor = occ(f"{contract.underlying}1", contract.expiry, contract.right, contract.strike)
    for account in exchange.accounts.values():
        if account_id not in (None, account.id):
            continue
        cancel_all_of(exchange, account.id, symbol)
        held = account.positions.pop(symbol, None)
        if held is not None:
            held.symbol = successor
            account.positions[successor] = held
            exchange.changed_accounts.add(account.id)
    return successor


def wipe(exchange: Exchange, account_id: str) -> list[int]:
    """Give an account its first day back; answer the ids of the orders that are gone."""
    gone = [order_id for order_id, order in exchange.orders.items() if order.account == account_id]
    for order_id in gone:
        order = exchange.orders.pop(order_id)
        exchange.changed_orders.pop(order_id, None)
        ids = exchange.working.get(order.security)
        if ids:
            ids.discard(order_id)
            if not ids:
                del exchange.working[order.security]
    exchange.due = [item for item in exchange.due if item.order_id in exchange.orders]
    exchange.of_account.pop(account_id, None)
    exchange.unfinished.pop(account_id, None)
    exchange.accounts.pop(account_id, None)
    exchange.account(account_id)
    return gone
