"""What became of a write without an answer: decided by what the broker shows, never by time alone.

1. Found by its tag: it is ours, whatever else is said.
2. Never placed needs two complete lists of the venue's New York day on which it was sent, a stated gap apart, with
   neither the tag nor an untagged twin in them, and the contract's position as it was before the write.
3. A list that leaves out, or knows less of, an order that we know of proves nothing; nor do positions without a
   contract that another trade of the account holds.
4. One untagged twin is taken for ours; several are left to a person.
5. Once its day is over no list can show it: a day order then ends by two reads of the position that agree.
6. Why it cannot be settled is written down for the person who then has to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from libs.broker.orders import OrderReport, OrderSide
from libs.broker.reports import PositionReport
from libs.common.messages.vocabulary import TERMINAL_ORDERS, Duration, OrderRole, OrderStatus
from libs.market import calendar, conversions, money
from libs.market.options import OccSymbol
from services.orders import lifecycle
from services.orders.contract import Holding, holding_of
from services.orders.reading import reports_of
from services.orders.steps import Moment, evidence_gap_s
from services.orders.trade import Group, Order, View


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOrder:
    """One of the account's orders that orders has seen at the broker, whichever trade it belongs to."""

    group_order_id: str
    broker_order_id: str | None
    trade_id: str
    status: OrderStatus
    filled_qty: int
    venue_at: datetime
    is_settled: bool
    """It is ours alone, and was answered long enough ago to be in any list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What orders knows of an account before it looks there."""

    orders: tuple[KnownOrder, ...] = ()
    """Of the last days."""
    holdings: Mapping[str, int] = field(default_factory=dict)
    """What the account's other open trades hold, by contract."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the venue showed of a contract just before a write of ours. Time: the venue's own."""

    venue_at: datetime
    holding: Holding | None = None
    """None: nobody could tell in time."""
    held_by_others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One complete look: what we knew, then every order of the session, then the positions."""

    orders: tuple[OrderReport, ...]
    positions: tuple[PositionReport, ...] = ()
    known: Known = Known()
    venue_at: datetime | None = None
    """The venue's time of the look; None: its clock could not be read."""

    @property
    def today(self) -> date | None:
        """Return the New York day whose orders the list shows."""
        return None if self.venue_at is None else calendar.new_york_date(self.venue_at)

    def holding(self, occ_symbol: str) -> Holding:
        """Return what the account holds of a contract."""
        return holding_of(self.positions, occ_symbol)

    def is_converted(self, occ_symbol: str, missing: Decimal) -> bool:
        """Say whether another contract took the place of the missing ones, as a corporate action makes it."""
        by_symbol = {held.symbol: self.holding(held.symbol).qty for held in self.positions}
        return conversions.successor_of(occ_symbol, missing, by_symbol) is not None


def based(view: View, made: tuple[Order, ...], baseline: Baseline) -> tuple[Order, ...]:
    """Note on intents what the venue showed before them; less than we hold is a report that lags, so it is no base."""
    holding = baseline.holding
    foreign = None if holding is None else holding.qty - view.held_qty - baseline.held_by_others
    if holding is None or foreign is None or foreign < 0:
        return tuple(replace(order, venue_at=baseline.venue_at) for order in made)
    return tuple(
        replace(order, venue_at=baseline.venue_at, base_qty=foreign, base_cost_usd=holding.cost_usd) for order in made
    )


# ── one look ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def judged(view: View, tag: str, seen: Seen, moment: Moment) -> View:
    """Adopt what was found, settle what is proven, or note the look and why it proves nothing."""
    orders = view.by_tag(tag)
    if not orders or not any(order.is_unanswered for order in orders):
        return view
    match = next((report for report in seen.orders if report.tag == tag), None)
    if match is not None:
        return adopted(view, tag, match, moment.now)
    doubt = doubt_of(seen)
    if doubt is not None:
        return _noted(view, tag, moment, patiently=doubt)
    twins = twins_of(view, orders, seen, moment)
    if len(twins) == 1:
        return adopted(view, tag, twins[0], moment.now)
    if twins:
        names = " and ".join(sorted(twin.id for twin in twins))
        return _noted(view, tag, moment, at_once=f"orders {names} at the broker may each be it")
    return _untraced(view, orders, seen, moment)


def _untraced(view: View, orders: tuple[Order, ...], seen: Seen, moment: Moment) -> View:
    first = orders[0]
    at = first.venue_at or first.sent_at
    if seen.today is None or at is None:
        return _noted(view, first.tag, moment)
    if calendar.new_york_date(at) == seen.today:
        return _absent(view, first, seen, moment)
    return _after_its_day(view, orders, seen, moment)


def adopted(view: View, tag: str, report: OrderReport, now: datetime) -> View:
    """Take a report for our write's."""
    found = lifecycle.accepted(view, tag, report.id, now)
    return lifecycle.applied(found, reports_of(found.by_tag(tag), report), now)


def doubt_of(seen: Seen) -> str | None:
    """Say why a look proves nothing: it leaves out, or knows less of, what we know."""
    return list_doubt(seen) or positions_doubt(seen)


def list_doubt(seen: Seen) -> str | None:
    """Say why a list of orders proves nothing."""
    missing_ids = left_out(seen)
    if missing_ids:
        return f"the broker's list leaves out order {missing_ids[0]}, which we know of"
    flat = {leg.id: leg for report in seen.orders for leg in report.flat()}
    for known in seen.known.orders:
        own = flat.get(known.broker_order_id or known.group_order_id)
        if known.is_settled and own is not None and _knows_less(own, known):
            return f"the broker's list is older than what we know of order {known.group_order_id}"
    return None


def positions_doubt(seen: Seen) -> str | None:
    """Say why positions prove nothing: another trade's contract is not among them, and nothing explains it."""
    held = {position.symbol for position in seen.positions}
    missing = sorted(symbol for symbol, qty in seen.known.holdings.items() if qty > 0 and symbol not in held)
    # What somebody else sold today is rightly gone.
    missing = [symbol for symbol in missing if _sold_by_others(symbol, seen) < seen.known.holdings[symbol]]
    missing = [symbol for symbol in missing if not seen.is_converted(symbol, Decimal(seen.known.holdings[symbol]))]
    # What expires today may be gone already, and rightly.
    missing = [symbol for symbol in missing if seen.today is None or OccSymbol.parse(symbol).expiry > seen.today]
    return f"the broker's positions leave out {missing[0]}, which is held" if missing else None


def left_out(seen: Seen) -> tuple[str, ...]:
    """List the orders of the present day that we know of and a list does not show."""
    shown = {report.id for report in seen.orders}
    expected = (
        known.group_order_id
        for known in seen.known.orders
        if known.is_settled and calendar.new_york_date(known.venue_at) == seen.today
    )
    return tuple(sorted({order_id for order_id in expected if order_id not in shown}))


def without(seen: Seen, forgotten: tuple[str, ...]) -> Seen:
    """Return a look without orders that the broker does not know any more by their ids either."""
    kept = tuple(known for known in seen.known.orders if known.group_order_id not in forgotten)
    return replace(seen, known=replace(seen.known, orders=kept))


def _sold_by_others(occ_symbol: str, seen: Seen) -> int:
    """Count what orders that we do not know sold of a contract, by the list."""
    ours = {name for own in seen.known.orders for name in (own.group_order_id, own.broker_order_id)}
    return sum(
        leg.exec_qty
        for report in seen.orders
        if report.id not in ours
        for leg in report.flat()
        if leg.occ_symbol == occ_symbol and leg.side is OrderSide.SELL_TO_CLOSE
    )


def _knows_less(own: OrderReport, known: KnownOrder) -> bool:
    return own.exec_qty < known.filled_qty or (known.status in TERMINAL_ORDERS and not own.status.is_terminal)


def unexplained(view: View, order: Order, seen: Seen) -> Decimal:
    """Return by how much the contract's position differs from what it was before the write and what we know since."""
    occ_symbol = view.trade.occ_symbol
    ours = view.held_qty + seen.known.holdings.get(occ_symbol, 0)
    change = seen.holding(occ_symbol).qty - ours - (order.base_qty or Decimal(0))
    return Decimal(0) if change < 0 and seen.is_converted(occ_symbol, -change) else change


def is_older(order: Order, report: OrderReport, moment: Moment) -> bool:
    """Say whether an order of the broker was there before a write of ours, by the venue's own time."""
    sent_at = order.venue_at or order.sent_at
    if sent_at is None or report.created_at is None:
        return False
    return report.created_at < sent_at - timedelta(seconds=moment.waits.clock_skew_s)


def beyond_others(view: View, order: Order, seen: Seen, moment: Moment) -> Decimal:
    """Return by how much the position differs from what it was, from what we know, and from what others did since.

    What others did so close before the write that the clocks cannot tell may be in its baseline already or not: of
    all these readings the one that leaves the least unexplained counts.
    """
    ours = {name for own in view.orders for name in (own.group_order_id, own.broker_order_id)}
    ours |= {name for own in seen.known.orders for name in (own.group_order_id, own.broker_order_id)}
    left = {unexplained(view, order, seen)}
    for report in seen.orders:
        if report.id in ours or is_older(order, report, moment):
            continue
        done = _moved(report, view.trade.occ_symbol)
        since = {change - done for change in left}
        left = left | since if _may_be_older(order, report) else since
    return min(left, key=lambda change: (abs(change), change))


def _moved(report: OrderReport, occ_symbol: str) -> Decimal:
    """Return what an order did to the position in a contract."""
    legs = [leg for leg in report.flat() if leg.occ_symbol == occ_symbol and leg.side is not None]
    return Decimal(sum(leg.exec_qty if str(leg.side).startswith("buy") else -leg.exec_qty for leg in legs))


def _may_be_older(order: Order, report: OrderReport) -> bool:
    """Say whether an order that is not surely older stands before the write by the venue's clock."""
    sent_at = order.venue_at or order.sent_at
    return sent_at is not None and report.created_at is not None and report.created_at < sent_at


def _absent(view: View, first: Order, seen: Seen, moment: Moment) -> View:
    """Judge a list of its own day that shows neither it nor a twin."""
    change = beyond_others(view, first, seen, moment)
    if change:
        return _noted(view, first.tag, moment, patiently=_position_words(change))
    if first.look_at is not None and moment.at(first.look_at, evidence_gap_s(first, moment.waits)) is None:
        return lifecycle.never_placed(view, first.tag, moment.now)
    return _noted(view, first.tag, moment, proves=True)


def _after_its_day(view: View, orders: tuple[Order, ...], seen: Seen, moment: Moment) -> View:
    """Judge by the position alone: no list shows what was sent on an earlier day."""
    first = orders[0]
    if len(orders) > 1 or first.duration is not Duration.DAY:
        words = "the New York day on which it was sent is over, and lists show only the present day's orders"
        return _noted(view, first.tag, moment, at_once=words)
    change = unexplained(view, first, seen)
    most = first.qty if first.role is OrderRole.ENTRY else 0
    if first.base_qty is None and (change or not most):
        # Lots of others would be taken for what it bought, or hide what it sold.
        words = "its New York day is over, and nobody could tell what the account held before it"
        return _noted(view, first.tag, moment, at_once=words)
    if not 0 <= change <= most or change != int(change):
        return _noted(view, first.tag, moment, at_once=f"its New York day is over, and {_position_words(change)}")
    agrees = first.look_qty == change and first.look_at is not None
    if agrees and moment.at(first.look_at, evidence_gap_s(first, moment.waits)) is None:
        price = _paid(view, first, seen, int(change)) if change else None
        return lifecycle.lapsed(view, first.tag, int(change), price, moment.now)
    words = "its New York day is over; two reads of the position are to agree on what became of it"
    begun = view if agrees else view.with_order(replace(first, look_at=None, look_qty=int(change)))
    return _noted(begun, first.tag, moment, proves=True, at_once=words)


def _paid(view: View, order: Order, seen: Seen, qty: int) -> Decimal:
    """Return what was paid a share, by what the position cost before and costs now; else what it was expected to be."""
    cost = seen.holding(view.trade.occ_symbol).cost_usd - (order.base_cost_usd or Decimal(0))
    if cost > 0:
        return money.average_price(((qty, cost / (qty * view.trade.multiplier)),)) or Decimal(0)
    return view.trade.limit_price or view.trade.reference_price or Decimal(0)


def _position_words(change: Decimal) -> str:
    contracts = "contract" if abs(change) == 1 else "contracts"
    return f"the account holds {abs(change):f} {contracts} {'more' if change > 0 else 'less'} than is explained"


def _noted(
    view: View,
    tag: str,
    moment: Moment,
    *,
    proves: bool = False,
    patiently: str | None = None,
    at_once: str | None = None,
) -> View:
    """Remember the look. One that cannot count as proof starts the count again.

    What may be the report's lag is told as a doubt only once the proof itself would have been due.
    """
    for order in view.by_tag(tag):
        patient = order.sent_at is not None and moment.at(order.sent_at, moment.waits.look_gap_entry_s) is None
        view = view.with_order(
            replace(
                order,
                look_at=(order.look_at or moment.now) if proves else None,
                look_qty=order.look_qty if proves else None,
                looks=order.looks + 1,
                read_at=moment.now,
                doubt=at_once or (patiently if patient else None),
            )
        )
    return view


# ── twins ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def twins_of(view: View, orders: tuple[Order, ...], seen: Seen, moment: Moment) -> tuple[OrderReport, ...]:
    """List untagged orders of nobody's that may be ours: some parents come back without their tag."""
    taken = {name for own in view.orders for name in (own.group_order_id, own.broker_order_id)}
    taken |= {name for own in seen.known.orders for name in (own.group_order_id, own.broker_order_id)}
    sent_at = orders[0].venue_at or orders[0].sent_at
    if sent_at is None or calendar.new_york_date(sent_at) != seen.today:
        return ()
    since = sent_at - timedelta(seconds=moment.waits.clock_skew_s)
    return tuple(
        report
        for report in seen.orders
        if report.tag is None
        and report.id not in taken
        and (report.created_at is None or report.created_at >= since)
        and is_like(view, orders, report)
        and _prices(orders) == {(leg.type, leg.price, leg.stop) for leg in report.flat()}
    )


def is_like(view: View, orders: tuple[Order, ...], report: OrderReport) -> bool:
    """Say whether an order is of the same contract, sides, quantities and number of legs as one write of ours."""
    flat = report.flat()
    if (len(flat) > 1) != (orders[0].sent_as is not Group.SINGLE) or len(flat) != len(orders):
        return False
    ours = sorted((order.side, order.qty) for order in orders)
    theirs = sorted((leg.side or OrderSide.UNRECOGNISED, leg.qty) for leg in flat)
    return ours == theirs and all(leg.occ_symbol == view.trade.occ_symbol for leg in flat)


def _prices(orders: tuple[Order, ...]) -> set[tuple[object, ...]]:
    return {(order.type, order.price, order.stop) for order in orders}
