"""Broker accounts over HTTP: cached status, positions, orders, executions and incidents."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from libs.common.messages.vocabulary import BrokerMode, OrderRole, Severity
from services.gateway.models_base import AccountId, Answer, Body, Cursor, Figure, From, To, TradeId


class AccountAsked(Body):
    """Which account; the setting's when left out."""

    account_id: AccountId | None = None


class ExecutionsAsked(Body):
    """Which page of fills."""

    executed_from: From | None = Field(default=None, alias="from")
    executed_to: To | None = Field(default=None, alias="to")
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 200


class IncidentsAsked(Body):
    """Which incidents."""

    open: bool | None = None
    trade_id: TradeId | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 100


class AccountStatus(Answer):
    """What an account holds. Units: USD."""

    account_id: str
    net_liquidation: Decimal | None
    buying_power: Decimal | None
    excess_liquidity: Decimal | None
    maint_margin: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None
    timestamp: datetime | None


class Position(Answer):
    """One position as the broker tells it, with Greeks filled in."""

    account_id: str
    symbol: str
    quantity: Decimal
    foreign_qty: Decimal
    """What the account holds beyond our trades; negative where it holds less."""
    avg_price: Decimal | None
    market_value: Decimal | None
    delta: Figure | None
    gamma: Figure | None
    theta: Figure | None
    vega: Figure | None
    iv: Figure | None
    dte: int | None
    instrument_type: str | None
    greeks_source: str | None
    timestamp: datetime | None


class Execution(Answer):
    """One fill, kept for good."""

    broker: str
    account_id: str
    broker_execution_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal | None
    execution_time: datetime


class AccountOrder(Answer):
    """One order of an account. Of ours those that live; of others' all of today's session. Units: USD per share."""

    is_ours: bool
    trade_id: str | None
    role: OrderRole | None
    broker_order_id: str | None
    occ_symbol: str | None
    symbol: str | None = None
    side: str | None = None
    type: str | None = None
    status: str
    qty: int
    filled_qty: int
    price: Decimal | None = None
    stop: Decimal | None = None
    created_at: datetime | None = None


class Account(Answer):
    """One account from the warm cache; `synced_at` is null before the first sync."""

    status: AccountStatus | None
    positions: list[Position]
    orders: list[AccountOrder]
    executions: list[Execution]
    synced_at: datetime | None


class AccountLine(Answer):
    """One account of the user."""

    account_id: str
    account_name: str | None = None
    broker_mode: BrokerMode
    status: AccountStatus | None = None
    synced_at: datetime | None = None


class Accounts(Answer):
    """The user's accounts."""

    accounts: list[AccountLine]


class SyncLine(Answer):
    """How the sync of one account stands."""

    account_id: str
    broker_mode: BrokerMode
    synced_at: datetime | None
    running: bool
    error: str | None


class SyncStatus(Answer):
    """How the syncs of the user's accounts stand."""

    accounts: list[SyncLine]


class SyncBegun(Answer):
    """The accounts that are being read now."""

    accounts: list[str]


class Executions(Answer):
    """One page of fills, newest first."""

    executions: list[Execution]
    next_cursor: str | None


class Incident(Answer):
    """Something that needs somebody's eye, with a beginning and an end."""

    id: str
    kind: str
    severity: Severity
    text: str
    trade_id: str | None
    occ_symbol: str | None
    broker_mode: BrokerMode | None
    account_id: str | None
    opened_at: datetime
    ended_at: datetime | None


class Incidents(Answer):
    """One page of incidents, newest first."""

    incidents: list[Incident]
    next_cursor: str | None
