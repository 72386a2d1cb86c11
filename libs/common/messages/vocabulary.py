"""The words that services, tables and outsiders share: modes, states, roles and reasons.

A state's set is named beside its enum. Values are exactly those of the public API.
"""

from __future__ import annotations

from enum import StrEnum

from libs.market.options import OptionType

__all__ = [
    "HOLDING_STATES",
    "NEVER_HELD",
    "OPEN_STATES",
    "SANDBOX_WIPE",
    "TERMINAL_ORDERS",
    "UNANSWERED_ORDERS",
    "WORKING_ORDERS",
    "BrokerMode",
    "CloseReason",
    "Duration",
    "EntryType",
    "Finding",
    "OptionType",
    "OrderRole",
    "OrderStatus",
    "Protection",
    "Settlement",
    "Severity",
    "TradeStatus",
    "TriggerPrecision",
]


class BrokerMode(StrEnum):
    """Where an account lives. A trade pins it for good."""

    PAPER = "PAPER"
    TRADIER_SANDBOX = "TRADIER_SANDBOX"
    TRADIER_LIVE = "TRADIER_LIVE"


class EntryType(StrEnum):
    """How the entry is priced."""

    MARKET = "market"
    LIMIT = "limit"


class Duration(StrEnum):
    """How long an order rests."""

    DAY = "day"
    GTC = "gtc"


class TradeStatus(StrEnum):
    """Where a trade is in its life. Source: order path, states."""

    OPEN = "OPEN"
    """The entry works, or its outcome is unknown (page: Pending)."""
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    """The entry is over and something was executed."""
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"


OPEN_STATES = frozenset({TradeStatus.OPEN, TradeStatus.PARTIAL, TradeStatus.FILLED, TradeStatus.CLOSING})
HOLDING_STATES = frozenset({TradeStatus.PARTIAL, TradeStatus.FILLED, TradeStatus.CLOSING})


class Protection(StrEnum):
    """Whether the exits a trade asked for rest at the broker."""

    NONE = "NONE"
    PENDING = "PENDING"
    PROTECTED = "PROTECTED"
    NAKED = "NAKED"
    SETTLING = "SETTLING"


class CloseReason(StrEnum):
    """Why a trade ended."""

    TP_HIT = "TP_HIT"
    SL_HIT = "SL_HIT"
    MANUAL_CLOSE = "MANUAL_CLOSE"
    EXPIRED_OTM = "EXPIRED_OTM"
    EXPIRED_ITM = "EXPIRED_ITM"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    CLOSED_AT_BROKER = "CLOSED_AT_BROKER"
    FLATTENED = "FLATTENED"
    KILL_SWITCH = "KILL_SWITCH"


NEVER_HELD = frozenset({CloseReason.REJECTED, CloseReason.CANCELLED})
"""Ends without a position, so without a result."""


class TriggerPrecision(StrEnum):
    """How the close price is known."""

    BROKER_FILL = "BROKER_FILL"
    BROKER_HISTORY = "BROKER_HISTORY"
    OFFICIAL_CLOSE = "OFFICIAL_CLOSE"
    ESTIMATED = "ESTIMATED"


class OrderRole(StrEnum):
    """What an order is for in its trade."""

    ENTRY = "ENTRY"
    STOP_LOSS = "STOP_LOSS"
    TAKE_PROFIT = "TAKE_PROFIT"
    CLOSE = "CLOSE"
    COVER = "COVER"


class OrderStatus(StrEnum):
    """A broker order as we know it. `INTENT`, `SENT` and `UNKNOWN` are ours; the rest is the broker's word."""

    INTENT = "INTENT"
    SENT = "SENT"
    WORKING = "WORKING"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    UNKNOWN = "UNKNOWN"


NOT_OURS = "not-ours-"
"""How the tag of an order begins that a trade owns a part of, and that somebody else placed."""

TERMINAL_ORDERS = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED})
WORKING_ORDERS = frozenset({OrderStatus.WORKING, OrderStatus.PARTIAL})
UNANSWERED_ORDERS = frozenset({OrderStatus.SENT, OrderStatus.UNKNOWN})


class Settlement(StrEnum):
    """What a contract turned into at its end."""

    EXERCISED = "EXERCISED"
    CASH = "CASH"


class Finding(StrEnum):
    """What monitor can find when it compares an account's trades with its broker's report."""

    NAKED = "naked"
    """Held without every kind of exit asked for."""
    ORPHAN = "orphan"
    """The trade is over, an order of it works."""
    SHORT = "short"
    """The account is short in a contract of ours."""
    FOREIGN = "foreign"
    """Held or working, and not ours: labelled, never touched."""
    VANISHED = "vanished"
    """The broker holds nothing of what our orders say is held."""
    MISMATCH = "mismatch"
    """The broker holds less, but not nothing, of what our orders say is held."""
    EXIT_QTY = "exit_qty"
    """Exits rest for another quantity than is held."""
    CORPORATE_ACTION = "corporate_action"
    """The contract is gone and a like-sized new one of the same underlying is there."""
    SANDBOX_WIPE = "sandbox_wipe"
    """Everything of ours is gone and the cash is reset."""
    DOUBTFUL = "doubtful"
    """The account's view cannot be trusted; nothing is said or repaired from it."""


SANDBOX_WIPE = "SANDBOX_WIPE"
"""The `reason` of a trade that ended because its venue forgot the account: it counts in no statistic."""


class Severity(StrEnum):
    """How loud an incident or banner is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"
