"""The kill switch and the check of a trade over HTTP. Source: public API, §2."""

from __future__ import annotations

from datetime import datetime

from libs.common.messages.safety import KillAction
from libs.common.messages.vocabulary import BrokerMode
from services.gateway.models_base import Answer, Body


class KillBody(Body):
    """Which way the switch is turned."""

    action: KillAction


class KillRow(Answer):
    """A position, or an entry, that the switch is about. `trade_id` null: not ours."""

    trade_id: str | None
    occ_symbol: str
    account_id: str
    broker_mode: BrokerMode
    qty: int
    reason: str


class KillState(Answer):
    """The switch, and what engaging it still has to end; `foreign` is left alone. A trade is in one list."""

    engaged: bool
    changed_at: datetime | None
    closing: list[KillRow]
    queued_for_open: list[KillRow]
    unknown: list[KillRow]
    failed: list[KillRow]
    settling: list[KillRow]
    foreign: list[KillRow]
    omitted: int


class LimitUse(Answer):
    """One limit and the trade. `value` null: there is no such limit; `used` null: it is of this trade alone."""

    limit: str
    value: str | None
    used: str | None
    would_be: str | None
    exceeded: bool


class TradeRefusal(Answer):
    """What would refuse the trade first."""

    code: str
    detail: str


class TradeCheck(Answer):
    """What the trade would use of each limit, and what would refuse it."""

    limits: list[LimitUse]
    refusal: TradeRefusal | None
