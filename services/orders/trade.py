"""A trade with its broker orders and what is asked of it, as values.

1. Everything here is frozen; a change is a new value, made in `lifecycle` and nowhere else.
2. Quantities are contracts, prices USD per share, amounts USD; times are aware UTC.
3. What is held is our entry fills less our exit fills, by order, and never what a position list says.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from libs.broker.orders import OrderSide, OrderType
from libs.common.messages.vocabulary import (
    TERMINAL_ORDERS,
    UNANSWERED_ORDERS,
    WORKING_ORDERS,
    BrokerMode,
    CloseReason,
    Duration,
    EntryType,
    Finding,
    OptionType,
    OrderRole,
    OrderStatus,
    Protection,
    Settlement,
    TradeStatus,
    TriggerPrecision,
)
from services.orders.beside import Correction, MarkRow, OpenConcern

EXIT_ROLES = frozenset({OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT, OrderRole.CLOSE})
BUYING_ROLES = frozenset({OrderRole.ENTRY, OrderRole.COVER})
BRACKET_ROLES = frozenset({OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT})


class Group(StrEnum):
    """What an order was sent as."""

    SINGLE = "single"
    OCO = "oco"
    OTOCO = "otoco"
    FOREIGN = "foreign"
    """Not sent by us: somebody else's order that sold, or bought back, what the trade had; without an id, none did."""


class ActionKind(StrEnum):
    """What somebody asked of a trade that is placed."""

    CLOSE = "CLOSE"
    ADJUST = "ADJUST"
    REPAIR = "REPAIR"
    """Look again at the broker, because the trade was found at odds with it."""
    YIELD = "YIELD"
    """Take down what still works of the entry: what surfaced of another trade is sold in the contract."""


class ActionState(StrEnum):
    """How far an action is. `REQUESTED` waits for the running flow's next safe mark, `QUEUED` for the open."""

    REQUESTED = "REQUESTED"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    WITHDRAWN = "WITHDRAWN"


ACTIVE = frozenset({ActionState.REQUESTED, ActionState.QUEUED, ActionState.RUNNING})


class NakedPolicy(StrEnum):
    """What happens to a holding whose exits cannot be placed."""

    REPAIR = "repair"
    FLATTEN = "flatten"
    ALERT = "alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order that can execute: a single order, or one leg of a group. Legs of a group share tag and group id."""

    id: str
    trade_id: str
    username: str
    role: OrderRole
    tag: str
    status: OrderStatus
    sent_as: Group
    type: OrderType
    duration: Duration
    qty: int
    price: Decimal | None = None
    stop: Decimal | None = None
    filled_qty: int = 0
    avg_price: Decimal | None = None
    broker_order_id: str | None = None
    group_order_id: str | None = None
    """What a cancel names: the parent of a group, else the order itself."""
    action_id: str | None = None
    reason: str | None = None
    send_by: datetime | None = None
    """Entries only: past it, nothing is sent any more."""
    created_at: datetime
    sent_at: datetime | None = None
    answered_at: datetime | None = None
    confirmed_at: datetime | None = None
    """When the broker first showed it past `pending`."""
    rested_at: datetime | None = None
    """The broker's time of its coming to rest."""
    filled_at: datetime | None = None
    """The broker's time of its last execution."""
    fill_seen_at: datetime | None = None
    """Our time of first seeing it executed: waits are counted from this, a venue's clock may run differently."""
    ended_at: datetime | None = None
    triggered_at: datetime | None = None
    """Stops with a limit: our time of first seeing the bid at or below the stop in this session."""
    cancel_first_at: datetime | None = None
    cancel_at: datetime | None = None
    read_at: datetime | None = None
    reads: int = 0
    """Reads since it was accepted, or since its cancel was asked for."""
    look_at: datetime | None = None
    """First complete list in which an unanswered write was not found, by one that may count as proof."""
    looks: int = 0
    look_qty: int | None = None
    """By how much the position differed in that list, once the order's day was over."""
    venue_at: datetime | None = None
    """The venue's own time when the intent was made: its clock may run differently, its lists show its day."""
    base_qty: Decimal | None = None
    """Contracts of the account that were nobody's of ours when the intent was made; None: nobody could tell."""
    base_cost_usd: Decimal | None = None
    """What the whole position had cost then."""
    doubt: str | None = None
    """Why evidence cannot settle an unanswered write, for the person who then has to."""
    odd_since: datetime | None = None
    """Since when the broker shows it as something that is neither working nor over."""
    recovered_as: str | None = None
    """The trade that holds what this entry executed after its own trade was over."""

    @property
    def is_terminal(self) -> bool:
        """Say whether it can no longer execute."""
        return self.status in TERMINAL_ORDERS

    @property
    def is_working(self) -> bool:
        """Say whether the broker has it and it may execute."""
        return self.status in WORKING_ORDERS

    @property
    def is_unanswered(self) -> bool:
        """Say whether it may be at the broker without our knowing."""
        return self.status in UNANSWERED_ORDERS

    @property
    def side(self) -> OrderSide:
        """Return which way it goes at the broker."""
        if self.role is OrderRole.ENTRY:
            return OrderSide.BUY_TO_OPEN
        return OrderSide.BUY_TO_CLOSE if self.role is OrderRole.COVER else OrderSide.SELL_TO_CLOSE

    @property
    def remaining_qty(self) -> int:
        """Return what may still execute."""
        return 0 if self.is_terminal else self.qty - self.filled_qty


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """What a trade is. These columns never change once `is_locked`."""

    id: str
    username: str
    idempotency_key: str
    broker_mode: BrokerMode
    account_id: str
    ticker: str
    occ_symbol: str
    option_type: OptionType
    strike: Decimal
    expiry: date
    multiplier: int
    qty: int
    entry_type: EntryType
    limit_price: Decimal | None = None
    entry_duration: Duration = Duration.DAY
    reference_price: Decimal | None = None
    """What the entry was expected to cost: its limit, else the ask it was placed against."""
    filled_qty: int = 0
    entry_price: Decimal | None = None
    entry_date: datetime | None = None
    sl_price: Decimal | None = None
    tp_price: Decimal | None = None
    strategy: str | None = None
    card_score: Decimal | None = None
    ai_score: Decimal | None = None
    ai_verdict: str | None = None
    gate_verdict: str | None = None
    technical_score: Decimal | None = None
    sentiment_score: Decimal | None = None
    status: TradeStatus = TradeStatus.OPEN
    protection: Protection = Protection.NONE
    naked_since: datetime | None = None
    naked_s: Decimal = Decimal(0)
    close_price: Decimal | None = None
    close_date: datetime | None = None
    close_reason: CloseReason | None = None
    trigger_precision: TriggerPrecision | None = None
    realized_pnl: Decimal | None = None
    realized_pnl_pct: Decimal | None = None
    hold_duration_h: Decimal | None = None
    override_count: int = 0
    tradier_order_id: str | None = None
    tradier_sl_order_id: str | None = None
    tradier_tp_order_id: str | None = None
    broker_fill_price: Decimal | None = None
    broker_fill_time: datetime | None = None
    version: int = 1
    is_locked: bool = False
    reason: str | None = None
    settlement: Settlement | None = None
    recovered_from: str | None = None
    settled_qty: int = 0
    """Contracts that ended without an order of ours."""
    settling_at: datetime | None = None
    """Our time of first knowing that the contract trades no more."""
    shown_qty: int | None = None
    """What the broker's positions left for this trade when a repair looked, where that was less than we hold."""
    foreign_exit: str | None = None
    """Somebody else's sell works in the contract: `stop`, or `other`. Nothing is placed over it."""
    successor_occ: str | None = None
    """What the contract became by a corporate action; its exits are left to hands."""
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something asked of a placed trade: a close with its reason, or an adjust with its prices."""

    id: str
    trade_id: str
    username: str
    kind: ActionKind
    state: ActionState
    reason: CloseReason | None = None
    new_sl: Decimal | None = None
    new_tp: Decimal | None = None
    finding: Finding | None = None
    """Repairs only, like the two below: what monitor found."""
    named: str | None = None
    """Broker order ids that may explain it, with blanks between."""
    successor_occ: str | None = None
    words: str | None = None
    """Why it failed, or what became of it, for a person."""
    created_at: datetime
    begun_at: datetime | None = None
    due_at: datetime | None = None
    """Queued ones: not before this; None until an open session was seen."""
    done_at: datetime | None = None

    @property
    def is_active(self) -> bool:
        """Say whether it still has something to do."""
        return self.state in ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Who drives the trade now. `run` names one claim; a later one voids it."""

    run: int = 0
    claimed_until: datetime | None = None

    def claim_ends(self, now: datetime) -> datetime | None:
        """Return when the present claim is surely over; None when nobody drives."""
        held = self.claimed_until is not None and self.claimed_until > now
        return self.claimed_until + timedelta(milliseconds=10) if self.claimed_until and held else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The user's settings that a running trade obeys."""

    naked_policy: NakedPolicy = NakedPolicy.REPAIR
    partial_entry_grace_s: Decimal = Decimal(5)
    repair_delay_s: Decimal = Decimal(60)
    stop_limit_offset: Decimal | None = None
    expiry_flatten_min: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of the timeline."""

    kind: str
    text: str
    actor: str = "system"
    data: dict[str, str | int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that decisions about one trade are made from, as locked together."""

    trade: Trade
    orders: tuple[Order, ...] = ()
    actions: tuple[Action, ...] = ()
    """The active ones."""
    flow: Flow = Flow()
    marks: MarkRow = field(default_factory=MarkRow)
    policy: Policy = Policy()
    concerns: tuple[OpenConcern, ...] = ()
    corrections: tuple[Correction, ...] = ()
    is_beside_entry: bool = False
    """A recovered trade's: another open trade has a working entry in the contract."""
    key_version: int = 0
    account_name: str | None = None
    events: tuple[Event, ...] = ()
    """What happened since it was loaded."""

    @property
    def entry_orders(self) -> tuple[Order, ...]:
        """Return the entry's orders."""
        return tuple(order for order in self.orders if order.role is OrderRole.ENTRY)

    @property
    def exit_orders(self) -> tuple[Order, ...]:
        """Return every order that sells what the trade holds."""
        return tuple(order for order in self.orders if order.role in EXIT_ROLES)

    @property
    def live_bracket(self) -> tuple[Order, ...]:
        """Return stops and targets that are not over."""
        return tuple(order for order in self.orders if order.role in BRACKET_ROLES and not order.is_terminal)

    @property
    def held_qty(self) -> int:
        """Return what we hold by our own orders' executions, less what ended without one; below zero is short."""
        bought = sum(o.filled_qty for o in self.orders if o.role in BUYING_ROLES)
        return bought - sum(o.filled_qty for o in self.exit_orders) - self.trade.settled_qty

    @property
    def sellable_qty(self) -> int:
        """Return what may be sold: never more than we hold, nor than the broker was seen to show of it."""
        shown = self.trade.shown_qty
        return min(self.held_qty, shown) if shown else self.held_qty

    @property
    def entry_is_over(self) -> bool:
        """Say whether no entry order can execute any more."""
        return all(order.is_terminal for order in self.entry_orders)

    @property
    def close_action(self) -> Action | None:
        """Return the active close: of several the one at work, then one asked for, then one that waits for the open."""
        closes = [a for a in self.actions if a.kind is ActionKind.CLOSE and a.is_active]
        ranks = (ActionState.RUNNING, ActionState.REQUESTED, ActionState.QUEUED)
        return min(closes, key=lambda a: ranks.index(a.state), default=None)

    @property
    def repair(self) -> Action | None:
        """Return the look at the broker that is asked for."""
        return next((a for a in self.actions if a.kind is ActionKind.REPAIR and a.is_active), None)

    @property
    def yielding(self) -> Action | None:
        """Return the request to take the entry down for another trade's sale."""
        return next((a for a in self.actions if a.kind is ActionKind.YIELD and a.is_active), None)

    @property
    def running(self) -> Action | None:
        """Return the action that runs now."""
        return next((a for a in self.actions if a.state is ActionState.RUNNING), None)

    @property
    def queued(self) -> Action | None:
        """Return the action that waits for the open."""
        return next((a for a in self.actions if a.state is ActionState.QUEUED), None)

    def noting(self, *events: Event) -> View:
        """Add lines to the timeline."""
        return replace(self, events=(*self.events, *events))

    def with_order(self, changed: Order) -> View:
        """Replace one order by its id."""
        return replace(self, orders=tuple(changed if order.id == changed.id else order for order in self.orders))

    def with_action(self, changed: Action) -> View:
        """Replace or add one action by its id."""
        others = tuple(action for action in self.actions if action.id != changed.id)
        return replace(self, actions=(*others, changed))

    def by_tag(self, tag: str) -> tuple[Order, ...]:
        """Return the orders that were sent in one write."""
        return tuple(order for order in self.orders if order.tag == tag)
