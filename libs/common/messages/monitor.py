"""What monitor is asked and what it says: broker orders as they change, accounts, incidents."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from libs.common.messages.base import Command, Fact, Payload, Query, Tick
from libs.common.messages.vocabulary import BrokerMode, OrderRole, OrderStatus, Severity

# ── commands and queries ─────────────────────────────────────────────────────────────────────────────────────────────


class SyncNow(Command, service="monitor", name="sync_now"):
    """Read all accounts of the user at once; progress comes as ticks. Answers 202."""

    account_id: str | None = None


class GetSyncStatus(Query, service="monitor", name="get_sync_status"):
    """Answer {accounts: [{account_id, broker_mode, synced_at, running, error}]}."""


class ListAccounts(Query, service="monitor", name="list_accounts"):
    """Answer {accounts: [...]} with the cached status of each."""


class GetAccount(Query, service="monitor", name="get_account"):
    """Answer {status, positions, orders, executions, synced_at} of one account from the warm cache."""

    account_id: str | None = None


class ListExecutions(Query, service="monitor", name="list_executions"):
    """Answer {executions, next_cursor}."""

    executed_from: datetime | None = None
    executed_to: datetime | None = None
    cursor: str | None = None
    limit: int = 200


class ListIncidents(Query, service="monitor", name="list_incidents"):
    """Answer {incidents, next_cursor}, newest first."""

    open: bool | None = None
    trade_id: str | None = None
    cursor: str | None = None
    limit: int = 100


class GetMonitorStatus(Query, service="monitor", name="get_status", askers=("gateway", "orders")):
    """Answer {banners, feeds} as monitor sees them for this user. Orders asks to see whether anybody is there."""


# ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class OrderChanged(Fact, service="monitor", name="order_changed", key="order_key"):
    """One broker order of ours as the broker tells it. A leg of an OCO is an order of its own.

    `order_key` is "<mode>:<account>:<broker order id>". Units: contracts, USD per share. Time: `broker_at` is the
    broker's own transaction time, `seen_at` ours.
    """

    order_key: str
    broker_mode: BrokerMode
    account_id: str
    broker_order_id: str
    parent_broker_order_id: str | None = None
    tag: str | None = None
    trade_id: str | None = None
    role: OrderRole | None = None
    occ_symbol: str | None = None
    side: str | None = None
    status: OrderStatus
    qty: int
    filled_qty: int
    avg_fill_price: Decimal | None = None
    reason: str | None = None
    broker_at: datetime | None = None
    seen_at: datetime


class Incident(Payload):
    """Something that needs somebody's eye, with a beginning and an end."""

    id: str
    kind: str
    severity: Severity
    text: str
    trade_id: str | None = None
    occ_symbol: str | None = None
    broker_mode: BrokerMode | None = None
    account_id: str | None = None
    opened_at: datetime
    ended_at: datetime | None = None
    key_version: int = 1


class IncidentOpened(Fact, Incident, service="monitor", name="incident_opened", key="id"):
    """An incident began."""


class IncidentEnded(Fact, Incident, service="monitor", name="incident_ended", key="id"):
    """An incident is over."""


# ── ticks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class SyncProgress(Tick, publishers=("monitor",), listeners=("gateway",), name="sync"):
    """How far a sync of the user's accounts is."""

    account_id: str
    step: str
    done: int
    total: int
    synced_at: datetime | None = None


class Banner(Payload):
    """A line across the page. `code` is stable, such as `broker_unavailable`, `re_authenticate` or `stale_data`."""

    code: str
    level: Severity
    text: str
    since: datetime


class BannerChanged(Tick, publishers=("monitor", "orders", "pricing"), listeners=("gateway",), name="banner"):
    """The banners that one service now shows to a user ("_": to everybody); replaces what it said before."""

    origin: str
    banners: tuple[Banner, ...]
