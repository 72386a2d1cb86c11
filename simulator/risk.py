"""What the order back end refuses when it looks at the account: inventory, money, opposite sides. Pure."""

from decimal import Decimal

from simulator import rules
from simulator.book import WORKING, Order, Status
from simulator.exchange import Exchange
from simulator.rules import BACK_OFFICE, Leg, Refused, Ticket


def check(exchange: Exchange, account_id: str, ticket: Ticket) -> None:
    """Let a ticket through or say why not. Raises: Refused."""
    for leg in ticket.legs:
        contract = rules.contract_of(leg)
        if contract is not None and not exchange.quotes.is_listed(leg.security):
            raise Refused(f"Undefined symbol: {leg.option_symbol}")
        if exchange.toggles.tick_refusal == "now" and rules.off_tick(leg):
            raise Refused(BACK_OFFICE, "OrderPriceIsInvalid")
    immediate = ticket.legs if ticket.kind == "oco" else ticket.legs[:1]
    for leg in immediate:
        _check_side(exchange, account_id, leg)
        _check_opposite(exchange, account_id, leg)
    _check_money(exchange, account_id, immediate[0])


def _unfinished(exchange: Exchange, account_id: str, security: str) -> list[Order]:
    orders = (exchange.orders[order_id] for order_id in exchange.unfinished[account_id])
    return [order for order in orders if order.security == security and not order.is_group]


def sellable(exchange: Exchange, account_id: str, security: str) -> int:
    """Count what a new closing sell may take: the long less the working sells, a group counted once."""
    position = exchange.account(account_id).positions.get(security)
    long = max(position.quantity, 0) if position else 0
    taken: dict[int, int] = {}
    for order in _unfinished(exchange, account_id, security):
        if order.waiting:
            continue
        if order.is_sell:
            group = order.parent_id or order.id
            taken[group] = max(taken.get(group, 0), order.remaining)
        elif exchange.toggles.pending_buys:
            long += order.remaining
    return long - sum(taken.values())


def _check_side(exchange: Exchange, account_id: str, leg: Leg) -> None:
    if leg.side in ("sell_to_open", "sell_short"):
        raise Refused(BACK_OFFICE, "ShortOptionTradingDeniedForAccount" if leg.option_symbol else "ShortTradingDenied")
    if leg.side in ("sell_to_close", "sell"):
        free = sellable(exchange, account_id, leg.security)
        if free >= leg.quantity:
            return
        if exchange.toggles.refusal_form == "string":
            raise Refused(rules.NOT_CLOSING)
        raise Refused(BACK_OFFICE, "LongPositionCrossZero" if free > 0 else "UnexpectedSellOrderOption")
    if leg.side in ("buy_to_close", "buy_to_cover"):
        position = exchange.account(account_id).positions.get(leg.security)
        if position is None or -position.quantity < leg.quantity:
            raise Refused(
                BACK_OFFICE, "UnexpectedBuyToCoverOrderOption" if position is None else "ShortPositionCrossZero"
            )


def _check_opposite(exchange: Exchange, account_id: str, leg: Leg) -> None:
    policy = exchange.toggles.opposite_side
    if policy == "allow":
        return
    for order in _unfinished(exchange, account_id, leg.security):
        if order.is_sell == leg.is_sell or order.waiting:
            continue
        if policy == "refuse" or "market" in (order.type, leg.type):
            raise Refused(BACK_OFFICE, "OrderWithDifferentSide")
        if order.price is not None and order.price == leg.price and order.type == leg.type:
            raise Refused(BACK_OFFICE, "WashTradeAttempt")


def cost(exchange: Exchange, leg: Leg | Order) -> Decimal:
    """Estimate what a buy takes from the account. Units: dollars."""
    quote = exchange.quotes.quote(leg.security)
    price = leg.price or leg.stop or (quote.ask if quote else Decimal(0))
    if leg.price is not None and quote is not None and quote.ask > 0:
        price = min(price, quote.ask) if leg.type == "limit" else price
    return price * leg.quantity * (100 if leg.option_symbol else 1)


def reserved(exchange: Exchange, account_id: str) -> Decimal:
    """Sum what working buys may still take. Units: dollars."""
    orders = (exchange.orders[order_id] for order_id in exchange.unfinished[account_id])
    total = Decimal(0)
    for order in orders:
        if not order.is_group and not order.is_sell and (order.status in WORKING or order.status is Status.PENDING):
            total += (order.price or order.stop or Decimal(0)) * order.remaining * order.multiplier
    return total


def _check_money(exchange: Exchange, account_id: str, leg: Leg) -> None:
    if leg.is_sell:
        return
    free = exchange.account(account_id).cash - reserved(exchange, account_id)
    if leg.side not in ("buy_to_close", "buy_to_cover") and cost(exchange, leg) > free:
        raise Refused(BACK_OFFICE, "InitialMargin")
