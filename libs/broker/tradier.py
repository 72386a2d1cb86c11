"""Tradier as a broker, for PAPER (the simulator speaks the same), TRADIER_SANDBOX and TRADIER_LIVE by base URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date
from functools import partial
from typing import Final
from urllib.parse import quote as escape

from libs.broker import tradier_account, tradier_forms, tradier_market, tradier_orders, tradier_stream
from libs.broker.base import (
    AccountHint,
    BalanceReport,
    BeforeSend,
    BrokerMode,
    BrokerProvider,
    CancelAnswer,
    Chain,
    ClockReport,
    OptionOrder,
    OrderReport,
    PastTrade,
    PlacedOrder,
    PlaceRequest,
    PositionReport,
    PreviewReport,
    Priority,
    Profile,
    Quote,
)
from libs.broker.budget import RateClass
from libs.broker.tradier_session import TradierSession
from libs.common.errors import AppError, LiveNotEnabled, UpstreamUnavailable
from libs.common.http import Unreadable

PAGE_LIMIT: Final = 1000
HISTORY_LIMIT: Final = 100
MAX_PAGES: Final = 50
MAX_QUERY_SYMBOLS: Final = 60
"""More symbols than this go in a form, not in the address."""


class TradierBroker(BrokerProvider):
    """One account at one Tradier host."""

    def __init__(
        self,
        session: TradierSession,
        *,
        mode: BrokerMode,
        account_id: str,
        live_enabled: bool = False,
        own_time: dict[BrokerMode, bool] | None = None,
    ) -> None:
        """Refuse orders (not reads) in LIVE unless told that they may be sent. `own_time`: what venues said before."""
        self.mode = mode
        self.account_id = account_id
        self._session = session
        self._live_enabled = live_enabled
        self._own_time = {BrokerMode.PAPER: True} if own_time is None else own_time
        self._account = f"/accounts/{escape(account_id, safe='')}"
        self._is_delayed = mode is BrokerMode.TRADIER_SANDBOX

    def with_priority(self, priority: Priority) -> TradierBroker:
        """Return this account speaking with a flow's priority at the budget."""
        return TradierBroker(
            self._session.with_priority(priority),
            mode=self.mode,
            account_id=self.account_id,
            live_enabled=self._live_enabled,
            own_time=self._own_time,
        )

    async def place(self, request: PlaceRequest, *, before_send: BeforeSend | None = None) -> PlacedOrder:
        """Send an order exactly once. Raises: LiveNotEnabled, InvalidInput and as `BrokerProvider` says."""
        if self.mode is BrokerMode.TRADIER_LIVE and not self._live_enabled:
            raise LiveNotEnabled("orders with real money are not enabled")
        return await self._session.post_once(
            f"{self._account}/orders",
            "place order",
            tradier_orders.placed,
            form=tradier_forms.place_form(request),
            before_send=before_send,
        )

    async def preview(self, request: OptionOrder) -> PreviewReport:
        """Ask what the order would cost. Raises: UpstreamRefused with the broker's words."""
        return await self._session.ask_by_post(
            f"{self._account}/orders",
            "preview order",
            tradier_orders.previewed,
            rate_class=RateClass.TRADING,
            form={**tradier_forms.option_form(request), "preview": "true"},
        )

    async def cancel(self, order_id: str, *, before_send: BeforeSend | None = None) -> CancelAnswer:
        """Ask for a cancel; 200 means only that it was asked. Raises: NotFound."""
        path = f"{self._account}/orders/{escape(order_id, safe='')}"
        return await self._session.delete(path, "cancel order", tradier_orders.cancelled, before_send=before_send)

    def will_write(self) -> None:
        """Say that orders or cancels, and reads of them, follow soon."""
        self._session.foresee(RateClass.TRADING)
        self._session.foresee(RateClass.STANDARD)

    async def writes_left(self, within_s: float) -> int:
        """Say how many orders and cancels the request budget lets through within so long."""
        return await self._session.left(RateClass.TRADING, within_s)

    async def orders(self) -> tuple[OrderReport, ...]:
        """List every order of the current session. Raises: UpstreamUnavailable rather than return a part."""
        found: dict[str, OrderReport] = {}
        for number in range(1, MAX_PAGES + 1):
            page = await self._session.get(
                f"{self._account}/orders",
                "order list",
                tradier_orders.order_page,
                query={"includeTags": "true", "page": str(number), "limit": str(PAGE_LIMIT)},
            )
            known = len(found)
            found.update((order.id, order) for order in page.orders)
            if tradier_orders.is_last_page(page, number, len(found) - known):
                try:
                    tradier_orders.check_complete(found.values(), page.total_orders)
                except Unreadable as error:
                    raise UpstreamUnavailable(f"order list: {error}") from error
                return tuple(found.values())
        raise UpstreamUnavailable(f"order list: more than {MAX_PAGES} pages")

    async def order(self, order_id: str) -> OrderReport:
        """Read one order, of whatever day. Raises: NotFound."""
        path = f"{self._account}/orders/{escape(order_id, safe='')}"
        return await self._session.get(path, "order", tradier_orders.single_order, query={"includeTags": "true"})

    async def positions(self) -> tuple[PositionReport, ...]:
        """List every holding."""
        return await self._session.get(f"{self._account}/positions", "positions", tradier_account.positions)

    async def history(self, since: date) -> tuple[PastTrade, ...]:
        """List every execution since a day, all pages; the vendor's sandbox writes none.

        Raises: UpstreamUnavailable rather than return a part.
        """
        if self.mode is BrokerMode.TRADIER_SANDBOX:
            return ()
        found: list[PastTrade] = []
        last: tuple[PastTrade, ...] | None = None
        for number in range(1, MAX_PAGES + 1):
            trades, entries = await self._session.get(
                f"{self._account}/history",
                "history",
                tradier_account.past_trades,
                query={"type": "trade", "start": since.isoformat(), "page": str(number), "limit": str(HISTORY_LIMIT)},
            )
            # A page may hold fewer than were asked for; only an empty one, or the same again, is the end.
            if not entries or trades == last:
                return tuple(found)
            found += trades
            last = trades
        raise UpstreamUnavailable(f"history: more than {MAX_PAGES} pages")

    async def balances(self) -> BalanceReport:
        """Read the account's money."""
        return await self._session.get(f"{self._account}/balances", "balances", tradier_account.balances)

    async def quotes(self, symbols: Sequence[str], *, greeks: bool = False) -> dict[str, Quote]:
        """Quote many symbols in one request. A symbol the venue does not know is absent."""
        if not symbols:
            return {}
        fields = {"symbols": ",".join(dict.fromkeys(symbols)), "greeks": "true" if greeks else "false"}
        parse = partial(tradier_market.quotes, is_delayed=self._is_delayed)
        if len(symbols) > MAX_QUERY_SYMBOLS:
            return await self._session.ask_by_post(
                "/markets/quotes", "quotes", parse, rate_class=RateClass.MARKET, form=fields
            )
        return await self._session.get("/markets/quotes", "quotes", parse, rate_class=RateClass.MARKET, query=fields)

    async def chain(self, underlying: str, expiry: date, *, greeks: bool = True) -> Chain:
        """List the contracts of one expiry."""
        return await self._session.get(
            "/markets/options/chains",
            "chain",
            partial(tradier_market.chain, underlying=underlying, expiry=expiry, is_delayed=self._is_delayed),
            rate_class=RateClass.MARKET,
            query={
                "symbol": underlying,
                "expiration": expiry.isoformat(),
                "greeks": "true" if greeks else "false",
            },
        )

    async def expirations(self, underlying: str) -> tuple[date, ...]:
        """List expiries over all roots, soonest first."""
        return await self._session.get(
            "/markets/options/expirations",
            "expirations",
            tradier_market.expirations,
            rate_class=RateClass.MARKET,
            query={"symbol": underlying, "includeAllRoots": "true"},
        )

    async def clock(self) -> ClockReport:
        """Read the venue's market clock."""
        return await self._session.get("/markets/clock", "clock", tradier_market.clock, rate_class=RateClass.MARKET)

    async def keeps_own_time(self) -> bool:
        """Ask the venue once for all; while it does not answer, a real venue follows the exchange."""
        if self.mode not in self._own_time:
            try:
                self._own_time[self.mode] = (await self.clock()).is_simulated
            except AppError:
                return False
        return self._own_time[self.mode]

    async def profile(self) -> Profile:
        """Say whose token this is. Raises: UpstreamAuth, and only here it means re-authenticate."""
        return await self._session.get("/user/profile", "profile", tradier_account.profile)

    def events(self, *, on_connected: Callable[[], None] | None = None) -> AsyncIterator[AccountHint]:
        """Follow the account's orders until the stream breaks."""
        return tradier_stream.follow(self._session, self.account_id, on_connected)
