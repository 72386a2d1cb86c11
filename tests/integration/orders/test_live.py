"""Real money, played by a second simulator: a trade goes there only when everything about it says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from libs.broker.base import BrokerMode as Venue
from libs.common.errors import Expired, InvalidInput, LiveNotEnabled, UpstreamRefused
from libs.common.messages.orders import CloseTrade, StoreCredentials, UpdateTradingSettings
from libs.common.messages.safety import TradeRefusal
from libs.common.messages.signals import ApproveSignal
from libs.common.messages.vocabulary import BrokerMode
from services.orders import handlers_credentials, handlers_settings, handlers_signals, sessions, talk
from tests.integration.orders.bots import publish, signal, until
from tests.integration.orders.house import House
from tests.integration.orders.outside import Sim
from tests.integration.orders.test_checks import checked

pytestmark = pytest.mark.integration

LIVE, PAPER = BrokerMode.TRADIER_LIVE, BrokerMode.PAPER
NINE = "VA00000009"


@dataclass
class Real:
    """Orders with a LIVE account beside the PAPER one, and the simulator that stands for Tradier."""

    house: House
    sim: Sim

    async def switch(self, mode: BrokerMode, confirm: str | None = None, **more: Any) -> None:
        command = UpdateTradingSettings(changes={"broker_mode": mode, **more}, confirm=confirm)
        await handlers_settings.update_trading_settings(command, self.house.context(), self.house.deps)

    async def orders(self) -> list[dict[str, Any]]:
        return await self.sim.orders(NINE)


@pytest.fixture
async def real(desk: House) -> AsyncIterator[Real]:
    """Return a desk whose LIVE credentials are stored and whose settings are still PAPER's."""
    await desk.sim.control("toggles", token_prefix="")
    sim = Sim(desk.deps.factory.base_urls[Venue.TRADIER_LIVE])
    command = StoreCredentials(broker_mode=LIVE, account_id=NINE, token="live-9", confirm="LIVE")
    await handlers_credentials.store_credentials(command, desk.context(), desk.deps)
    await sim.control("quote", symbol=desk.occ, bid="4.00", ask="4.20")
    yield Real(desk, sim)
    await sim.aclose()


async def test_after_the_typed_word_a_trade_is_placed_protected_and_closed_with_real_money(real: Real) -> None:
    house = real.house
    await real.switch(LIVE, "LIVE")
    trade = await house.protected()
    assert (trade["broker_mode"], trade["account_id"]) == (LIVE, NINE)
    assert {order["class"] for order in await real.orders()} == {"option", "oco"}
    assert await house.sim.orders(house.account_id) == [], "nothing went to the paper broker"
    await house.ask(CloseTrade(idempotency_key="end", trade_id=trade["id"], version=trade["version"]))
    assert (await house.until(trade["id"], status="CLOSED"))["close_reason"] == "MANUAL_CLOSE"


async def test_a_trade_stays_where_it_was_placed_when_the_settings_go_elsewhere(real: Real) -> None:
    house = real.house
    await real.switch(LIVE, "LIVE")
    trade = await house.protected()
    await real.switch(PAPER)
    paper = await house.protected()
    assert paper["broker_mode"] == PAPER
    await house.ask(CloseTrade(idempotency_key="end", trade_id=trade["id"], version=trade["version"]))
    await house.until(trade["id"], status="CLOSED")
    assert {order["side"] for order in await real.orders() if order["class"] == "option"} == {
        "buy_to_open",
        "sell_to_close",
    }
    assert (await house.trade(paper["id"]))["status"] == "FILLED"


@pytest.mark.parametrize(
    ("wish", "words"),
    [({"account_id": NINE}, "not one of your PAPER accounts"), ({"broker_mode": LIVE}, "asks for TRADIER_LIVE")],
    ids=["account", "mode"],
)
async def test_before_the_switch_nothing_reaches_the_real_broker_whatever_a_trade_names(
    real: Real, wish: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        await real.house.place(**wish)
    assert await real.orders() == []


async def test_with_real_money_a_program_names_its_account_and_a_trade_for_paper_is_refused(real: Real) -> None:
    await real.switch(LIVE, "LIVE")
    with pytest.raises(LiveNotEnabled, match="names the account"):
        await real.house.place(by_program=True)
    with pytest.raises(InvalidInput, match="asks for PAPER, and the settings say TRADIER_LIVE"):
        await real.house.place(by_program=True, account_id=NINE, broker_mode=PAPER)
    assert await real.orders() == []
    placed = await real.house.place(by_program=True, account_id=NINE)
    assert placed["broker_mode"] == LIVE
    assert len(await real.orders()) >= 1


async def test_where_real_money_is_turned_off_a_switched_user_is_told_so_and_nothing_is_sent(real: Real) -> None:
    house = real.house
    await real.switch(LIVE, "LIVE")
    urls = {Venue.PAPER: house.sim.url}
    house.deps = replace(house.deps, factory=replace(house.deps.factory, base_urls=urls))
    with pytest.raises(LiveNotEnabled, match="turned off"):
        await house.place()
    assert await real.orders() == []


async def test_an_entry_that_was_not_sent_yet_when_the_settings_leave_live_is_never_sent(real: Real) -> None:
    house = real.house
    await real.switch(LIVE, "LIVE")

    class Leaving:
        """Switches away when the intent is stored."""

        async def at(self, beat: str) -> None:
            if beat == "orders.place.intent":
                await real.switch(PAPER)

    usual = house.deps
    house.deps = replace(usual, beats=Leaving())
    with pytest.raises(Expired, match="never sent; nothing was bought") as refused:
        await house.place()
    house.deps = usual
    trade = {"id": refused.value.extra["trade_id"]}
    row = await house.until(trade["id"], status="CLOSED")
    assert (row["close_reason"], row["reason"]) == ("CANCELLED", "never sent")
    assert await real.orders() == []
    assert "the settings left TRADIER_LIVE before it was sent" in await house.story(trade["id"])


async def test_an_adapter_that_was_not_given_the_right_sends_no_order_of_real_money(real: Real) -> None:
    house = real.house
    await real.switch(LIVE, "LIVE")
    house.deps = replace(house.deps, factory=replace(house.deps.factory, live_enabled=False))
    with pytest.raises(UpstreamRefused, match="real money are not enabled"):
        await house.place()
    assert await real.orders() == []


async def test_a_market_forced_open_is_open_in_paper_only(real: Real) -> None:
    house = real.house
    settings = house.deps.settings.model_copy(update={"force_market_open": True})
    deps = replace(house.deps, settings=settings)
    await house.sim.control("clock", session="closed")
    broker = deps.factory.get_broker(Venue.PAPER, house.account_id, "x")
    _, clock = await talk.market_of(broker, (house.occ,), deps.clock.now())
    await house.sim.control("clock", session="open")
    open_in = {mode: sessions.is_open(deps, clock, mode, house.contract) for mode in BrokerMode}
    assert open_in == {PAPER: True, BrokerMode.TRADIER_SANDBOX: False, LIVE: False}


async def test_a_signal_trades_real_money_by_itself_only_where_it_names_the_account(real: Real) -> None:
    house = real.house
    await real.switch(LIVE, "LIVE")
    await real.switch(LIVE, "LIVE", signal_mode="auto")
    unnamed = await publish(house, signal(house))
    assert unnamed is not None
    assert (await until(house, unnamed.id, state="rejected"))["code"] == "live_not_enabled"
    assert await real.orders() == []
    named = await publish(house, signal(house, account_id=NINE))
    assert named is not None
    placed = await until(house, named.id, state="accepted")
    assert (await house.until(placed["trade_id"], protection="PROTECTED"))["broker_mode"] == LIVE


async def test_a_signal_that_came_in_paper_is_not_placed_with_real_money_when_it_is_approved_later(real: Real) -> None:
    house = real.house
    waiting = await publish(house, signal(house))
    assert waiting is not None
    await real.switch(LIVE, "LIVE")
    with pytest.raises(InvalidInput):
        await handlers_signals.approve_signal(ApproveSignal(id=waiting.id), house.context(via="page"), house.deps)
    assert await real.orders() == []
    assert await house.sim.orders(house.account_id) == []


async def test_a_program_approves_with_real_money_only_what_names_its_account(real: Real) -> None:
    house = real.house
    await real.switch(LIVE, "LIVE")
    unnamed, named = await publish(house, signal(house)), await publish(house, signal(house, account_id=NINE))
    assert unnamed is not None
    assert named is not None
    with pytest.raises(LiveNotEnabled, match="names the account"):
        await approve(house, unnamed.id, by_program=True)
    assert await real.orders() == []
    assert (await until(house, unnamed.id, state="pending"))["via"] == "bot scanner"
    await approve(house, named.id, by_program=True)
    trade_id = (await until(house, named.id, state="accepted"))["trade_id"]
    await house.until(trade_id, protection="PROTECTED")
    await house.ask(
        CloseTrade(idempotency_key="end", trade_id=trade_id, version=(await house.trade(trade_id))["version"])
    )
    await house.until(trade_id, status="CLOSED")
    await approve(house, unnamed.id, by_program=False)
    trade_id = (await until(house, unnamed.id, state="accepted"))["trade_id"]
    assert (await house.until(trade_id, protection="PROTECTED"))["broker_mode"] == LIVE


async def approve(house: House, row_id: str, *, by_program: bool) -> None:
    command = ApproveSignal(id=row_id, by_program=by_program)
    await handlers_signals.approve_signal(command, house.context(via="here"), house.deps)


async def test_in_paper_a_program_approves_what_names_no_account(real: Real) -> None:
    waiting = await publish(real.house, signal(real.house))
    assert waiting is not None
    await approve(real.house, waiting.id, by_program=True)
    assert (await until(real.house, waiting.id, state="accepted"))["broker_mode"] == PAPER


@pytest.mark.parametrize(
    "wish",
    [{"by_program": True}, {"by_program": True, "account_id": NINE, "broker_mode": PAPER}, {"broker_mode": PAPER}],
    ids=["no account", "another mode", "a person's other mode"],
)
async def test_a_check_says_of_real_money_what_a_placement_is_refused_with(real: Real, wish: dict[str, Any]) -> None:
    await real.switch(LIVE, "LIVE")
    command = real.house.placing(**wish)
    found = await checked(real.house, command)
    with pytest.raises((LiveNotEnabled, InvalidInput)) as refused:
        await real.house.ask(command)
    assert found.refusal == TradeRefusal(code=refused.value.code, detail=refused.value.detail)
    allowed = await checked(real.house, real.house.placing(by_program=True, account_id=NINE, broker_mode=LIVE))
    assert allowed.refusal is None


async def test_a_check_says_that_real_money_is_turned_off_as_a_placement_does(real: Real) -> None:
    house = real.house
    await real.switch(LIVE, "LIVE")
    house.deps = replace(house.deps, factory=replace(house.deps.factory, base_urls={Venue.PAPER: house.sim.url}))
    found = await checked(house, house.placing())
    assert found.refusal == TradeRefusal(
        code="live_not_enabled", detail="TRADIER_LIVE is turned off on this installation"
    )
