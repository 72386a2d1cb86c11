"""What forensics is asked and what it says: results of closed trades."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from libs.common.messages.base import Fact, Query


class GetForensicsStatus(Query, service="forensics", name="get_status"):
    """Answer {banners, feeds} as forensics sees them."""


class GetOutcome(Query, service="forensics", name="get_outcome"):
    """Answer the outcome row of one closed trade."""

    trade_id: str


class LabelsComputed(Fact, service="forensics", name="labels_computed", key="trade_id"):
    """What the minutes of a closed trade say, computed in the night after."""

    trade_id: str
    target_pnl_15m: Decimal | None = None
    target_pnl_1h: Decimal | None = None
    target_mfe_pct: Decimal | None = None
    target_mae_pct: Decimal | None = None
    computed_at: datetime
