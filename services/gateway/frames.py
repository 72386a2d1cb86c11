"""Server-sent events as bytes, each encoded once for all its readers. Source: HTML Living Standard §9.2.

1. A frame with an id is a fact; ticks have none.
2. A frame holds one event and ends with an empty line; data is JSON on one line.
"""

from __future__ import annotations

from libs.common.messages.gateway import NotificationCreated
from libs.common.messages.monitor import IncidentEnded, IncidentOpened
from libs.common.messages.orders import (
    TradeAdjusted,
    TradeChanged,
    TradeClosed,
    TradeClosing,
    TradeFilled,
    TradePartiallyFilled,
    TradePlaced,
    TradeProtected,
    TradeRejected,
    TradeUnknown,
    TradeUnprotected,
    TradingSettingsChanged,
)
from libs.common.messages.safety import KillSwitchChanged
from libs.common.messages.signals import SignalAccepted, SignalQueued, SignalRejected

FACTS = (
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
    NotificationCreated,
    IncidentOpened,
    IncidentEnded,
    TradingSettingsChanged,
    KillSwitchChanged,
    SignalAccepted,
    SignalQueued,
    SignalRejected,
)
"""What a user may see happen. Everything else on the bus stays inside."""

EVENT_OF = {f"{fact.owner}.{fact.topic}": fact.topic for fact in FACTS}
"""The event's name by the last two tokens of the fact's subject."""

COMMENT = b":\n\n"


def fact(event: str, cursor: str, data: bytes) -> bytes:
    """Frame a fact: a reader that has it may go on after `cursor`."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (cursor.encode(), event.encode(), data)


def tick(event: str, data: bytes) -> bytes:
    """Frame news that the next one replaces."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), data)


def place(cursor: str) -> bytes:
    """Tell a reader where he is without an event, so that he loses nothing if he is cut off before his next fact."""
    return b"id: %s\n\n" % cursor.encode()


def resync(reason: str) -> bytes:
    """Tell a reader that facts are missing and his lists must be loaded again."""
    return b'event: resync\ndata: {"reason":"%s"}\n\n' % reason.encode()
