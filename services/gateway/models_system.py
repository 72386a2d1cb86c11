"""Notifications and the state of the house over HTTP."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from libs.common.messages.vocabulary import Severity
from services.gateway.models_base import Answer, Body, Cursor
from services.gateway.models_market import MarketStatus


class NotificationsAsked(Body):
    """Which page of the inbox."""

    limit: Annotated[int, Field(ge=1, le=200)] = 20
    unread_only: bool = False
    cursor: Cursor | None = None


class NotificationData(Answer):
    """What a notification tells."""

    trade_id: str | None
    symbol: str | None
    action: str | None
    type: str
    status: str | None
    message: str
    fill_price: Decimal | None
    quantity: int | None
    account: str | None
    timestamp: datetime


class Notification(Answer):
    """A line of the inbox."""

    id: str
    read_at: datetime | None
    data: NotificationData


class Notifications(Answer):
    """One page of the inbox, newest first, and how much of all is unread."""

    notifications: list[Notification]
    next_cursor: str | None
    unread: int


class Read(Answer):
    """How many lines became read."""

    read: int


class Banner(Answer):
    """A line across the page; `code` is stable."""

    code: str
    level: Severity
    text: str
    since: datetime


class Feed(Answer):
    """A source of data and how old its last news is; null: none yet."""

    name: str
    age_s: Decimal | float | None
    ok: bool


class Told(Answer):
    """What one service says of itself."""

    banners: tuple[Banner, ...] = ()
    feeds: tuple[Feed, ...] = ()


class ServiceLine(Answer):
    """Whether a service answers."""

    name: str
    ok: bool


class SystemStatus(Answer):
    """The house as far as it is known."""

    banners: list[Banner]
    feeds: list[Feed]
    services: list[ServiceLine]
    market: MarketStatus | None
    page_fallback_s: float
