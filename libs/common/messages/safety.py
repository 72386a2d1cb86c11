"""What stands between an idea and money: the kill switch, and what a trade would use of each limit."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from libs.common.messages.base import Command, Fact, Payload, Query
from libs.common.messages.orders import Entry
from libs.common.messages.vocabulary import BrokerMode, OptionType


class KillAction(StrEnum):
    """Which way the switch is turned."""

    ENGAGE = "engage"
    RELEASE = "release"


class KillRow(Payload):
    """A position, or an entry, that the kill switch is about. `qty` is what is held, of an entry what was asked for."""

    trade_id: str | None
    """None: not ours."""
    occ_symbol: str
    account_id: str
    broker_mode: BrokerMode
    qty: int
    reason: str
    """Where it stands, in words."""


class KillState(Payload):
    """The switch, and what engaging it still has to end. A trade is in one list until it is over."""

    engaged: bool
    changed_at: datetime | None = None
    """When it was engaged or released last."""
    closing: tuple[KillRow, ...] = ()
    queued_for_open: tuple[KillRow, ...] = ()
    unknown: tuple[KillRow, ...] = ()
    failed: tuple[KillRow, ...] = ()
    settling: tuple[KillRow, ...] = ()
    foreign: tuple[KillRow, ...] = ()
    """What the accounts hold beside our trades: left alone."""
    omitted: int = 0
    """Rows beyond what one answer lists."""


class KillSwitch(Command, service="orders", name="kill_switch"):
    """Engage or release the switch, over every mode and account of the user. Answers `KillState`. Needs no version."""

    action: KillAction


class GetKillSwitch(Query, service="orders", name="get_kill_switch"):
    """Answer `KillState`."""


class KillSwitchChanged(Fact, KillState, service="orders", name="kill_switch_changed", key="username"):
    """The switch was turned, or what it has to end moved on: the whole state."""

    username: str


class CheckTrade(Query, service="orders", name="check_trade"):
    """Tell how much of each limit a trade would use, and what would refuse it. Sends and stores nothing.

    Answers {limits: [{limit, value, used, would_be, exceeded}], refusal: null | {code, detail}}.
    """

    timeout_s = 6.0

    account_id: str | None = None
    broker_mode: BrokerMode | None = None
    by_program: bool = False
    ticker: str
    option_type: OptionType
    strike: Decimal
    expiry: date
    qty: int
    entry: Entry
    sl_price: Decimal | None = None
    tp_price: Decimal | None = None


class LimitUse(Payload):
    """One limit and a trade. `value` None: there is no such limit; `used` None: it is of this trade alone."""

    limit: str
    value: str | None
    used: str | None
    would_be: str | None
    """None: nobody could tell."""
    exceeded: bool


class TradeRefusal(Payload):
    """What would refuse the trade first."""

    code: str
    detail: str


class TradeCheck(Payload):
    """What a trade would use of each limit."""

    limits: tuple[LimitUse, ...] = ()
    refusal: TradeRefusal | None = None
