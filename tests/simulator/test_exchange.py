"""The exchange alone: whatever happens, money, positions and orders agree."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simulator import risk, rules, settlement
from simulator.book import TERMINAL, WORKING, Order, Status
from simulator.exchange import Exchange, Finalized
from simulator.rules import Quote, Refused
from simulator.toggles import Toggles

START = datetime(2026, 11, 24, 15, tzinfo=UTC)
ACCOUNT = "VA00000001"
OPTION = "SPY261218C00650000"
ENDS_SOON = "SPY261125P00650000"
CASH = Decimal(100_000)
CENTS = st.integers(1, 900).map(lambda cents: Decimal(cents) / 100)


class Board:
    """Quotes on a board."""

    def __init__(self) -> None:
        self.quotes = {name: Quote(Decimal("4.90"), Decimal("5.00"), Decimal("4.95")) for name in (OPTION, ENDS_SOON)}

    def quote(self, symbol: str) -> Quote | None:
        return self.quotes.get(symbol)

    def is_listed(self, symbol: str) -> bool:
        return symbol in self.quotes

    def official_price(self, symbol: str, at: datetime) -> Decimal:
        return Decimal("655.00")


def leg(n: int, security: str, side: str, quantity: int, **terms: str) -> dict[str, str]:
    fields = {"option_symbol": security, "side": side, "quantity": str(quantity)} | terms
    return {f"{name}[{n}]": value for name, value in fields.items()}


class ExchangeMachine(RuleBasedStateMachine):
    """Orders, prices, time and the broker's own deeds in any order."""

    @initialize(
        partial=st.sampled_from(["cancel_sibling", "reduce", "leave"]),
        release=st.sampled_from(["full_fill", "first_fill"]),
        trigger=st.sampled_from(["bid", "last"]),
        opposite=st.sampled_from(["market_only", "refuse", "allow"]),
    )
    def begin(self, partial: str, release: str, trigger: str, opposite: str) -> None:
        chosen = {"oco_partial": partial, "otoco_release": release, "stop_trigger": trigger, "opposite_side": opposite}
        self.board = Board()
        self.exchange = Exchange(self.board, Toggles.model_validate(chosen), CASH)
        self.real_s = 0.0
        self.now = START
        self.executed: dict[int, int] = {}
        self.ended: dict[int, Status] = {}
        self.exchange.account(ACCOUNT)
        self.tell(0)

    def tell(self, seconds: float, *, is_open: bool = True) -> None:
        self.real_s += seconds
        self.now += timedelta(seconds=seconds)
        self.exchange.at(self.now, self.real_s, self.now.date(), is_open=is_open)
        self.exchange.run_due()

    def place(self, form: dict[str, str], cap: int | None) -> None:
        try:
            ticket = rules.read_ticket(form)
            risk.check(self.exchange, ACCOUNT, ticket)
        except Refused:
            return
        self.exchange.place(ACCOUNT, ticket, cap=cap)

    @rule(
        side=st.sampled_from(["buy_to_open", "sell_to_close", "buy_to_close"]),
        quantity=st.integers(1, 5),
        kind=st.sampled_from(["market", "limit", "stop"]),
        price=CENTS,
        security=st.sampled_from([OPTION, ENDS_SOON]),
        cap=st.sampled_from([None, None, 0, 1, 2]),
    )
    def single(self, side: str, quantity: int, kind: str, price: Decimal, security: str, cap: int | None) -> None:
        terms = {"limit": {"price": str(price)}, "stop": {"stop": str(price)}}.get(kind, {})
        form = {"class": "option", "symbol": "SPY", "option_symbol": security, "side": side, "type": kind,
                "quantity": str(quantity), "duration": "day"}  # fmt: skip
        self.place(form | terms, cap)

    @rule(quantity=st.integers(1, 4))
    def buy(self, quantity: int) -> None:
        form = {"class": "option", "symbol": "SPY", "option_symbol": OPTION, "side": "buy_to_open", "type": "market",
                "quantity": str(quantity), "duration": "day"}  # fmt: skip
        self.place(form, None)

    def held(self) -> int:
        position = self.exchange.account(ACCOUNT).positions.get(OPTION)
        return position.quantity if position else 0

    @precondition(lambda self: self.held() > 0)
    @rule(above=CENTS, below=CENTS, less=st.sampled_from([0, 0, 1]), cap=st.sampled_from([None, None, 1]))
    def protect(self, above: Decimal, below: Decimal, less: int, cap: int | None) -> None:
        bid = self.board.quotes[OPTION].bid
        form = {"class": "oco", "duration": "gtc"}
        quantity = max(self.held() - less, 1)
        form |= leg(0, OPTION, "sell_to_close", quantity, type="limit", price=str(bid + above))
        stop = max(bid - below, Decimal("0.01"))
        form |= leg(1, OPTION, "sell_to_close", quantity, type="stop", stop=str(stop))
        self.place(form, cap)

    @precondition(lambda self: self.held() > 0)
    @rule(quantity=st.integers(1, 5))
    def sell(self, quantity: int) -> None:
        form = {"class": "option", "symbol": "SPY", "option_symbol": OPTION, "side": "sell_to_close", "type": "market",
                "quantity": str(quantity), "duration": "day"}  # fmt: skip
        self.place(form, None)

    @rule(price=st.sampled_from(["0.01", "5.00", "99.00"]))
    def jump(self, price: str) -> None:
        self.board.quotes[OPTION] = Quote(Decimal(price), Decimal(price), Decimal(price))
        self.exchange.evaluate([OPTION])

    @rule(entry=CENTS, goal=CENTS, stop=CENTS, quantity=st.integers(1, 5), cap=st.sampled_from([None, None, 1]))
    def enter_with_exits(self, entry: Decimal, goal: Decimal, stop: Decimal, quantity: int, cap: int | None) -> None:
        form = {"class": "otoco"}
        form |= leg(0, OPTION, "buy_to_open", quantity, type="limit", price=str(entry), duration="day")
        form |= leg(1, OPTION, "sell_to_close", quantity, type="limit", price=str(goal), duration="gtc")
        form |= leg(2, OPTION, "sell_to_close", quantity, type="stop", stop=str(stop), duration="gtc")
        self.place(form, cap)

    @rule(bid=st.integers(0, 900), spread=st.integers(0, 20), security=st.sampled_from([OPTION, ENDS_SOON]))
    def move(self, bid: int, spread: int, security: str) -> None:
        sides = Decimal(bid) / 100, Decimal(bid + spread) / 100
        self.board.quotes[security] = Quote(*sides, sides[0])
        self.exchange.evaluate([security])

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.14, 0.2, 1.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.tell(seconds)

    def some_order(self, data: st.DataObject) -> Order:
        return self.exchange.orders[data.draw(st.sampled_from(sorted(self.exchange.orders)))]

    @precondition(lambda self: self.exchange.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = self.some_order(data)
        try:
            self.exchange.cancel(order)
        except Finalized:
            assert order.is_terminal or self.exchange.top(order).is_terminal

    @precondition(lambda self: self.exchange.orders)
    @rule(data=st.data())
    def refuse_late(self, data: st.DataObject) -> None:
        top = self.exchange.top(self.some_order(data))
        if not top.is_terminal and not any(one.executed for one in self.exchange.legs(top)):
            self.exchange.refuse_later(top, top, "OmsInternalError", 0.1)

    @rule()
    def end_the_day(self) -> None:
        self.now = (self.now + timedelta(days=1)).replace(hour=15)
        self.tell(1)
        settlement.expire_day_orders(self.exchange)
        settlement.settle_expired(self.exchange)

    @rule()
    def liquidate(self) -> None:
        held = self.exchange.account(ACCOUNT).positions.get(OPTION)
        if held is not None and held.quantity > 0:
            settlement.liquidate(self.exchange, ACCOUNT, OPTION, held.quantity)

    @invariant()
    def money_is_conserved(self) -> None:
        account = self.exchange.account(ACCOUNT)
        cost = sum((held.cost for held in account.positions.values()), Decimal(0))
        assert abs(account.cash + cost - account.realized - account.deposited) < Decimal("0.0001")

    @invariant()
    def positions_are_what_the_orders_executed(self) -> None:
        if self.now.date() > date(2026, 11, 25):
            return
        account = self.exchange.account(ACCOUNT)
        for security in (OPTION, ENDS_SOON):
            orders = [one for one in self.exchange.orders.values() if one.security == security and not one.is_group]
            signed = sum(-one.executed if one.is_sell else one.executed for one in orders)
            held = account.positions.get(security)
            assert signed == (held.quantity if held else 0) or security == ENDS_SOON

    @invariant()
    def executed_never_falls_and_an_end_is_final(self) -> None:
        for order in self.exchange.orders.values():
            assert order.executed >= self.executed.get(order.id, 0)
            assert 0 <= order.executed <= max(order.quantity, order.executed if order.is_group else 0)
            self.executed[order.id] = order.executed
            if order.id in self.ended:
                assert order.status == self.ended[order.id]
            elif order.status in TERMINAL:
                self.ended[order.id] = order.status

    @invariant()
    def an_oco_never_fills_twice_unless_the_toggle_leaves_the_sibling(self) -> None:
        for order in self.exchange.orders.values():
            if order.kind == "oco" and self.exchange.toggles.oco_partial == "cancel_sibling":
                assert sum(one.executed > 0 for one in self.exchange.legs(order)) <= 1

    @invariant()
    def the_indexes_agree_with_the_orders(self) -> None:
        exchange = self.exchange
        for order in exchange.orders.values():
            assert (order.id in exchange.unfinished[ACCOUNT]) == (not order.is_terminal)
            works = not order.is_group and order.status in WORKING and not order.held
            assert works == (order.id in exchange.working.get(order.security, set()))

    @invariant()
    def nobody_is_short_unless_the_toggle_lets_a_sibling_oversell(self) -> None:
        if self.exchange.toggles.oco_partial != "leave" and self.exchange.toggles.otoco_release == "full_fill":
            for held in self.exchange.account(ACCOUNT).positions.values():
                assert held.quantity > 0 or len(held.symbol) < 6


TestExchange = ExchangeMachine.TestCase
TestExchange.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_trade_moves_cash_and_cost_by_the_multiplier() -> None:
    exchange = Exchange(Board(), Toggles(), CASH)
    exchange.at(START, 0, START.date(), is_open=True)
    form = {"class": "option", "symbol": "SPY", "option_symbol": OPTION, "side": "buy_to_open", "type": "market",
            "quantity": "3", "duration": "day"}  # fmt: skip
    order = exchange.place(ACCOUNT, rules.read_ticket(form))
    account = exchange.account(ACCOUNT)
    assert (order.status, order.average) == (Status.FILLED, Decimal("5.00"))
    assert (account.cash, account.positions[OPTION].cost) == (CASH - 1500, Decimal(1500))
