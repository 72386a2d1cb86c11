"""What a broker keeps: orders, positions, accounts. Pure values with small rules of their own.

1. `cash + cost of positions - realized = deposited`, always.
2. An order's executed quantity never falls.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

EIGHT_PLACES = Decimal("0.00000001")
OPTION_MULTIPLIER = 100


class Status(StrEnum):
    """Tradier's words for where an order stands."""

    PENDING = "pending"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"


WORKING = frozenset({Status.OPEN, Status.PARTIALLY_FILLED})
TERMINAL = frozenset({Status.FILLED, Status.CANCELED, Status.REJECTED, Status.EXPIRED})
GROUPS = frozenset({"oco", "oto", "otoco"})


@dataclass(slots=True)
class Order:
    """An order, a group's parent, or one of its legs. A parent has legs and no terms of its own."""

    id: int
    account: str
    kind: str
    status: Status
    created_at: datetime
    changed_at: datetime
    session_date: date
    symbol: str = ""
    option_symbol: str | None = None
    side: str = ""
    type: str = ""
    quantity: int = 0
    duration: str = ""
    price: Decimal | None = None
    stop: Decimal | None = None
    tag: str | None = None
    parent_id: int | None = None
    legs: list[int] = field(default_factory=list)
    executed: int = 0
    average: Decimal | None = None
    last_price: Decimal | None = None
    last_quantity: int = 0
    reason: str | None = None
    triggered: bool = False
    held: bool = False
    waiting: bool = False
    cap: int | None = None
    filled_s: float = 0.0

    @property
    def is_group(self) -> bool:
        """Say whether it is a parent."""
        return bool(self.legs)

    @property
    def security(self) -> str:
        """Name what is bought or sold."""
        return self.option_symbol or self.symbol

    @property
    def multiplier(self) -> int:
        """Tell how many units of the price one of its quantity is worth."""
        return OPTION_MULTIPLIER if self.option_symbol else 1

    @property
    def is_sell(self) -> bool:
        """Say whether it takes from the position."""
        return self.side.startswith("sell")

    @property
    def is_terminal(self) -> bool:
        """Say whether it is over."""
        return self.status in TERMINAL

    @property
    def remaining(self) -> int:
        """Count what may still execute."""
        return 0 if self.is_terminal else self.quantity - self.executed


@dataclass(slots=True)
class Position:
    """What an account holds of one security. Units: cost in dollars, multiplier included, negative for a short."""

    id: int
    symbol: str
    quantity: int
    cost: Decimal
    acquired_at: datetime


@dataclass(slots=True)
class Account:
    """One customer's money and holdings."""

    id: str
    cash: Decimal
    deposited: Decimal
    created_at: datetime
    realized: Decimal = Decimal(0)
    realized_today: Decimal = Decimal(0)
    realized_date: date | None = None
    positions: dict[str, Position] = field(default_factory=dict)

    def trade(
        self, position_id: int, symbol: str, quantity: int, price: Decimal, *, multiplier: int, at: datetime
    ) -> Decimal:
        """Apply a signed execution to cash and position; answer what it realized."""
        self.cash -= quantity * price * multiplier
        return self.move(position_id, symbol, quantity, price * multiplier, at=at)

    def charge(self, amount: Decimal) -> None:
        """Take a cost, which no position bears."""
        self.cash -= amount
        self.realized -= amount

    def move(self, position_id: int, symbol: str, quantity: int, unit_value: Decimal, *, at: datetime) -> Decimal:
        """Change a position at a value per unit without touching cash; answer what it realized."""
        position = self.positions.get(symbol)
        if position is None:
            position = self.positions[symbol] = Position(position_id, symbol, 0, Decimal(0), at)
        realized = Decimal(0)
        if position.quantity * quantity < 0:
            direction = 1 if quantity > 0 else -1
            closing = direction * min(abs(quantity), abs(position.quantity))
            removed = (position.cost * -closing / position.quantity).quantize(EIGHT_PLACES)
            realized = -closing * unit_value - removed
            position.cost -= removed
            position.quantity += closing
            quantity -= closing
        position.cost += quantity * unit_value
        position.quantity += quantity
        if position.quantity == 0:
            del self.positions[symbol]
        self.realized += realized
        return realized
