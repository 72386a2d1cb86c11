"""What the gateway says: people's accounts and their notifications."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from libs.common.messages.base import Fact, Payload


class NotificationData(Payload):
    """What a notification tells. Units: USD per share, contracts."""

    trade_id: str | None = None
    symbol: str | None = None
    action: str | None = None
    type: str
    status: str | None = None
    message: str
    fill_price: Decimal | None = None
    quantity: int | None = None
    account: str | None = None
    timestamp: datetime


class NotificationCreated(Fact, service="gateway", name="notification_created", key="id"):
    """A line in the user's inbox."""

    id: str
    read_at: datetime | None = None
    data: NotificationData


class UserRegistered(Fact, service="gateway", name="user_registered", key="username"):
    """Somebody joined; orders prepares settings and a PAPER account."""

    username: str
