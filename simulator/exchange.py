"""The paper exchange: orders, groups, fills and what follows from them. Pure: time, session and quotes are handed in.

1. One leg of a group that filled holds every other leg still, before anything is said to anybody.
2. What happens later (a sibling's cancel, a late rejection) is in `due`, and `due` is part of the state.
3. Every change of an order passes through `_touch`, so the journal and the stream miss none.
"""

import copy
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Protocol

from simulator import rules
from simulator.book import EIGHT_PLACES, GROUPS, TERMINAL, WORKING, Account, Order, Status
from simulator.rules import Leg, Quote, Refused, Ticket
from simulator.toggles import Toggles
from simulator.universe import is_late_option


class Quotes(Protocol):
    """Where the exchange learns prices and what is listed."""

    def quote(self, symbol: str) -> Quote | None:
        """Tell both sides of a security, None without any."""

    def is_listed(self, symbol: str) -> bool:
        """Say whether an option can be traded now."""

    def official_price(self, symbol: str, at: datetime) -> Decimal:
        """Tell an underlying's price at a past instant, or what it is pinned to."""


class Finalized(Exception):
    """The order is over already; the text names how."""


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """Something that will happen to an order at a real time."""

    at_s: float
    verb: str
    order_id: int
    reason: str | None = None


class Exchange:
    """All accounts and orders of the paper broker."""

    def __init__(self, quotes: Quotes, toggles: Toggles, starting_cash: Decimal) -> None:
        self.quotes = quotes
        self.toggles = toggles
        self.starting_cash = starting_cash
        self.orders: dict[int, Order] = {}
        self.accounts: dict[str, Account] = {}
        self.due: list[Due] = []
        self.next_id = 100_000
        self.now = datetime(1970, 1, 1, tzinfo=UTC)
        self.real_s = 0.0
        self.is_open = True
        self.is_late = False
        self.session_date = date(1970, 1, 1)
        self.working: dict[str, set[int]] = defaultdict(set)
        self.of_account: dict[str, list[int]] = defaultdict(list)
        self.unfinished: dict[str, set[int]] = defaultdict(set)
        self.changed_orders: dict[int, Order] = {}
        self.events: list[Order] = []
        self.changed_accounts: set[str] = set()
        self.entries: list[dict[str, object]] = []

    def at(self, now: datetime, real_s: float, session_date: date, *, is_open: bool, is_late: bool = False) -> None:
        """Tell the time before anything else is asked; late is the quarter of an hour that some options have more."""
        self.now, self.real_s, self.session_date, self.is_open = now, real_s, session_date, is_open
        self.is_late = is_late

    def trades(self, security: str) -> bool:
        """Say whether a security's orders can execute now."""
        return self.is_open or (self.is_late and is_late_option(security))

    def account(self, account_id: str) -> Account:
        """Find an account, opening it at first use."""
        account = self.accounts.get(account_id)
        if account is None:
            account = Account(account_id, self.starting_cash, self.starting_cash, self.now)
            self.accounts[account_id] = account
            self.changed_accounts.add(account_id)
        return account

    def take_id(self) -> int:
        """Give the next id."""
        self.next_id += 1
        return self.next_id

    def adopt(self, order: Order) -> None:
        """Take an order into the books, as after a restart."""
        self.orders[order.id] = order
        if order.parent_id is None:
            self.of_account[order.account].append(order.id)
        self._index(order)

    def legs(self, order: Order) -> list[Order]:
        """List the legs of a group, or the order itself."""
        return [self.orders[leg] for leg in order.legs] or [order]

    def top(self, order: Order) -> Order:
        """Find the order whose id the customer got."""
        return order if order.parent_id is None else self.orders[order.parent_id]

    def place(self, account_id: str, ticket: Ticket, *, cap: int | None = None) -> Order:
        """Accept a ticket that the rules let through; fills may follow at once."""
        status = Status.OPEN if all(self.trades(leg.security) for leg in ticket.legs) else Status.PENDING
        top = self._new(account_id, ticket.kind, status, ticket.tag, None)
        if ticket.kind in GROUPS:
            for leg in ticket.legs:
                order = self._new(account_id, "option" if leg.option_symbol else "equity", status, None, leg)
                order.parent_id, order.cap = top.id, cap
                if ticket.kind != "oco" and top.legs:
                    order.status, order.waiting = Status.PENDING, True
                top.legs.append(order.id)
        else:
            self._terms(top, ticket.legs[0])
            top.cap = cap
        for order in [top, *(self.orders[leg] for leg in top.legs)]:
            self.adopt(order)
            self._touch(order)
        for order in self.legs(top):
            if order.status is Status.OPEN:
                self._start(order)
        return top

    def _new(self, account_id: str, kind: str, status: Status, tag: str | None, leg: Leg | None) -> Order:
        order = Order(self.take_id(), account_id, kind, status, self.now, self.now, self.session_date, tag=tag)
        self.orders[order.id] = order
        if leg is not None:
            self._terms(order, leg)
        return order

    @staticmethod
    def _terms(order: Order, leg: Leg) -> None:
        order.symbol, order.option_symbol, order.side = leg.symbol, leg.option_symbol, leg.side
        order.type, order.quantity, order.duration = leg.type, leg.quantity, leg.duration
        order.price, order.stop = leg.price, leg.stop

    def _start(self, order: Order) -> None:
        """Let an order work: refuse it late, or let it meet the market."""
        reason = self._late_refusal(order)
        if reason is not None:
            self.refuse_later(self.top(order), order, reason, self.toggles.wrong_side_ms / 1000)
        elif self.toggles.fill_delay_ms:
            self._hold(order, held=True)
            self._later(self.toggles.fill_delay_ms, "release", order.id)
        else:
            self._meet(order)

    def _late_refusal(self, order: Order) -> str | None:
        leg = Leg(order.symbol, order.option_symbol, order.side, 1, "", "", order.price, order.stop)
        if self.toggles.tick_refusal == "late" and rules.off_tick(leg):
            return "OrderPriceIsInvalid"
        quote = self.quotes.quote(order.security)
        return rules.wrong_side(order, quote) if quote else None

    def refuse_later(self, top: Order, culprit: Order, reason: str, after_s: float) -> None:
        """Hold a whole order still and take it down after a while."""
        for leg in self.legs(top):
            self._hold(leg, held=True)
        verb = "reject" if culprit.parent_id is None else "take_down"
        self._later(after_s * 1000, verb, culprit.id, reason)

    def evaluate(self, securities: Iterable[str] | None = None) -> None:
        """Let the working orders of some securities, or of all, meet the market."""
        for security in list(self.working if securities is None else securities):
            ids = self.working.get(security)
            if ids:
                quote = self.quotes.quote(security)
                for order_id in sorted(ids):
                    self._meet(self.orders[order_id], quote)

    def _meet(self, order: Order, quote: Quote | None = None) -> None:
        if order.held or order.status not in WORKING or not self.trades(order.security):
            return
        quote = quote or self.quotes.quote(order.security)
        if quote is None:
            return
        price = rules.fill_price(order, quote, self.toggles.stop_trigger)
        limit = order.quantity if order.cap is None else min(order.cap, order.quantity)
        if price is not None and limit > order.executed:
            self.fill(order, limit - order.executed, price)

    def fill(self, order: Order, quantity: int, price: Decimal) -> None:
        """Execute part or all of an order at a price, with everything that follows from it."""
        executed = order.executed + quantity
        order.average = ((order.average or Decimal(0)) * order.executed + price * quantity) / executed
        order.average = order.average.quantize(EIGHT_PLACES)
        order.executed, order.last_price, order.last_quantity = executed, price, quantity
        order.status = Status.FILLED if executed >= order.quantity else Status.PARTIALLY_FILLED
        order.filled_s = self.real_s
        self._touch(order)
        self._book(order, quantity, price)
        if order.parent_id is not None:
            self._follow(self.orders[order.parent_id], order)

    def _book(self, order: Order, quantity: int, price: Decimal) -> None:
        account = self.account(order.account)
        signed = -quantity if order.is_sell else quantity
        held = account.positions.get(order.security)
        opened_at, cost = (held.acquired_at, held.cost) if held else (self.now, Decimal(0))
        before = held.quantity if held else 0
        realized = account.trade(
            self.take_id(), order.security, signed, price, multiplier=order.multiplier, at=self.now
        )
        self.note_realized(account, realized)
        amount = -signed * price * order.multiplier
        commission = Decimal(self.toggles.commission_cents * quantity) / 100
        account.charge(commission)
        self.record(
            account.id, "trade", order.security, quantity=signed, price=price, amount=amount, commission=commission
        )
        if before * signed < 0:
            closed = min(abs(before), quantity)
            share = cost * closed / abs(before)
            self.record(
                account.id, "closed", order.security, quantity=closed, cost=share, proceeds=share + realized,
                opened_at=opened_at,
            )  # fmt: skip

    def record(self, account_id: str, kind: str, symbol: str, **terms: object) -> None:
        """Note for good what happened to an account's money or holdings."""
        self.entries.append({"account": account_id, "at": self.now, "kind": kind, "symbol": symbol, **terms})

    def note_realized(self, account: Account, realized: Decimal) -> None:
        """Count a result into the account's day."""
        if account.realized_date != self.session_date:
            account.realized_date, account.realized_today = self.session_date, Decimal(0)
        account.realized_today += realized
        self.changed_accounts.add(account.id)

    def _follow(self, parent: Order, order: Order) -> None:
        """Carry a leg's execution to its group."""
        entry = self.orders[parent.legs[0]] if parent.kind != "oco" else None
        if entry is order:
            full = order.status is Status.FILLED
            if full or (self.toggles.otoco_release == "first_fill" and parent.kind == "otoco"):
                self._release(parent, None if full else order.executed)
            return
        siblings = [leg for leg in self.legs(parent) if leg is not order and leg is not entry and not leg.is_terminal]
        if order.status is Status.FILLED:
            for sibling in siblings:
                self._hold(sibling, held=True)
                self._later(self.toggles.sibling_cancel_ms, "cancel_leg", sibling.id)
            self._later(self.toggles.parent_fill_ms, "fill_parent", parent.id)
        elif self.toggles.oco_partial == "cancel_sibling":
            for sibling in siblings:
                self.end(sibling, Status.CANCELED)
        elif self.toggles.oco_partial == "reduce":
            for sibling in siblings:
                sibling.quantity -= order.last_quantity
                self._touch(sibling)

    def _release(self, parent: Order, cap: int | None) -> None:
        for leg in self.legs(parent)[1:]:
            leg.cap = cap
            if leg.waiting:
                leg.waiting, leg.status = False, Status.OPEN
                self._touch(leg)
                self._start(leg)

    def cancel(self, order: Order) -> None:
        """Ask for a cancel; it takes effect a little later, and a fill may win. Raises: Finalized."""
        top = self.top(order)
        if top.is_terminal or order.is_terminal:
            raise Finalized(order.status if order.is_terminal else top.status)
        self._later(self.toggles.cancel_delay_ms, "cancel", top.id)

    def finish(self, top: Order, status: Status, reason: str | None = None) -> None:
        """End everything of an order that is not over; a group whose exit filled ends by itself."""
        legs = self.legs(top)
        exits = legs if top.kind == "oco" else legs[1:]
        if top.is_group and any(leg.status is Status.FILLED for leg in exits):
            return
        for order in legs:
            if not order.is_terminal:
                self.end(order, status, reason)
        if not top.is_terminal:
            self.end(top, status, reason)

    def end(self, order: Order, status: Status, reason: str | None = None) -> None:
        """Put one order into a final state."""
        order.status, order.waiting = status, False
        order.reason = reason or order.reason
        self._touch(order)

    def _later(self, after_ms: float, verb: str, order_id: int, reason: str | None = None) -> None:
        self.due.append(Due(self.real_s + after_ms / 1000, verb, order_id, reason))
        self.due.sort()

    def run_due(self) -> None:
        """Do what has become due."""
        while self.due and self.due[0].at_s <= self.real_s:
            item = self.due.pop(0)
            self._run(item, self.orders[item.order_id])

    def _run(self, item: Due, order: Order) -> None:
        match item.verb:
            case "cancel":
                self.finish(order, Status.CANCELED)
            case "reject":
                self.finish(order, Status.REJECTED, item.reason)
            case "take_down" if not order.is_terminal:
                self.end(order, Status.CANCELED, item.reason)
                self.finish(self.top(order), Status.CANCELED)
            case "cancel_leg" if not order.is_terminal:
                self.end(order, Status.CANCELED)
            case "fill_parent" if not order.is_terminal:
                self.end(order, Status.FILLED)
            case "release" | "uncap" if order.status in WORKING:
                order.cap = order.cap if item.verb == "release" else None
                self._hold(order, held=False)
                self._meet(order)

    def uncap_later(self, order: Order, after_ms: float) -> None:
        """Let what a fault holds back execute after a while."""
        self._later(after_ms, "uncap", order.id)

    def modify(self, order: Order, changes: Leg) -> None:
        """Change the terms of a working order. Raises: Finalized, Refused."""
        if order.is_terminal:
            raise Finalized(order.status)
        if order.is_group or (order.parent_id is not None and self.toggles.modify_leg == "refuse"):
            raise Refused(rules.BACK_OFFICE, "OrderContingentChangeNotAllowed")
        self._terms(order, changes)
        order.triggered = False
        self._touch(order)
        if order.status in WORKING:
            self._start(order)

    def open_session(self) -> None:
        """Let what waited for the open work."""
        pending = [o for ids in self.unfinished.values() for o in map(self.orders.__getitem__, ids)]
        for order in sorted(pending, key=lambda one: one.id):
            if order.status is Status.PENDING and not order.waiting:
                order.status = Status.OPEN
                self._touch(order)
                if not order.is_group:
                    self._start(order)

    def _touch(self, order: Order) -> None:
        order.changed_at = self.now
        self.changed_orders[order.id] = order
        self.events.append(copy.copy(order))
        self._index(order)

    def _hold(self, order: Order, *, held: bool) -> None:
        """Keep an order from executing, or let it; nobody is told."""
        order.held = held
        self.changed_orders[order.id] = order
        self._index(order)

    def _index(self, order: Order) -> None:
        ids = self.unfinished[order.account]
        (ids.discard if order.status in TERMINAL else ids.add)(order.id)
        if order.is_group or not order.security:
            return
        if order.status in WORKING and not order.held:
            self.working[order.security].add(order.id)
        elif order.security in self.working:
            self.working[order.security].discard(order.id)
            if not self.working[order.security]:
                del self.working[order.security]
