"""The checker finds what it is for: a right picture has no findings, each break of a rule has its own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from services.orders.merging import LAPSED
from tests.campaign.checker import RULES, findings
from tests.campaign.picture import Picture, Row, named

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
HELD, OVER = "SPY261218C00500000", "QQQ261218C00400000"
ACCOUNT = "VA00000001"
TAKEN = frozenset({("ann", "breakout-1")})


def ours(trade_id: str, role: str, broker_id: int, **more: Any) -> Row:
    row = {"id": f"o{broker_id}", "trade_id": trade_id, "role": role, "status": "FILLED", "qty": 2, "filled_qty": 2,
           "tag": f"bk-{trade_id}-{role[:2]}", "broker_order_id": str(broker_id), "group_order_id": str(broker_id),
           "reason": None, "avg_price": Decimal("4.00"), "send_by": None, "filled_at": AT, "fill_seen_at": AT,
           "rested_at": None, "confirmed_at": None}  # fmt: skip
    return row | more


def theirs(broker_id: int, symbol: str, side: str, **more: Any) -> Row:
    row = {"account": ACCOUNT, "id": broker_id, "class": "option", "status": "filled", "tag": None,
           "type": "market", "option_symbol": symbol, "side": side, "quantity": 2, "exec_quantity": 2,
           "avg_fill_price": 4.0, "leg": []}  # fmt: skip
    return row | more


def trade(trade_id: str, symbol: str, **more: Any) -> Row:
    row = {"id": trade_id, "username": "ann", "account_id": ACCOUNT, "occ_symbol": symbol, "status": "FILLED",
           "protection": "PROTECTED", "qty": 2, "filled_qty": 2, "close_reason": None, "sl_price": Decimal(3),
           "tp_price": Decimal(6), "multiplier": 100, "realized_pnl": None, "naked_s": Decimal(0)}  # fmt: skip
    return row | more


@dataclass
class Draft:
    """A picture that can still be spoilt."""

    trades: dict[str, Row]
    orders: dict[int, Row]
    at_broker: dict[int, Row]
    positions: dict[str, int]
    cash: Decimal
    incidents: list[Row] = field(default_factory=list)
    placements: list[Row] = field(default_factory=list)
    actions: list[Row] = field(default_factory=list)
    by_hand: frozenset[int] = frozenset()
    signals: list[Row] = field(default_factory=list)
    corrections: list[Row] = field(default_factory=list)
    commission_usd: Decimal = Decimal(0)

    def picture(self) -> Picture:
        row = {"account": ACCOUNT, "cash": float(self.cash), "deposited": 0.0, "positions": self.positions}
        return Picture(
            trades=self.trades, orders=list(self.orders.values()), actions=self.actions, corrections=self.corrections,
            all_incidents=self.incidents, at_broker=list(self.at_broker.values()), cash={ACCOUNT: row},
            placements=self.placements, theirs=self.by_hand, signals=tuple(self.signals), taken=TAKEN,
            commission_usd=self.commission_usd,
        )  # fmt: skip


@pytest.fixture
def draft() -> Draft:
    """Draw one trade that is held under a bracket and one that was closed with a profit of 200."""
    stop = theirs(12, HELD, "sell_to_close", type="stop", status="open", exec_quantity=0)
    target = theirs(13, HELD, "sell_to_close", type="limit", status="open", exec_quantity=0)
    group = theirs(11, HELD, "", **{"class": "oco"}, status="open", tag="bk-held-ST", leg=[stop, target])
    group |= {"option_symbol": None, "side": None}
    orders = {
        10: ours("held", "ENTRY", 10, send_by=AT),
        12: ours("held", "STOP_LOSS", 12, status="WORKING", filled_qty=0, group_order_id="11"),
        13: ours("held", "TAKE_PROFIT", 13, status="WORKING", filled_qty=0, group_order_id="11", tag="bk-held-ST"),
        20: ours("over", "ENTRY", 20),
        21: ours("over", "CLOSE", 21, avg_price=Decimal(5)),
    }
    at_broker = {
        10: theirs(10, HELD, "buy_to_open", tag="bk-held-EN"),
        11: group,
        20: theirs(20, OVER, "buy_to_open", tag="bk-over-EN"),
        21: theirs(21, OVER, "sell_to_close", tag="bk-over-CL", avg_fill_price=5.0),
    }
    over = trade(
        "over", OVER, status="CLOSED", close_reason="MANUAL_CLOSE", realized_pnl=Decimal(200), protection="NONE"
    )
    placed = [{"tag": row["tag"], "time": (AT - timedelta(seconds=1)).isoformat()} for row in at_broker.values()]
    return Draft(
        {"held": trade("held", HELD), "over": over},
        orders,
        at_broker,
        {HELD: 2},
        Decimal(-800 + 200),
        placements=placed,
        signals=[signal("breakout-1", state="accepted", trade_id="held"), signal("breakout-2", state="rejected")],
    )


def signal(name: str, **more: Any) -> Row:
    return {"username": "ann", "name": name, "state": "pending", "trade_id": None} | more


def incident(kind: str, symbol: str = HELD, trade_id: str | None = "held") -> Row:
    return {"kind": kind, "trade_id": trade_id, "account_id": ACCOUNT, "occ_symbol": symbol, "ended_at": None}


def test_a_right_picture_has_no_findings(draft: Draft) -> None:
    assert findings(draft.picture()) == []


def second_order_of_a_tag(draft: Draft) -> None:
    draft.at_broker[30] = {**copy.deepcopy(draft.at_broker[20]), "id": 30, "exec_quantity": 0, "status": "rejected"}


def order_nobody_meant(draft: Draft) -> None:
    draft.at_broker[30] = theirs(30, HELD, "buy_to_open", tag="bk-ghost", exec_quantity=0, status="canceled")


def order_nobody_knows_of(draft: Draft) -> None:
    draft.orders[20] |= {"broker_order_id": None, "group_order_id": None}


def posted_twice(draft: Draft) -> None:
    draft.placements.append(draft.placements[0])


def posted_late(draft: Draft) -> None:
    draft.placements[0]["time"] = (AT + timedelta(seconds=3)).isoformat()


def never_settled(draft: Draft) -> None:
    draft.orders[13]["status"] = "UNKNOWN"


def other_end_than_the_brokers(draft: Draft) -> None:
    draft.orders[21]["status"] = "CANCELLED"


def other_price_than_the_brokers(draft: Draft) -> None:
    draft.orders[10]["avg_price"] = Decimal("4.01")


def leg_without_a_position(draft: Draft) -> None:
    draft.positions.pop(HELD)


def entry_beside_exits(draft: Draft) -> None:
    draft.at_broker[10] |= {"status": "open", "exec_quantity": 0}


def short_position(draft: Draft) -> None:
    draft.positions[OVER] = -2


def missing_lots(draft: Draft) -> None:
    draft.positions[HELD] = 1


def naked_holding(draft: Draft) -> None:
    draft.at_broker[11]["leg"][0]["status"] = "canceled"
    draft.orders[12]["status"] = "CANCELLED"


def unnoticed_naked_seconds(draft: Draft) -> None:
    draft.trades["over"]["naked_s"] = Decimal(30)


def alarm_that_never_ends(draft: Draft) -> None:
    draft.incidents.append(incident("naked", OVER, "over"))


def wrong_state(draft: Draft) -> None:
    draft.trades["held"]["status"] = "PARTIAL"


def closed_while_held(draft: Draft) -> None:
    draft.trades["held"] |= {"status": "CLOSED", "close_reason": "SL_HIT", "realized_pnl": Decimal(-800)}


def closing_by_nobody(draft: Draft) -> None:
    draft.trades["held"]["status"] = "CLOSING"


def wrong_result(draft: Draft) -> None:
    draft.trades["over"]["realized_pnl"] = Decimal(199)


def money_from_nowhere(draft: Draft) -> None:
    draft.cash += 5


def ours_taken_for_theirs(draft: Draft) -> None:
    draft.orders[21]["sent_as"] = "foreign"


def told_by_no_history(draft: Draft) -> None:
    draft.orders[21] |= {"sent_as": "foreign", "broker_order_id": f"history-20261120-{OVER}"}


def one_execution_counted_twice(draft: Draft) -> None:
    draft.orders[22] = ours("over", "ENTRY", 20, qty=1, filled_qty=1, tag="bk-over-again")


def signal_that_nobody_knows(draft: Draft) -> None:
    del draft.signals[0]


def signal_that_nobody_decides(draft: Draft) -> None:
    draft.signals[1] |= {"state": "placing"}


def trade_of_two_signals(draft: Draft) -> None:
    draft.signals[1] |= {"state": "accepted", "trade_id": "held"}


def fees(amount_usd: str) -> Row:
    return {"trade_id": "over", "kind": "fees", "amount_usd": Decimal(amount_usd)}


def commissions_that_nobody_took(draft: Draft) -> None:
    draft.corrections.append(fees("-1.40"))


def signal_of_no_trade(draft: Draft) -> None:
    draft.signals[1] |= {"state": "accepted", "trade_id": "none"}


BREAKS: dict[Callable[[Draft], None], str] = {
    second_order_of_a_tag: "stands at the broker 2 times",
    order_nobody_meant: "nobody meant order 30",
    order_nobody_knows_of: "order 20 of tag bk-over-EN",
    posted_twice: "was posted 2 times",
    posted_late: "3.0 s too late",
    never_settled: "still UNKNOWN",
    other_end_than_the_brokers: "the broker says filled",
    other_price_than_the_brokers: "the broker's average is 4.0",
    leg_without_a_position: "holds no SPY",
    entry_beside_exits: "works beside exits",
    short_position: "is short -2",
    missing_lots: "our trades say 2",
    naked_holding: "no incident is open",
    unnoticed_naked_seconds: "30 s naked",
    alarm_that_never_ends: "incident naked goes on",
    wrong_state: "its orders say FILLED",
    closed_while_held: "closed, but its orders say FILLED",
    closing_by_nobody: "nobody closes it",
    wrong_result: "result 199",
    told_by_no_history: "by history, theirs were []",
    ours_taken_for_theirs: "2 taken of order 21",
    one_execution_counted_twice: "the broker executed 2",
    money_from_nowhere: "the cash moved by",
    commissions_that_nobody_took: "commissions are told",
    signal_that_nobody_knows: "nobody knows it",
    signal_that_nobody_decides: "is still being placed",
    trade_of_two_signals: "2 signals became trade held",
    signal_of_no_trade: "which is no trade",
}


@pytest.mark.parametrize("spoil", BREAKS, ids=lambda spoil: spoil.__name__)
def test_each_break_of_a_rule_is_found(spoil: Callable[[Draft], None], draft: Draft) -> None:
    spoil(draft)
    assert any(BREAKS[spoil] in one for one in findings(draft.picture())), findings(draft.picture())


def test_every_rule_is_broken_by_one_of_the_breaks(draft: Draft) -> None:
    broken = set()
    for spoil in BREAKS:
        spoilt = copy.deepcopy(draft)
        spoil(spoilt)
        broken |= {rule for rule in RULES if list(rule(spoilt.picture()))}
    assert broken == set(RULES)


def otoco(draft: Draft) -> None:
    """Let the held trade be sent as one group whose entry still works: nothing is held, its exits wait."""
    entry = draft.at_broker.pop(10) | {"status": "open", "exec_quantity": 0, "tag": None}
    exits = [leg | {"status": "pending"} for leg in draft.at_broker[11]["leg"]]
    draft.at_broker[11] |= {"class": "otoco", "leg": [entry, *exits]}
    draft.orders[10] |= {"status": "WORKING", "filled_qty": 0, "group_order_id": "11"}
    draft.trades["held"] |= {"status": "OPEN", "protection": "PENDING", "filled_qty": 0}
    draft.positions.clear()
    draft.cash += 800
    for row in draft.orders.values():
        row["tag"] = "bk-held-ST" if row["trade_id"] == "held" else row["tag"]


def test_exits_that_wait_for_their_entry_need_no_position(draft: Draft) -> None:
    otoco(draft)
    assert findings(replace(draft.picture(), placements=[])) == []


def test_exits_that_wait_for_their_entry_protect_nothing(draft: Draft) -> None:
    otoco(draft)
    draft.at_broker[11]["leg"][0] |= {"status": "partially_filled", "exec_quantity": 1}
    draft.orders[10] |= {"status": "PARTIAL", "filled_qty": 1}
    draft.trades["held"] |= {"status": "PARTIAL", "filled_qty": 1}
    draft.positions[HELD] = 1
    draft.cash -= 400
    found = findings(replace(draft.picture(), placements=[]))
    assert len(found) == 2
    assert all("1 are held, 0 under" in one for one in found)


def test_a_part_of_somebody_elses_sale_may_explain_what_a_trade_lost(draft: Draft) -> None:
    draft.orders[21] |= {"sent_as": "foreign", "tag": "not-ours-21"}
    draft.at_broker[21] |= {"tag": None, "quantity": 5, "exec_quantity": 5}
    draft.by_hand = frozenset({21})
    draft.cash += 3 * 500
    placed = [one for one in draft.placements if one["tag"] != "bk-over-CL"]
    assert findings(replace(draft.picture(), placements=placed)) == []


def test_what_the_position_alone_told_of_is_the_order_of_its_tag(draft: Draft) -> None:
    at_broker = list(draft.at_broker.values())
    draft.orders[20] |= {"broker_order_id": None, "group_order_id": None, "reason": LAPSED}
    assert any("is not known" in one for one in findings(draft.picture()))
    judged = replace(draft.picture(), orders=named(list(draft.orders.values()), at_broker))
    assert findings(judged) == []
    draft.orders[20] |= {"avg_price": Decimal("3.90")}
    misjudged = replace(draft.picture(), orders=named(list(draft.orders.values()), at_broker))
    assert any("the broker's average is 4.0, not 3.90" in one for one in findings(misjudged))


def test_a_history_may_tell_what_others_sold(draft: Draft) -> None:
    draft.orders[21] |= {"sent_as": "foreign", "tag": "not-ours-x", "broker_order_id": f"history-20261120-{OVER}"}
    draft.at_broker[21] |= {"tag": None}
    draft.by_hand = frozenset({21})
    placed = [one for one in draft.placements if one["tag"] != "bk-over-CL"]
    assert findings(replace(draft.picture(), placements=placed)) == []
    draft.orders[21] |= {"filled_qty": 3, "qty": 3}
    assert any("others sold 2" in one for one in findings(replace(draft.picture(), placements=placed)))


def test_what_others_lots_took_of_a_sale_is_a_purchase_nobody_sent(draft: Draft) -> None:
    draft.orders[21] |= {"qty": 3, "filled_qty": 3}
    draft.at_broker[21] |= {"quantity": 3, "exec_quantity": 3}
    absorbed = {"sent_as": "foreign", "tag": "not-ours-absorbed-x", "broker_order_id": None, "group_order_id": None}
    draft.orders[22] = ours("over", "COVER", 22, qty=1, filled_qty=1, avg_price=Decimal(5)) | absorbed
    draft.cash += 500
    assert findings(draft.picture()) == []


def test_what_a_sale_beyond_the_holding_costs_is_told_once_it_is_bought_back(draft: Draft) -> None:
    draft.orders[22] = ours("over", "CLOSE", 22) | {"sent_as": "foreign", "tag": "not-ours-22"}
    draft.at_broker[22] = theirs(22, OVER, "sell_to_close")
    draft.by_hand = frozenset({22})
    draft.positions[OVER] = -2
    draft.cash += 800
    assert any("the broker's money" in one for one in findings(draft.picture()))
    draft.incidents.append(incident("short", OVER, "over"))
    assert findings(draft.picture()) == []


def expired(draft: Draft, trade_id: str, broker_id: int, symbol: str, result: int) -> None:
    """Let a trade of two, bought at 4.00, expire in the money."""
    draft.orders[broker_id] = ours(trade_id, "ENTRY", broker_id)
    draft.at_broker[broker_id] = theirs(broker_id, symbol, "buy_to_open", tag=f"bk-{trade_id}-EN")
    ended = {"status": "CLOSED", "protection": "NONE", "close_reason": "EXPIRED_ITM", "settled_qty": 2}
    draft.trades[trade_id] = trade(trade_id, symbol, **ended, realized_pnl=Decimal(result))
    draft.cash -= 800


def test_contracts_that_expired_together_are_worth_one_price_of_their_underlying(draft: Draft) -> None:
    expired(draft, "call", 60, "IWM261120C00230000", 200)
    expired(draft, "put", 61, "IWM261120P00240000", 200)
    assert findings(draft.picture()) == []
    draft.trades["put"]["realized_pnl"] += 20
    assert any("IWM closed at" in one for one in findings(draft.picture()))
    draft.trades["put"]["close_reason"] = "EXPIRED_OTM"
    assert any("worthless, and it brought 1020" in one for one in findings(draft.picture()))


def test_a_contract_that_settles_need_not_be_there_any_more(draft: Draft) -> None:
    draft.positions.pop(HELD)
    draft.trades["held"]["protection"] = "SETTLING"
    legs = [leg | {"status": "expired"} for leg in draft.at_broker[11]["leg"]]
    draft.at_broker[11] |= {"status": "expired", "leg": legs}
    for number in (12, 13):
        draft.orders[number]["status"] = "EXPIRED"
    assert findings(draft.picture()) == []


@pytest.mark.parametrize(("spoil", "kind", "symbol"), [(naked_holding, "naked", HELD), (short_position, "short", OVER)])
def test_an_open_incident_excuses_what_cannot_be_mended_at_once(
    spoil: Callable[[Draft], None], kind: str, symbol: str, draft: Draft
) -> None:
    spoil(draft)
    draft.incidents.append(incident(kind, symbol, None))
    assert findings(draft.picture()) == []


def test_seconds_naked_that_somebody_was_told_of_and_those_of_a_clock_that_was_set_are_no_finding(draft: Draft) -> None:
    unnoticed_naked_seconds(draft)
    jumped = copy.deepcopy(draft)
    draft.incidents.append(incident("naked", OVER, "over") | {"ended_at": AT})
    assert findings(draft.picture()) == []
    jumped.orders[21]["filled_at"] = AT + timedelta(days=1)
    assert findings(jumped.picture()) == []


def test_orders_of_others_are_theirs_by_name_only(draft: Draft) -> None:
    draft.at_broker[40] = theirs(40, HELD, "buy_to_open", avg_fill_price=1.0)
    draft.positions[HELD] = 4
    draft.cash -= 200
    assert any("nobody meant order 40" in one for one in findings(draft.picture()))
    assert findings(replace(draft.picture(), theirs=frozenset({40}))) == []


def test_commissions_are_the_brokers_or_not_told_yet(draft: Draft) -> None:
    draft.commission_usd = Decimal("0.35")
    draft.cash -= Decimal("0.35") * 6
    assert findings(draft.picture()) == []
    draft.corrections = [fees("-1.40")]
    assert findings(draft.picture()) == []
    for wrong in ("-1.41", "-0.69", "1.40"):
        draft.corrections = [fees(wrong)]
        assert any("commissions are told" in one for one in findings(draft.picture())), wrong
