"""Orders as asked for and as reported: the vocabulary, the requests and the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class OrderClass(StrEnum):
    """What a broker order consists of."""

    EQUITY = "equity"
    OPTION = "option"
    MULTILEG = "multileg"
    COMBO = "combo"
    OTO = "oto"
    OCO = "oco"
    OTOCO = "otoco"
    UNRECOGNISED = "unrecognised"


class OrderSide(StrEnum):
    """Which way, and whether it opens or closes."""

    BUY_TO_OPEN = "buy_to_open"
    BUY_TO_CLOSE = "buy_to_close"
    SELL_TO_OPEN = "sell_to_open"
    SELL_TO_CLOSE = "sell_to_close"
    BUY = "buy"
    SELL = "sell"
    SELL_SHORT = "sell_short"
    BUY_TO_COVER = "buy_to_cover"
    UNRECOGNISED = "unrecognised"


class OrderType(StrEnum):
    """How the price is set."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    DEBIT = "debit"
    CREDIT = "credit"
    EVEN = "even"
    UNRECOGNISED = "unrecognised"


class Duration(StrEnum):
    """How long the order works."""

    DAY = "day"
    GTC = "gtc"
    PRE = "pre"
    POST = "post"
    UNRECOGNISED = "unrecognised"


class OrderStatus(StrEnum):
    """The broker's word for an order, in one spelling. A word nobody knows is `UNRECOGNISED` and not terminal."""

    PENDING = "pending"
    HELD = "held"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    ERROR = "error"
    UNRECOGNISED = "unrecognised"

    @property
    def is_terminal(self) -> bool:
        """Say whether the order can no longer execute. `ERROR` counts only when a second look says it again."""
        return self in TERMINAL


TERMINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionOrder:
    """One single-leg option order to place. Prices are on the contract's tick already."""

    occ_symbol: str
    underlying: str
    side: OrderSide
    qty: int
    type: OrderType
    duration: Duration
    tag: str
    price: Decimal | None = None
    stop: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OcoOrder:
    """A resting target and a resting stop on one contract, one cancelling the other."""

    occ_symbol: str
    underlying: str
    qty: int
    target_price: Decimal
    stop_price: Decimal
    tag: str
    stop_limit_price: Decimal | None = None
    """Makes the stop leg a `stop_limit`."""
    side: OrderSide = OrderSide.SELL_TO_CLOSE
    duration: Duration = Duration.GTC


@dataclass(frozen=True, slots=True, kw_only=True)
class OtocoOrder:
    """A limit entry that releases a target and a stop. Durations are per leg, never one for the group."""

    occ_symbol: str
    underlying: str
    qty: int
    entry_price: Decimal
    target_price: Decimal
    stop_price: Decimal
    tag: str
    stop_limit_price: Decimal | None = None
    entry_duration: Duration = Duration.DAY
    exit_duration: Duration = Duration.GTC


PlaceRequest = OptionOrder | OcoOrder | OtocoOrder


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """The broker received the order. For a group the id is the parent's; it may still be rejected a moment later."""

    id: str


class CancelAnswer(StrEnum):
    """What a cancel request was told. Neither says how the order ended: read it."""

    REQUESTED = "requested"
    ALREADY_FINAL = "already_final"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewReport:
    """What the broker thinks an order would cost."""

    cost_usd: Decimal | None
    commission_usd: Decimal | None
    fees_usd: Decimal | None
    margin_change_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """One order as the broker shows it. A group's parent has no type, side, symbol or quantity (0); its legs do."""

    id: str
    order_class: OrderClass
    status: OrderStatus
    raw_status: str
    side: OrderSide | None = None
    type: OrderType | None = None
    duration: Duration | None = None
    symbol: str | None = None
    """The underlying, or an equity order's own symbol."""
    occ_symbol: str | None = None
    qty: int = 0
    exec_qty: int = 0
    remaining_qty: int | None = None
    avg_fill_price: Decimal | None = None
    last_fill_price: Decimal | None = None
    price: Decimal | None = None
    stop: Decimal | None = None
    tag: str | None = None
    legs: tuple[OrderReport, ...] = ()
    parent_id: str | None = None
    created_at: datetime | None = None
    transaction_at: datetime | None = None
    reason: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Say whether this order and each of its legs can no longer execute."""
        return self.status.is_terminal and all(leg.is_terminal for leg in self.legs)

    @property
    def is_priced(self) -> bool:
        """Say whether what executed has its price: a fill may be shown before its price is (then read again)."""
        return self.exec_qty == 0 or (self.avg_fill_price is not None and self.avg_fill_price > 0)

    def flat(self) -> tuple[OrderReport, ...]:
        """List the orders that can execute: the legs of a group, else the order itself."""
        return tuple(order for leg in self.legs for order in leg.flat()) if self.legs else (self,)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountHint:
    """Something happened to an order: read it now. Never evidence by itself."""

    order_id: str
    status: OrderStatus
    parent_id: str | None = None
    tag: str | None = None
    account_id: str | None = None
    at: datetime | None = None
