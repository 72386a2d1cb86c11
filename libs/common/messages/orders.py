"""What orders is asked and what it says: trades, settings, credentials, marks and concerns."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from libs.common.messages.base import Command, Fact, Payload, Query, Tick
from libs.common.messages.trade import ScannerView, TradeRow
from libs.common.messages.vocabulary import BrokerMode, Duration, EntryType, Finding, OptionType, Severity

# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Entry(Payload):
    """How to get in. `limit_price` in USD per share, only with a limit."""

    type: EntryType
    limit_price: Decimal | None = None
    duration: Duration = Duration.DAY


class PlaceTrade(Command, ScannerView, service="orders", name="place_trade"):
    """Place a protected trade. Answers the trade: 201 confirmed, 202 unknown."""

    idempotency_key: str
    account_id: str | None = None
    broker_mode: BrokerMode | None = None
    """The mode that is meant; refused where the settings name another."""
    by_program: bool = False
    """Whether a program asks, by an API key or a signal: with real money it names the account."""
    ticker: str
    option_type: OptionType
    strike: Decimal
    expiry: date
    qty: int
    entry: Entry
    sl_price: Decimal | None = None
    tp_price: Decimal | None = None
    strategy: str | None = None
    signals_snapshot: dict[str, Any] | None = None
    ai_reasoning_log: dict[str, Any] | None = None


class CloseTrade(Command, service="orders", name="close_trade"):
    """Sell what is held, or cancel what works. Answers the trade: 200 finished, 202 running or queued."""

    idempotency_key: str
    trade_id: str
    version: int


class AdjustTrade(Command, service="orders", name="adjust_trade"):
    """Replace the bracket. A price left out stays. Answers the trade: 200 finished, 202 running or queued."""

    idempotency_key: str
    trade_id: str
    version: int
    new_sl: Decimal | None = None
    new_tp: Decimal | None = None


class WithdrawTrade(Command, service="orders", name="withdraw_trade"):
    """Take back a close or adjust that waits for the open. Answers the trade."""

    idempotency_key: str
    trade_id: str


class ResolveTrade(Command, service="orders", name="resolve_trade"):
    """Name the broker's order behind a write that evidence could not settle, or none. Answers the trade.

    What is named is checked at the broker before it counts: an order by its id, "none" against the positions.
    """

    idempotency_key: str
    trade_id: str
    broker_order_id: str | None = None


class RepairTrade(Command, service="orders", name="repair_trade", askers=("monitor",)):
    """Look at a trade that monitor found at odds with the broker, and do what follows. Answers {state}.

    Nothing in it is believed: orders reads again under the trade's claim before it acts. Idempotent: looking again at
    what is right changes nothing.
    """

    trade_id: str
    finding: Finding
    seen_key_version: int
    """The row that was compared; a trade that moved on since is left alone."""
    broker_order_ids: tuple[str, ...] = ()
    """Orders of the contract that may explain it, ours or not: each is read by its id."""
    successor_occ: str | None = None
    """With a corporate action: the new contract."""


class UpdateTradingSettings(Command, service="orders", name="update_trading_settings"):
    """Change a subset of the trading settings. Answers all of them."""

    changes: dict[str, Any]
    confirm: str | None = None


class StoreCredentials(Command, service="orders", name="store_credentials"):
    """Check a broker token and keep it encrypted. Answers the account, never the token."""

    broker_mode: BrokerMode
    account_id: str
    account_name: str | None = None
    token: str = Field(repr=False)
    confirm: str | None = None


class TestCredentials(Command, service="orders", name="test_credentials"):
    """Ask the broker whose token this is (or whether the stored one still works). Stores nothing."""

    __test__ = False

    broker_mode: BrokerMode
    account_id: str
    token: str | None = Field(default=None, repr=False)


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class ListTrades(Query, service="orders", name="list_trades"):
    """List open or closed trades, newest first. Answers {trades, next_cursor}; header ETag."""

    status: str | None = None
    broker_mode: BrokerMode | None = None
    cursor: str | None = None
    limit: int = 100
    if_none_match: str | None = None


class ListHistory(Query, service="orders", name="list_history"):
    """List closed trades. Answers {trades, next_cursor}."""

    result: str | None = None
    strategy: str | None = None
    closed_from: datetime | None = None
    closed_to: datetime | None = None
    cursor: str | None = None
    limit: int = 50


class ExportTrades(Query, service="orders", name="export_trades"):
    """One page of the export, in full detail with capsule and targets. Answers {trades, next_cursor}."""

    cursor: str | None = None
    limit: int = 100


class GetTrade(Query, service="orders", name="get_trade"):
    """Answer one trade in full."""

    trade_id: str


class GetTimeline(Query, service="orders", name="get_timeline"):
    """Answer {events: [...]}: every mark, answer and state change of one trade, oldest first."""

    trade_id: str


class GetContext(Query, service="orders", name="get_context"):
    """Answer the time capsule of one trade."""

    trade_id: str


class GetTradingSettings(Query, service="orders", name="get_trading_settings"):
    """Answer the trading settings of the user, made with the defaults (and a PAPER account) at first use."""


class ListTracked(Query, service="orders", name="list_tracked", askers=("monitor", "pricing")):
    """Page through every trade somebody must watch, asked as the system user.

    Answers {trades: [TradeRow], next_cursor}: open trades, and closed ones with an order that is not yet terminal.
    """

    cursor: str | None = None
    limit: int = 200


class GetBrokerAccess(Query, service="orders", name="get_broker_access", askers=("monitor",)):
    """Answer {base_url, account_id, broker_mode, token_ciphertext, row_id} of one account; only monitor may ask."""

    broker_mode: BrokerMode
    account_id: str


class GetOrdersStatus(Query, service="orders", name="get_status"):
    """Answer {banners, feeds} as orders sees them for this user."""


# ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class TradeFact(Fact, TradeRow):
    """The whole trade after something happened to it; flat, so that the live feed hands it on as it is."""

    trade_id: str


class TradePlaced(TradeFact, service="orders", name="trade_placed", key="trade_id"):
    """The entry was accepted by the broker."""


class TradeFilled(TradeFact, service="orders", name="trade_filled", key="trade_id"):
    """The entry is over with something executed."""


class TradePartiallyFilled(TradeFact, service="orders", name="trade_partially_filled", key="trade_id"):
    """Some of the entry, or of an exit, was executed."""


class TradeProtected(TradeFact, service="orders", name="trade_protected", key="trade_id"):
    """Every exit asked for rests at the broker."""


class TradeUnprotected(TradeFact, service="orders", name="trade_unprotected", key="trade_id"):
    """A held position lacks an exit it asked for."""


class TradeAdjusted(TradeFact, service="orders", name="trade_adjusted", key="trade_id"):
    """Stop or target changed."""


class TradeClosing(TradeFact, service="orders", name="trade_closing", key="trade_id"):
    """A close began or was queued for the open."""


class TradeClosed(TradeFact, service="orders", name="trade_closed", key="trade_id"):
    """The trade is over and locked."""


class TradeRejected(TradeFact, service="orders", name="trade_rejected", key="trade_id"):
    """The entry was refused; the trade is over."""


class TradeUnknown(TradeFact, service="orders", name="trade_unknown", key="trade_id"):
    """A write got no clear answer; it is being settled by asking."""


class TradeChanged(TradeFact, service="orders", name="trade_changed", key="trade_id"):
    """Anything else: a queued action withdrawn, an unknown settled, a correction appended."""


TRADE_FACTS: tuple[type[TradeFact], ...] = (
    TradePlaced,
    TradeFilled,
    TradePartiallyFilled,
    TradeProtected,
    TradeUnprotected,
    TradeAdjusted,
    TradeClosing,
    TradeClosed,
    TradeRejected,
    TradeUnknown,
    TradeChanged,
)


class Concern(Payload):
    """Something that orders itself found wrong. `kind` is a word such as `naked` or `unknown_entry`."""

    concern_key: str
    kind: str
    severity: Severity
    text: str
    trade_id: str | None = None
    occ_symbol: str | None = None
    broker_mode: BrokerMode | None = None
    account_id: str | None = None
    since_at: datetime


class ConcernRaised(Fact, Concern, service="orders", name="concern_raised", key="concern_key"):
    """A concern began; monitor opens the incident."""


class ConcernEnded(Fact, Concern, service="orders", name="concern_ended", key="concern_key"):
    """A concern is over; monitor ends the incident."""

    ended_at: datetime


class CredentialsChanged(Fact, service="orders", name="credentials_changed", key="account_key"):
    """The token of an account changed; whatever is cached of it is void."""

    account_key: str
    broker_mode: BrokerMode
    account_id: str
    account_name: str | None = None
    removed: bool = False


class TradingSettingsChanged(Fact, service="orders", name="settings_changed", key="username"):
    """The user's trading settings, whole."""

    username: str
    settings: dict[str, Any]


# ── ticks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class PriceMark(Payload):
    """What a trade is worth now. Units: USD per share, P&L USD. Time: `last_updated` is the quote's own time."""

    trade_id: str
    current_price: Decimal | None
    unrealized_pnl: Decimal | None
    price_source: str
    last_updated: datetime
    max_gain: Decimal | None = None
    max_drawdown: Decimal | None = None


class Prices(Tick, publishers=("orders",), listeners=("gateway",), name="prices"):
    """The new marks of one user's trades."""

    prices: tuple[PriceMark, ...]
