"""A trade driven by its own plan against a broker in memory, with anything happening in between.

Whatever happens: one order per intent, never short, no exits beside a working entry, only allowed transitions, a closed
row that never changes, and P&L equal to the broker's cash. Once it is left alone it ends closed, or with its exits.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.broker.orders import OrderReport, OrderStatus
from libs.common.clock import ManualClock
from libs.common.messages.vocabulary import CloseReason, EntryType, Protection, TradeStatus
from services.orders import asking, deciding, lifecycle, publishing, talk
from services.orders.contract import Beside
from services.orders.deps import Deps
from services.orders.evidence import Known, KnownOrder
from services.orders.lifecycle import ALLOWED
from services.orders.plan import is_running, next_step
from services.orders.reading import reports_of
from services.orders.steps import Cancel, Moment, Send, Step, Talk, Wait, Waits
from services.orders.store import Loaded
from services.orders.trade import ActionState, View
from tests.unit.orders.pretend import LIVE, PretendBroker
from tests.unit.orders.views import NOW, a_view

FAULTS = ("lost_before", "lost_after", "refused", "unavailable", "crash_before", "crash_after")


@dataclass
class Pretend:
    """What `talk` needs of a process."""

    broker: PretendBroker
    clock: ManualClock
    waits: Waits = field(default_factory=Waits)
    ours: Callable[[], set[str]] = set

    def __post_init__(self) -> None:
        self.settings = SimpleNamespace(order_waits=self.waits, force_market_open=False)

    def broker_of(self, *_: Any) -> PretendBroker:
        return self.broker

    async def known(self, view: View, _: Any) -> Known:
        return Known(
            orders=tuple(
                KnownOrder(
                    group_order_id=order.group_order_id,
                    broker_order_id=order.broker_order_id,
                    trade_id=order.trade_id,
                    status=order.status,
                    filled_qty=order.filled_qty,
                    venue_at=order.venue_at or NOW,
                    is_settled=True,
                )
                for order in view.orders
                if order.group_order_id
            )
        )

    async def beside(self, _: View) -> Beside:
        return Beside(ours=frozenset(self.ours()))

    def moment(self, _: Any = None) -> Moment:
        return Moment(self.clock.now(), self.waits)


class Crash(Exception):
    """The process died here."""


class Machine(RuleBasedStateMachine):
    """One trade from its intent on."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.broker = PretendBroker()
        self.clock = ManualClock(NOW)
        self.deps = Pretend(self.broker, self.clock, ours=self.ours)
        self.ids = count(1)
        self.locked: Any = None
        self.key_version = 0
        self.old: list[OrderReport] = []

    @initialize(
        entry=st.sampled_from(["market", "limit", "group"]),
        qty=st.integers(1, 3),
        sl=st.booleans(),
        tp=st.booleans(),
        release=st.sampled_from(["full_fill", "first_fill"]),
        steps=st.sampled_from([0, 5, 12, 30]),
    )
    def begin(self, entry: str, qty: int, sl: bool, tp: bool, release: str, steps: int = 0) -> None:
        self.broker.release = release
        limit = entry != "market"
        self.view = a_view(
            as_group=entry == "group",
            qty=qty,
            entry_type=EntryType.LIMIT if limit else EntryType.MARKET,
            limit_price=Decimal("3.90") if limit else None,
            sl_price=Decimal("3.00") if sl else None,
            tp_price=Decimal("6.00") if tp else None,
        )
        self.keep(self.view)
        # Most of what can go wrong goes wrong once something is held.
        for bid in ("4.00", "3.70", "3.70") if steps > 5 else ("4.00",):
            self.broker.move(Decimal(bid))
            self.goes_on(None, steps)

    # ── driving ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def keep(self, after: View) -> None:
        """Store a change as orders does, holding it to its rules."""
        before = self.view
        after = publishing.raised(before, after)
        pair = (before.trade.status, after.trade.status)
        assert pair[0] is pair[1] or pair in ALLOWED, pair
        if before.trade.is_locked:
            assert after.trade == before.trade
        facts = publishing.facts_of(before, after)
        if publishing.row_values(before) != publishing.row_values(after):
            assert facts, "a change that nobody is told of"
        assert [fact.key_version for fact in facts] == [self.key_version + n + 1 for n in range(len(facts))]
        self.key_version += len(facts)
        active = tuple(action for action in after.actions if action.is_active)
        self.view = replace(after, events=(), key_version=self.key_version, actions=active)

    def turn(self, fault: str | None = None, meanwhile: Callable[[], None] | None = None) -> Step:
        """Take one step, as one transaction and one call, while which something else may be stored."""
        moment = self.deps.moment()
        step = next_step(self.view, moment)
        if isinstance(step, Wait):
            return step
        if not isinstance(step, Talk):
            self.keep(deciding.decided(self.view, step, moment, new_id=self.new_id, new_tag=self.new_tag))
            return step
        if isinstance(step, Send):
            self.keep(lifecycle.sent(self.view, step.tag, moment.now))
        elif isinstance(step, Cancel):
            self.keep(lifecycle.cancel_asked(self.view, step.group_order_id, moment.now))
        if fault == "crash_before":
            return step
        if fault in {"lost_before", "lost_after", "refused", "unavailable"} and isinstance(step, Send | Cancel):
            self.broker.faults.append(fault)
        loaded = Loaded(self.view, moment.now, "sealed")
        ends = self.clock.monotonic() + 15
        coming = talk.perform(step, loaded, cast("Deps", self.deps), claim_ends=ends)
        outcome = self.loop.run_until_complete(coming)
        if meanwhile is not None:
            meanwhile()
        if fault != "crash_after":
            self.keep(outcome.apply(self.view, moment))
            if outcome.pause_s:
                self.pass_time(outcome.pause_s)
        return step

    def ours(self) -> set[str]:
        return {name for o in self.view.orders for name in (o.broker_order_id, o.group_order_id) if name}

    def new_id(self) -> str:
        return f"id{next(self.ids):04d}"

    def new_tag(self) -> str:
        return f"bk-{next(self.ids)}"

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.broker.now = self.clock.now()

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(what=st.sampled_from(["closes", "is told", "withdraws", "session", "target"]), steps=st.integers(0, 3))
    def goes_on_while_something_happens(self, what: str, steps: int) -> None:
        self.goes_on(None, steps)
        happens: dict[str, Callable[[], None]] = {
            "closes": lambda: self.a_person_closes(0),
            "is told": self.monitor_tells_all,
            "withdraws": lambda: self.a_person_withdraws_what_waits() if self.view.queued else None,
            "target": self.the_target_is_reached,
            "session": lambda: self.the_session_ends_or_begins(not self.broker.is_open),
        }
        self.turn(meanwhile=happens[what])

    @rule(fault=st.none() | st.sampled_from(FAULTS), steps=st.sampled_from([1, 2, 4, 8]))
    def goes_on(self, fault: str | None, steps: int) -> None:
        for _ in range(steps):
            if isinstance(self.turn(fault), Wait):
                return
            self.pass_time(0.05)

    @rule(bid=st.sampled_from(["0", "2.50", "3.50", "3.70", "4.00", "5.00", "6.50"]))
    def the_market_moves(self, bid: str) -> None:
        self.broker.move(Decimal(bid))

    @rule(is_open=st.booleans())
    def the_session_ends_or_begins(self, is_open: bool) -> None:
        self.broker.hold(is_open=is_open)

    @rule(qty=st.integers(1, 2))
    def the_entry_fills_in_part(self, qty: int) -> None:
        self.broker.part_fill(qty)

    @rule(data=st.data(), chance=st.integers(0, 3))
    def somebody_cancels_at_the_broker(self, data: st.DataObject, chance: int) -> None:
        if chance:
            return
        live = [order.id for order in self.broker.orders_by_id.values() if order.status in LIVE]
        if live:
            self.broker.take_down(data.draw(st.sampled_from(live)))

    @rule(hides=st.booleans())
    def the_list_leaves_new_exits_out_or_shows_all(self, hides: bool) -> None:
        self.broker.hides_exits = hides
        if not hides:
            self.broker.unlisted.clear()

    @rule()
    def monitor_tells_all(self) -> None:
        reports = list(self.broker.orders_by_id.values())
        self.old = [*reports, *self.old][:12]
        self.tell(reports)

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def monitor_tells_something_old_again(self, data: st.DataObject) -> None:
        self.tell([data.draw(st.sampled_from(self.old))])

    def tell(self, reports: list[OrderReport]) -> None:
        for report in reports:
            found = reports_of(self.view.orders, report)
            once = lifecycle.applied(self.view, found, self.clock.now())
            twice = lifecycle.applied(once, found, self.clock.now())
            assert publishing.row_values(once) == publishing.row_values(twice)
            self.keep(once)

    def the_target_is_reached(self) -> None:
        self.broker.move(Decimal("7.50"))
        self.monitor_tells_all()

    @rule(chance=st.integers(0, 5))
    def a_person_closes(self, chance: int) -> None:
        view, now = self.view, self.clock.now()
        if chance or view.trade.status is TradeStatus.CLOSED:
            return
        if view.queued is not None:
            view = asking.ended(view, view.queued.id, ActionState.WITHDRAWN, now)
        if view.close_action is not None:
            return
        if view.held_qty > 0 and not self.broker.is_open:
            state = ActionState.QUEUED
        else:
            state = ActionState.REQUESTED if is_running(view, self.deps.moment()) else ActionState.RUNNING
        reason = CloseReason.MANUAL_CLOSE
        self.keep(asking.with_close(asking.acted(view), action_id=self.new_id(), reason=reason, state=state, now=now))

    @precondition(lambda self: self.view.queued is not None)
    @rule()
    def a_person_withdraws_what_waits(self) -> None:
        queued = self.view.queued
        assert queued is not None
        self.keep(asking.acted(asking.ended(self.view, queued.id, ActionState.WITHDRAWN, self.clock.now())))

    @rule(sl=st.sampled_from(["2.00", "2.80"]), tp=st.sampled_from(["5.50", "7.00"]))
    def a_person_adjusts(self, sl: str, tp: str) -> None:
        view = self.view
        busy = view.queued or view.close_action or view.running or is_running(view, self.deps.moment())
        if view.trade.status in (TradeStatus.CLOSED, TradeStatus.CLOSING) or busy:
            return
        new_sl, new_tp = Decimal(sl), Decimal(tp)
        state, now = ActionState.RUNNING if self.broker.is_open else ActionState.QUEUED, self.clock.now()
        action_id = self.new_id()
        asked = asking.with_adjust(asking.acted(view), action_id=action_id, sl=new_sl, tp=new_tp, state=state, now=now)
        if view.held_qty <= 0 or not view.entry_is_over:
            asked = asking.repriced(asked, action_id, new_sl, new_tp, now)
        self.keep(asked)

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def one_order_per_intent(self) -> None:
        assert all(times == 1 for times in Counter(self.broker.tags).values())
        if hasattr(self, "view"):
            assert set(self.broker.tags) <= {order.tag for order in self.view.orders}

    @invariant()
    def never_short(self) -> None:
        assert self.broker.lowest_position >= 0

    @invariant()
    def one_side_at_a_time(self) -> None:
        # What an entry was sent with waits for its release in the same group.
        live = [
            {leg.side for leg in top.flat() if leg.status in LIVE and (leg.status is not OrderStatus.PENDING)}
            for top in self.broker.orders_by_id.values()
        ]
        working = [sides for sides in live if sides]
        assert len(working) <= 1 or len(set.union(*working)) == 1, working

    @invariant()
    def a_result_is_the_brokers_cash(self) -> None:
        if hasattr(self, "view") and self.view.trade.realized_pnl is not None:
            assert self.broker.position == 0
            assert self.view.trade.realized_pnl == self.broker.cash.quantize(Decimal("0.01"))

    def teardown(self) -> None:
        """Left alone, with a market, it comes to rest."""
        try:
            if hasattr(self, "view"):
                self.comes_to_rest()
        finally:
            self.loop.close()

    def comes_to_rest(self) -> None:
        self.broker.faults.clear()
        self.broker.unlisted.clear()
        self.broker.hold(is_open=True)
        if self.broker.bid == 0:
            self.broker.move(Decimal("4.00"))
        for _ in range(300):
            step = self.turn()
            self.tell(list(self.broker.orders_by_id.values()))
            if isinstance(step, Wait):
                if step.until is None and self.rests():
                    break
                self.pass_time(31.0)
        else:
            raise AssertionError(f"does not come to rest: {next_step(self.view, self.deps.moment())} {self.view}")
        trade = self.view.trade
        held = self.view.held_qty
        assert held == self.broker.position
        if trade.status is TradeStatus.CLOSED:
            assert not [leg for top in self.broker.orders_by_id.values() for leg in top.flat() if leg.status in LIVE]
        elif held:
            assert trade.protection in (Protection.PROTECTED, Protection.NONE), trade.protection

    def rests(self) -> bool:
        return not self.view.actions and next_step(self.view, self.deps.moment()) == Wait()


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
