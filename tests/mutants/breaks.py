"""The deliberate breaks: where, what is written there, what it becomes, and which tests must fail because of it."""

from __future__ import annotations

from dataclasses import dataclass

MARKS = "tests/integration/orders/test_marks.py"
DIES = f"{MARKS}::test_a_flow_that_dies_at_any_mark_is_ended_right_by_another_process"
TWICE = f"{MARKS}::test_a_flow_whose_every_mark_comes_twice_happens_once"
LATE = f"{MARKS}::test_a_process_that_stood_still_past_its_claim_writes_nothing_more"
MEETS = f"{MARKS}::test_two_processes_that_meet_in_a_flow_end_it_once"
MATRIX = (
    "tests/integration/orders/test_fault_matrix.py"
    "::test_a_write_that_fails_ends_as_one_order_or_none_in_the_right_state"
)
REPLICAS = "tests/integration/orders/test_two_replicas.py"
UNIT = "tests/unit/orders"
CLAIM = "if clock.monotonic() >= claim_ends:\n            "


@dataclass(frozen=True)
class Break:
    """One rule broken. `text` stands in the file once; each of the tests must fail when it is replaced."""

    name: str
    path: str
    text: str
    becomes: str
    tests: tuple[str, ...]


BREAKS = (
    Break(
        "a process past its claim still sends",
        "services/orders/talk.py",
        CLAIM + 'raise Expired("the claim was over before the order could be sent")',
        'if False:\n            raise Expired("the claim was over before the order could be sent")',
        (f"{LATE}[place market]",),
    ),
    Break(
        "a process past its claim still cancels",
        "services/orders/talk.py",
        CLAIM + 'raise Expired("the claim was over before the cancel could be sent")',
        'if False:\n            raise Expired("the claim was over before the cancel could be sent")',
        (f"{LATE}[adjust]",),
    ),
    Break(
        "an entry is sent after its time",
        "services/orders/talk.py",
        "if send_by is not None and clock.now() >= send_by:",
        "if False:",
        ("tests/integration/orders/test_late_sends.py",),
    ),
    Break(
        "who lost the claim decides all the same",
        "services/orders/flow.py",
        "if outcome is not None and (is_ours or outcome.is_fact):",
        "if outcome is not None:",
        (f"{LATE}[place market]",),
    ),
    Break(
        "nobody looks whether the claim still holds",
        "services/orders/flow.py",
        "is_ours = flow.run == claim.run and flow.claimed_until is not None and flow.claimed_until > loaded.now",
        "is_ours = True",
        ("tests/integration/orders/test_claims.py",),
    ),
    Break(
        "a write is not marked before it leaves",
        "services/orders/flow.py",
        "return lifecycle.sent(view, tag, now)",
        "return view",
        (f"{DIES}[place market]",),
    ),
    Break(
        "an interrupted write is sent again",
        "services/orders/steps.py",
        "        if order.status is OrderStatus.SENT:\n            return MarkUnknown(order.tag)",
        "        if order.status is OrderStatus.SENT:\n            return Send(order.tag)",
        (f"{DIES}[place market]",),
    ),
    Break(
        "an unclear answer is taken for a refusal",
        "services/orders/talk.py",
        "lifecycle.unknown(view, step.tag, words, moment.now), is_fact=True",
        "lifecycle.refused(view, step.tag, words, moment.now), is_fact=True",
        (f"{MATRIX}[place]",),
    ),
    Break(
        "a POST without an answer is repeated",
        "libs/broker/tradier.py",
        "            before_send=before_send,\n",
        "            before_send=before_send,\n            repeats=2,\n",
        (f"{MATRIX}[place]", f"{MATRIX}[sale]"),
    ),
    Break(
        "one look proves that nothing was placed",
        "services/orders/evidence.py",
        "if first.look_at is not None and moment.at(first.look_at, evidence_gap_s(first, moment.waits)) is None:\n"
        "        return lifecycle.never_placed",
        "if True:\n        return lifecycle.never_placed",
        (f"{UNIT}/test_evidence.py",),
    ),
    Break(
        "two looks need no time between them",
        "services/orders/evidence.py",
        "if first.look_at is not None and moment.at(first.look_at, evidence_gap_s(first, moment.waits)) is None:\n"
        "        return lifecycle.never_placed",
        "if first.look_at is not None:\n        return lifecycle.never_placed",
        (f"{UNIT}/test_evidence.py",),
    ),
    Break(
        "the sale does not wait for the exits to end",
        "services/orders/closing.py",
        "working = next((order for order in others if not order.is_terminal), None)",
        "working = None",
        (f"{DIES}[close held]",),
    ),
    Break(
        "a target covers for a stop",
        "services/orders/protection.py",
        "return all(covered_qty(view, role) >= view.sellable_qty for role in wanted(view))",
        "return any(covered_qty(view, role) >= view.sellable_qty for role in wanted(view))",
        (f"{UNIT}/test_lifecycle.py",),
    ),
    Break(
        "what a cancelled order executed is not counted",
        "services/orders/merging.py",
        "filled = max(order.filled_qty, min(report.filled_qty, order.qty))",
        "filled = order.filled_qty if report.status in _ENDED and report.status is not OrderStatus.FILLED else max("
        "order.filled_qty, min(report.filled_qty, order.qty))",
        (f"{UNIT}/test_lifecycle.py",),
    ),
    Break(
        "an older report takes executions back",
        "services/orders/merging.py",
        "filled = max(order.filled_qty, min(report.filled_qty, order.qty))",
        "filled = min(report.filled_qty, order.qty)",
        (f"{UNIT}/test_lifecycle.py",),
    ),
    Break(
        "the version is not compared under the lock",
        "services/orders/handlers_actions.py",
        "await _check_version(unit, command, loaded.view)\n        view =",
        "view =",
        (f"{REPLICAS}::test_fifty_closes_at_once_on_two_replicas_sell_once",),
    ),
    Break(
        "a key that is taken places again",
        "services/orders/handlers_place.py",
        "if not await store_requests.reserve(unit, ctx.user, request):",
        "await store_requests.reserve(unit, ctx.user, request)\n        if False:",
        (f"{REPLICAS}::test_one_key_at_once_on_two_replicas_places_one_order",),
    ),
    Break(
        "a stop that is passed is sent all the same",
        "services/orders/brackets.py",
        "if sl >= (quote.bid or Decimal(0)):\n            return StopPassed",
        "if False:\n            return StopPassed",
        (f"{DIES}[stop passed]",),
    ),
    Break(
        "exits are placed beside a working entry",
        "services/orders/plan.py",
        "if not view.entry_is_over or not view.trade.filled_qty:",
        "if not view.trade.filled_qty:",
        (f"{DIES}[partial entry]",),
    ),
    Break(
        "P&L forgets the contract's size",
        "services/orders/results.py",
        "money.cents((brought - cost) * trade.multiplier)",
        "money.cents(brought - cost)",
        (f"{UNIT}/test_lifecycle.py",),
    ),
    Break(
        "an empty list is believed",
        "services/monitor/doubting.py",
        "if listed_before and not broker.listed:",
        "if False:",
        ("tests/unit/monitor",),
    ),
    Break(
        "contracts that are gone without a reason are believed",
        "services/monitor/doubting.py",
        "if trade.trade_id not in short_known and is_unexplained(trade, contract, broker):",
        "if False:",
        ("tests/unit/monitor",),
    ),
    Break(
        "a list that leaves out what we know proves something",
        "services/orders/evidence.py",
        "    if doubt is not None:\n        return _noted(view, tag, moment, patiently=doubt)",
        "    if False:\n        return _noted(view, tag, moment, patiently=doubt)",
        ("tests/unit/orders/test_evidence.py",),
    ),
    Break(
        "somebody else's order is taken for ours at any price",
        "services/orders/evidence.py",
        "        and _prices(orders) == {(leg.type, leg.price, leg.stop) for leg in report.flat()}\n",
        "",
        ("tests/unit/orders/test_evidence.py",),
    ),
    Break(
        "a sale in somebody else's hand is not inventory",
        "services/orders/repairing.py",
        "view.held_qty > 0 and trade.foreign_exit is None and",
        "view.held_qty > 0 and",
        ("tests/integration/orders/test_repairs.py",),
    ),
    Break(
        "a short its owner bought back is bought again",
        "services/orders/repairing.py",
        "return min(-view.held_qty, -int(looked.qty_of(view.trade.occ_symbol)))",
        "return -view.held_qty",
        ("tests/unit/orders/test_oversold.py",),
    ),
    Break(
        "one sale ends every trade that sees it",
        "services/orders/flow.py",
        "outcome = outcome.among(await store_contract.beside(unit, view.trade, locks=True))",
        "pass",
        ("tests/integration/orders/test_looking_again.py",),
    ),
    Break(
        "a position that lags is taken for others' lots",
        "services/orders/oversold.py",
        "return change >= 0 and left > 0 and not lags",
        "return True",
        ("tests/unit/orders/test_oversold.py",),
    ),
    Break(
        "exits that surface rest beside the ones that replaced them",
        "services/orders/protecting.py",
        "any(qty != view.sellable_qty for qty in offered.values())",
        "any(o.remaining_qty != view.sellable_qty for o in live)",
        ("tests/unit/orders/test_surfaced_exits.py",),
    ),
    Break(
        "nobody looks for what no job is left of",
        "services/orders/recovery.py",
        "in await store_flows.interrupted(unit):",
        "in []:",
        ("tests/integration/orders/test_recovery.py",),
    ),
    Break(
        "commissions are read once and never again",
        "services/orders/store_fees.py",
        " and e.at >= coalesce(\n    (select max(o.fill_seen_at) from orders.broker_orders o "
        "where o.trade_id = t.id), e.at))",
        ")",
        ("tests/integration/orders/test_fees.py",),
    ),
    Break(
        "a close leaves what waits for the open beside it",
        "services/orders/asking.py",
        ", ActionState.QUEUED: ActionState.WITHDRAWN}",
        "}",
        ("tests/unit/orders/test_decisions.py",),
    ),
    Break(
        "nobody reads working entries while monitor is silent",
        "services/orders/news.py",
        "return not (self._bus.connected and self._is_brought)",
        "return not self._bus.connected",
        ("tests/unit/orders/test_news.py", "tests/integration/orders/test_session.py"),
    ),
)
