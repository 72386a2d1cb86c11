"""What a broker can be asked, and what it answers, without a word of any vendor's wire format.

How a write ends (every provider holds to it; order-path §1):
1. It returns: the broker has it.
2. `UpstreamRefused`, `UpstreamAuth`, `UpstreamUnavailable`, `LiveNotEnabled`: proven not to have happened.
3. `OutcomeUnknown`: it may have happened. Only evidence (order list, position) ends that.
Whatever `before_send` raises comes back as it is: nothing was sent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from enum import IntEnum

from libs.broker.orders import (
    TERMINAL,
    AccountHint,
    CancelAnswer,
    Duration,
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
    PreviewReport,
)
from libs.broker.reports import (
    BalanceReport,
    Chain,
    ClockReport,
    Greeks,
    PastTrade,
    PositionReport,
    Profile,
    ProfileAccount,
    Quote,
)
from libs.common.http_call import BeforeSend
from libs.common.messages.vocabulary import BrokerMode

__all__ = [
    "TERMINAL",
    "AccountHint",
    "BalanceReport",
    "BeforeSend",
    "BrokerMode",
    "BrokerProvider",
    "CancelAnswer",
    "Chain",
    "ClockReport",
    "Duration",
    "Greeks",
    "OcoOrder",
    "OptionOrder",
    "OrderClass",
    "OrderReport",
    "OrderSide",
    "OrderStatus",
    "OrderType",
    "OtocoOrder",
    "PastTrade",
    "PlaceRequest",
    "PlacedOrder",
    "PositionReport",
    "PreviewReport",
    "Priority",
    "Profile",
    "ProfileAccount",
    "Quote",
]


class Priority(IntEnum):
    """Whose turn it is at the budget: the flow's, its reads included. Lower goes first."""

    EXIT = 0
    """Close, kill, protect and repair: may use all."""
    ENTRY = 10
    """Placing entries and what a person waits for; leaves a reserve of trading."""
    POLL = 20
    """Background reads; leave a reserve of standard."""


class BrokerProvider(ABC):
    """One account at one venue.

    Raises: reads raise `UpstreamUnavailable` when the venue cannot answer, `UpstreamAuth` when it refuses the token.
    """

    mode: BrokerMode
    account_id: str

    @abstractmethod
    def with_priority(self, priority: Priority) -> BrokerProvider:
        """Return this account speaking with a flow's priority at the budget."""

    @abstractmethod
    async def place(self, request: PlaceRequest, *, before_send: BeforeSend | None = None) -> PlacedOrder:
        """Send an order exactly once; never repeated by the provider. Raises: see the module's rules."""

    @abstractmethod
    async def preview(self, request: OptionOrder) -> PreviewReport:
        """Ask what the order would cost. Raises: UpstreamRefused with the broker's words."""

    @abstractmethod
    async def cancel(self, order_id: str, *, before_send: BeforeSend | None = None) -> CancelAnswer:
        """Ask for a cancel (a parent's takes its legs along). Idempotent: repeated on failure. Raises: NotFound."""

    @abstractmethod
    def will_write(self) -> None:
        """Say that orders or cancels, and reads of them, follow soon: the request budget need not hold them up then."""

    @abstractmethod
    async def writes_left(self, within_s: float) -> int:
        """Say how many orders and cancels of this priority the request budget lets through within so long."""

    @abstractmethod
    async def orders(self) -> tuple[OrderReport, ...]:
        """List every order of the current session, all pages, tags included. Raises rather than return a part."""

    @abstractmethod
    async def order(self, order_id: str) -> OrderReport:
        """Read one order, of whatever day. Raises: NotFound."""

    @abstractmethod
    async def positions(self) -> tuple[PositionReport, ...]:
        """List every holding."""

    @abstractmethod
    async def history(self, since: date) -> tuple[PastTrade, ...]:
        """List every execution since a New York day. Raises rather than return a part.

        As far as the venue has written them down: the night after, or, in a sandbox, never.
        """

    @abstractmethod
    async def balances(self) -> BalanceReport:
        """Read the account's money."""

    @abstractmethod
    async def quotes(self, symbols: Sequence[str], *, greeks: bool = False) -> dict[str, Quote]:
        """Quote many symbols at once. A symbol the venue does not know is absent."""

    @abstractmethod
    async def chain(self, underlying: str, expiry: date, *, greeks: bool = True) -> Chain:
        """List the contracts of one expiry."""

    @abstractmethod
    async def expirations(self, underlying: str) -> tuple[date, ...]:
        """List expiries over all roots, soonest first. Empty when the symbol is unknown."""

    @abstractmethod
    async def clock(self) -> ClockReport:
        """Read the venue's market clock."""

    @abstractmethod
    async def keeps_own_time(self) -> bool:
        """Say whether the venue's time and session are its own (a simulator's) and not the exchange's. Asked once."""

    @abstractmethod
    async def profile(self) -> Profile:
        """Say whose token this is. Raises: UpstreamAuth, and only here it means re-authenticate."""

    @abstractmethod
    def events(self, *, on_connected: Callable[[], None] | None = None) -> AsyncIterator[AccountHint]:
        """Follow the account's orders; `on_connected` is the moment to read everything once.

        Raises: UpstreamUnavailable when the stream breaks (the caller reconnects), UpstreamAuth, UpstreamRefused.
        """
