"""What lives beside a trade and may change after its close: what it is worth, what is wrong, what was learned later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.common.messages.vocabulary import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What was learned of a trade's money after its close. Units: USD, added to its P&L."""

    id: str
    trade_id: str
    username: str
    kind: str
    amount_usd: Decimal
    text: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRow:
    """What a trade was worth when last looked at."""

    current_price: Decimal | None = None
    price_source: str | None = None
    last_updated: datetime | None = None
    unrealized_pnl: Decimal | None = None
    max_gain: Decimal | None = None
    max_drawdown: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenConcern:
    """A concern of this trade that was raised and not ended."""

    concern_key: str
    kind: str
    severity: Severity
    text: str
    since_at: datetime
    key_version: int = 1
