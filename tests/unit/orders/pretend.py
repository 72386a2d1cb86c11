"""A broker in memory that keeps the venue's rules of inventory, and loses answers when told to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from libs.broker.base import BrokerMode, Priority
from libs.broker.orders import (
    CancelAnswer,
    OcoOrder,
    OptionOrder,
    OrderClass,
    OrderReport,
    OrderSide,
    OrderStatus,
    OrderType,
    OtocoOrder,
    PlacedOrder,
    PlaceRequest,
)
from libs.broker.reports import ClockReport, PositionReport, Quote
from libs.common.errors import NotFound, OutcomeUnknown, UpstreamRefused, UpstreamUnavailable
from libs.market.session import MarketState
from tests.unit.orders.views import NOW, OCC

LIVE = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.PENDING)


@dataclass
class PretendBroker:
    """One account. `faults` are spent by writes: lost_before, lost_after, refused, unavailable."""

    bid: Decimal = Decimal("4.00")
    ask: Decimal = Decimal("4.20")
    now: datetime = NOW
    faults: list[str] = field(default_factory=list)
    orders_by_id: dict[str, OrderReport] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    position: int = 0
    lowest_position: int = 0
    cash: Decimal = Decimal(0)
    mode: BrokerMode = BrokerMode.PAPER
    hides_exits: bool = False
    """Its list does not show the exits that it receives now, until it is told to show all."""
    unlisted: set[str] = field(default_factory=set)
    away_until: datetime | None = None
    """Till then it answers no list."""
    is_open: bool = True
    """Whether what rests can execute now."""
    release: str = "full_fill"
    """What lets an entry's exits work: its first or its full fill."""
    _ids: Any = field(default_factory=lambda: count(100))

    # ── asked ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def with_priority(self, _: Priority) -> PretendBroker:
        return self

    async def place(self, request: PlaceRequest, *, before_send: Any = None) -> PlacedOrder:
        if before_send is not None:
            await before_send()
        fault = self.faults.pop() if self.faults else None
        if fault == "unavailable":
            raise UpstreamUnavailable("not connected")
        if fault == "refused":
            raise UpstreamRefused("not today")
        if fault == "lost_before":
            raise OutcomeUnknown("no answer")
        if not isinstance(request, OtocoOrder):
            self._check_inventory(request)
        report = self._made(request)
        self.tags.append(request.tag)
        if self.hides_exits and not any(leg.side is OrderSide.BUY_TO_OPEN for leg in report.flat()):
            self.unlisted.add(report.id)
        self.orders_by_id[report.id] = report
        self._trade_through()
        if fault == "lost_after":
            raise OutcomeUnknown("no answer")
        return PlacedOrder(report.id)

    async def cancel(self, order_id: str, *, before_send: Any = None) -> CancelAnswer:
        if before_send is not None:
            await before_send()
        fault = self.faults.pop() if self.faults else None
        if fault is not None and fault != "lost_after":
            raise OutcomeUnknown("no answer")
        self.take_down(order_id)
        if fault is not None:
            raise OutcomeUnknown("no answer")
        return CancelAnswer.REQUESTED

    async def order(self, order_id: str) -> OrderReport:
        if order_id not in self.orders_by_id:
            raise NotFound("no such order")
        return self.orders_by_id[order_id]

    async def orders(self) -> tuple[OrderReport, ...]:
        if self.away_until is not None and self.now < self.away_until:
            raise UpstreamUnavailable("no answer")
        return tuple(order for name, order in self.orders_by_id.items() if name not in self.unlisted)

    async def positions(self) -> tuple[PositionReport, ...]:
        if not self.position:
            return ()
        return (PositionReport(symbol=OCC, qty=Decimal(self.position), cost_basis_usd=Decimal(0)),)

    async def quotes(self, symbols: Sequence[str], *, greeks: bool = False) -> dict[str, Quote]:
        return {symbol: Quote(symbol=symbol, type="option", bid=self.bid, ask=self.ask) for symbol in symbols}

    async def keeps_own_time(self) -> bool:
        return True

    async def clock(self) -> ClockReport:
        return ClockReport(
            market_date=date(2026, 11, 20),
            state=MarketState.OPEN if self.is_open else MarketState.CLOSED,
            market_now=self.now,
            follows_calendar=False,
        )

    # ── what happens there ───────────────────────────────────────────────────────────────────────────────────────────

    def move(self, bid: Decimal) -> None:
        """Move the market; what it reaches fills."""
        self.bid, self.ask = bid, bid + Decimal("0.20")
        self._trade_through()

    def hold(self, *, is_open: bool) -> None:
        """Begin or end the session; what the market reached meanwhile fills at its beginning."""
        self.is_open = is_open
        self._trade_through()

    def part_fill(self, qty: int) -> None:
        """Fill some of a working entry, whatever the market."""
        if not self.is_open:
            return
        for top in list(self.orders_by_id.values()):
            for order in top.flat():
                if order.side is OrderSide.BUY_TO_OPEN and order.status in LIVE:
                    leg = order if top.legs else None
                    self._fill(top, leg, min(qty, order.qty - order.exec_qty), order.price or self.ask)

    def take_down(self, order_id: str) -> None:
        """End what still works of an order."""
        top = self.orders_by_id.get(order_id)
        if top is None or top.status not in LIVE:
            return
        legs = tuple(self._ended(leg) for leg in top.legs)
        self.orders_by_id[order_id] = replace(self._ended(top), legs=legs)

    def _ended(self, order: OrderReport, reason: str | None = None) -> OrderReport:
        if order.status not in LIVE:
            return order
        return replace(order, status=OrderStatus.CANCELLED, transaction_at=self.now, reason=reason)

    def _check_inventory(self, request: OptionOrder | OcoOrder) -> None:
        if request.side is not OrderSide.SELL_TO_CLOSE:
            return
        taken = sum(
            max((leg.qty - leg.exec_qty for leg in top.flat() if leg.status in LIVE), default=0)
            for top in self.orders_by_id.values()
            if any(leg.side is OrderSide.SELL_TO_CLOSE for leg in top.flat())
        )
        if request.qty > self.position - taken:
            raise UpstreamRefused("Sell order cannot be placed unless you are closing a long position")
        if isinstance(request, OcoOrder) and request.stop_price >= self.bid:
            raise UpstreamRefused("SellStopOrderStopPriceGreaterBid")

    def _made(self, request: PlaceRequest) -> OrderReport:
        common: dict[str, Any] = {"raw_status": "open", "created_at": self.now, "transaction_at": self.now}
        own = str(next(self._ids))
        if isinstance(request, OptionOrder):
            return self._single(own, request.side, request.type, request.qty, request.price, request.stop, request.tag)
        qty, sell = request.qty, OrderSide.SELL_TO_CLOSE
        legs: tuple[OrderReport, ...] = (
            self._single(str(next(self._ids)), sell, OrderType.LIMIT, qty, request.target_price, None),
            self._single(str(next(self._ids)), sell, OrderType.STOP, qty, None, request.stop_price),
        )
        kind = OrderClass.OCO
        if isinstance(request, OtocoOrder):
            buy, kind = OrderSide.BUY_TO_OPEN, OrderClass.OTOCO
            entry = self._single(str(next(self._ids)), buy, OrderType.LIMIT, qty, request.entry_price, None)
            legs = (entry, *(replace(leg, status=OrderStatus.PENDING) for leg in legs))
        return OrderReport(id=own, order_class=kind, status=OrderStatus.OPEN, tag=request.tag, legs=legs, **common)

    def _single(
        self,
        own: str,
        side: OrderSide,
        kind: OrderType,
        qty: int,
        price: Decimal | None,
        stop: Decimal | None,
        tag: str | None = None,
    ) -> OrderReport:
        return OrderReport(
            id=own,
            order_class=OrderClass.OPTION,
            status=OrderStatus.OPEN,
            raw_status="open",
            side=side,
            type=kind,
            occ_symbol=OCC,
            qty=qty,
            price=price,
            stop=stop,
            tag=tag,
            created_at=self.now,
            transaction_at=self.now,
        )

    def _trade_through(self) -> None:
        for top in list(self.orders_by_id.values()):
            for leg in top.flat():
                price = self._reached(leg)
                if price is not None and self.orders_by_id[top.id].status in LIVE:
                    self._fill(top, leg if top.legs else None, leg.qty - leg.exec_qty, price)

    def _reached(self, order: OrderReport) -> Decimal | None:
        if order.status not in LIVE or order.status is OrderStatus.PENDING or not self.is_open:
            return None
        buys = order.side is OrderSide.BUY_TO_OPEN
        there = self.ask if buys else self.bid
        if order.type is OrderType.MARKET:
            return there if there > 0 else None
        if order.type is OrderType.STOP:
            return self.bid if order.stop is not None and 0 < self.bid <= order.stop else None
        assert order.price is not None
        reached = self.ask <= order.price if buys else self.bid >= order.price
        return there if reached and there > 0 else None

    def _fill(self, top: OrderReport, leg: OrderReport | None, qty: int, price: Decimal) -> None:
        top = self.orders_by_id[top.id]
        order = top if leg is None else next(one for one in top.legs if one.id == leg.id)
        if qty <= 0 or order.status not in LIVE:
            return
        total = order.exec_qty + qty
        average = ((order.avg_fill_price or Decimal(0)) * order.exec_qty + price * qty) / total
        status = OrderStatus.FILLED if total == order.qty else OrderStatus.PARTIALLY_FILLED
        after = replace(order, exec_qty=total, avg_fill_price=average, status=status, transaction_at=self.now)
        sign = 1 if order.side is OrderSide.BUY_TO_OPEN else -1
        self.position += sign * qty
        self.cash -= sign * qty * price * 100
        self.lowest_position = min(self.lowest_position, self.position)
        if leg is None:
            self.orders_by_id[top.id] = after
            return
        ended = status is OrderStatus.FILLED
        if leg.side is OrderSide.BUY_TO_OPEN:
            released = ended or self.release == "first_fill"
            legs = tuple(after if one.id == leg.id else self._let_go(one, released) for one in top.legs)
            legs = self._refused_exits(legs) if released else legs
            self.orders_by_id[top.id] = replace(top, legs=legs)
            self._trade_through()
            return
        legs = tuple(after if one.id == leg.id else (self._ended(one) if ended else one) for one in top.legs)
        self.orders_by_id[top.id] = replace(top, legs=legs, status=OrderStatus.FILLED if ended else top.status)

    def _let_go(self, leg: OrderReport, released: bool) -> OrderReport:
        """Let an exit behind an entry work."""
        if leg.status is not OrderStatus.PENDING or not released:
            return leg
        return replace(leg, status=OrderStatus.OPEN, transaction_at=self.now)

    def _refused_exits(self, legs: tuple[OrderReport, ...]) -> tuple[OrderReport, ...]:
        """Take exits down, after "ok", whose stop is at or above the bid."""
        if not any(leg.status is OrderStatus.OPEN and leg.stop and leg.stop >= self.bid for leg in legs):
            return legs
        return tuple(self._ended(leg, "SellStopOrderStopPriceGreaterBid" if leg.stop else None) for leg in legs)
