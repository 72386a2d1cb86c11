"""Modes and credentials: which token goes where, whose account is whose, and what nobody may take away."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from libs.broker.base import BrokerMode as Venue
from libs.common.errors import AppError, Conflict, InvalidInput, LiveNotEnabled, NotFound, UpstreamAuth
from libs.common.messages.accounts import RemoveCredentials
from libs.common.messages.orders import CloseTrade, StoreCredentials, TestCredentials, UpdateTradingSettings
from libs.common.messages.vocabulary import BrokerMode
from libs.common.testing import eventually
from libs.common.vault import Vault, new_key
from services.orders import handlers_credentials, handlers_settings, store_accounts
from services.orders.accounts import settled_in
from services.orders.store_requests import Account
from tests.integration.orders.house import KEY, House
from tests.integration.orders.outside import Sim

pytestmark = pytest.mark.integration

SANDBOX, LIVE, PAPER = BrokerMode.TRADIER_SANDBOX, BrokerMode.TRADIER_LIVE, BrokerMode.PAPER
NINE = "VA00000009"


async def store(house: House, mode: BrokerMode, token: str, account_id: str = NINE, **more: Any) -> dict[str, Any]:
    user = more.pop("user", house.user)
    command = StoreCredentials(broker_mode=mode, account_id=account_id, token=token, **more)
    return await handlers_credentials.store_credentials(command, house.context(user=user), house.deps)


async def remove(house: House, mode: BrokerMode, account_id: str, user: str | None = None) -> dict[str, Any]:
    command = RemoveCredentials(broker_mode=mode, account_id=account_id)
    return await handlers_credentials.remove_credentials(command, house.context(user=user or house.user), house.deps)


async def change(house: House, confirm: str | None = None, **changes: Any) -> store_accounts.StoredSettings:
    command = UpdateTradingSettings(changes=changes, confirm=confirm)
    return await handlers_settings.update_trading_settings(command, house.context(), house.deps)


async def known(house: House, mode: BrokerMode, account_id: str = NINE) -> Account | None:
    async with house.db.for_user(house.user) as unit:
        return await store_accounts.account(unit, f"{mode}:{account_id}")


@pytest.mark.parametrize(
    ("mode", "token", "theirs"), [(SANDBOX, "live-9", LIVE), (LIVE, "sandbox-9", SANDBOX)], ids=["sandbox", "live"]
)
async def test_a_token_of_the_other_environment_is_recognised_and_named(
    desk: House, mode: BrokerMode, token: str, theirs: BrokerMode
) -> None:
    for asked in (
        store(desk, mode, token, confirm="LIVE"),
        handlers_credentials.test_credentials(
            TestCredentials(broker_mode=mode, account_id=NINE, token=token), desk.context(), desk.deps
        ),
    ):
        with pytest.raises(InvalidInput) as refused:
            await asked
        assert refused.value.detail == (
            f"this is a token of {theirs}, not of {mode}: each environment has tokens of its own"
        )
    assert await known(desk, mode) is None


async def test_a_token_that_neither_environment_knows_is_only_refused(desk: House) -> None:
    with pytest.raises(UpstreamAuth, match="refused the token"):
        await store(desk, SANDBOX, "bad-9")


async def test_an_environment_that_hangs_or_is_not_offered_does_not_keep_the_refusal_back(desk: House) -> None:
    settings = desk.deps.settings.model_copy(update={"counterpart_s": 0.2})
    desk.deps = replace(desk.deps, settings=settings)
    live = Sim(desk.deps.factory.base_urls[Venue.TRADIER_LIVE])
    await live.control("faults", match={"method": "GET", "path": "profile"}, kind="hang", times=5, delay_ms=5000)
    with pytest.raises(UpstreamAuth):
        await store(desk, SANDBOX, "live-9")
    await live.clear_faults()
    await live.aclose()
    urls = {Venue.TRADIER_SANDBOX: desk.sim.url}
    desk.deps = replace(desk.deps, factory=replace(desk.deps.factory, base_urls=urls))
    with pytest.raises(UpstreamAuth):
        await store(desk, SANDBOX, "live-9")


async def test_a_token_that_opens_another_account_is_refused_and_tells_which_it_opens(desk: House) -> None:
    with pytest.raises(InvalidInput, match="does not open account VA00000009; it opens VA00000008"):
        await store(desk, SANDBOX, "sandbox-8")


async def test_live_credentials_need_the_typed_word_and_an_installation_that_offers_live(desk: House) -> None:
    for word in (None, "live", "yes"):
        with pytest.raises(InvalidInput, match="LIVE"):
            await store(desk, LIVE, "live-9", confirm=word)
    assert (await store(desk, LIVE, "live-9", confirm="LIVE"))["broker_mode"] is LIVE
    urls = {Venue.PAPER: desk.sim.url}
    desk.deps = replace(desk.deps, factory=replace(desk.deps.factory, base_urls=urls))
    with pytest.raises(LiveNotEnabled, match="turned off"):
        await store(desk, LIVE, "live-9", confirm="LIVE")
    with pytest.raises(LiveNotEnabled, match="turned off"):
        await change(desk, confirm="LIVE", broker_mode="TRADIER_LIVE")


async def test_switching_to_live_needs_the_typed_word_and_puts_signals_into_review(desk: House) -> None:
    await store(desk, LIVE, "live-9", confirm="LIVE")
    await change(desk, signal_mode="auto")
    for word in (None, "live", ""):
        with pytest.raises(InvalidInput, match="LIVE"):
            await change(desk, confirm=word, broker_mode="TRADIER_LIVE")
    switched = await change(desk, confirm="LIVE", broker_mode="TRADIER_LIVE", signal_mode="auto")
    assert (switched.broker_mode, switched.account_id, switched.signal_mode) == (LIVE, NINE, "review")
    with pytest.raises(InvalidInput, match="LIVE"):
        await change(desk, signal_mode="auto")
    assert (await change(desk, confirm="LIVE", signal_mode="auto")).signal_mode == "auto"


async def test_no_account_of_real_money_is_chosen_that_nobody_named(desk: House) -> None:
    await store(desk, LIVE, "live-9", confirm="LIVE")
    await store(desk, LIVE, "live-8", account_id="VA00000008", confirm="LIVE")
    with pytest.raises(InvalidInput, match="you have 2 accounts of TRADIER_LIVE; name the one that is meant"):
        await change(desk, broker_mode="TRADIER_LIVE", confirm="LIVE")
    assert (await settled_in(desk.deps, desk.user)).broker_mode is PAPER
    await change(desk, broker_mode="TRADIER_LIVE", account_id=NINE, confirm="LIVE")
    await remove(desk, LIVE, NINE)
    assert (await change(desk, max_positions=4)).account_id is None
    with pytest.raises(InvalidInput, match="no TRADIER_LIVE account is chosen; choose one"):
        await desk.place()
    assert (await change(desk, account_id="VA00000008")).account_id == "VA00000008"


async def test_an_account_is_one_users_for_good_and_the_refusal_does_not_say_whose(desk: House) -> None:
    await store(desk, SANDBOX, "sandbox-9", account_name="Rainy day")
    for _ in range(2):
        with pytest.raises(Conflict) as refused:
            await store(desk, SANDBOX, "sandbox-9", user="mallory")
        assert desk.user not in refused.value.detail
        assert "Rainy day" not in refused.value.detail
        if await known(desk, SANDBOX):
            await remove(desk, SANDBOX, NINE)
    with pytest.raises(NotFound):
        await remove(desk, SANDBOX, NINE, user="mallory")


async def test_removed_credentials_leave_no_token_behind_and_can_be_stored_again(desk: House) -> None:
    await store(desk, SANDBOX, "sandbox-9")
    await store(desk, SANDBOX, "sandbox-8", account_id="VA00000008")
    await change(desk, broker_mode="TRADIER_SANDBOX", account_id=NINE)
    await remove(desk, SANDBOX, NINE)
    async with desk.admin() as admin:
        row = await admin.fetchrow("select * from orders.credentials where account_key = $1", f"{SANDBOX}:{NINE}")
    assert row is not None
    assert row["token_ciphertext"] is None
    settings = await settled_in(desk.deps, desk.user)
    assert settings.account_id == "VA00000008", "the other account of the mode is chosen"
    with pytest.raises(NotFound):
        await remove(desk, SANDBOX, NINE)
    with pytest.raises(InvalidInput):
        await change(desk, account_id=NINE)
    await store(desk, SANDBOX, "sandbox-9")
    told = [data for topic, data in await desk.facts() if topic == "credentials_changed"]
    assert [fact["removed"] for fact in told][-3:] == [False, True, False]
    async with desk.admin() as admin:
        versions = await admin.fetch(
            "select key_version from orders.outbox where key = $1 order by id", f"{SANDBOX}:{NINE}"
        )
    assert [row["key_version"] for row in versions] == [1, 2, 3], "news of the account never goes back"


async def test_what_was_changed_while_a_token_was_checked_is_not_undone_when_it_is_stored(desk: House) -> None:
    await change(desk, broker_mode="TRADIER_SANDBOX")
    assert (await settled_in(desk.deps, desk.user)).account_id is None
    match = {"method": "GET", "path": "profile"}
    await desk.sim.control("faults", match=match, kind="slow", times=1, delay_ms=400)
    before = len(await desk.sim.requests())
    storing = asyncio.create_task(store(desk, SANDBOX, "sandbox-9"))

    async def is_asked() -> bool:
        return len(await desk.sim.requests()) > before

    await eventually(is_asked)
    assert not storing.done()
    await change(desk, max_positions=3)
    await storing
    settings = await settled_in(desk.deps, desk.user)
    assert (settings.max_positions, settings.account_id) == (3, NINE)


async def test_a_token_that_is_stored_does_not_bring_back_the_real_money_that_was_left_meanwhile(desk: House) -> None:
    await change(desk, broker_mode="TRADIER_LIVE", confirm="LIVE")
    live = Sim(desk.deps.factory.base_urls[Venue.TRADIER_LIVE])
    match = {"method": "GET", "path": "profile"}
    await live.control("faults", match=match, kind="slow", times=1, delay_ms=400)
    storing = asyncio.create_task(store(desk, LIVE, "live-9", confirm="LIVE"))

    async def is_asked() -> bool:
        return bool(await live.requests())

    await eventually(is_asked)
    assert not storing.done()
    await change(desk, broker_mode="PAPER")
    await storing
    await live.aclose()
    assert (await settled_in(desk.deps, desk.user)).broker_mode is PAPER
    assert await known(desk, LIVE) is not None


async def test_while_a_trade_is_open_its_token_is_renewed_but_neither_replaced_nor_removed(desk: House) -> None:
    await desk.sim.control("toggles", token_prefix="")
    trade = await desk.protected()
    number = desk.account_id.removeprefix("VA").lstrip("0")
    with pytest.raises(Conflict, match="1 trade is open"):
        await remove(desk, PAPER, desk.account_id)
    with pytest.raises(InvalidInput, match="does not open"):
        await store(desk, PAPER, "another-77", account_id=desk.account_id)
    renewed = f"renewed-{number}"
    await store(desk, PAPER, renewed, account_id=desk.account_id)
    now = await known(desk, PAPER, desk.account_id)
    assert now is not None
    assert now.token_ciphertext is not None
    assert Vault(KEY).open(now.token_ciphertext, now.account_key) == renewed
    assert (await desk.trade(trade["id"]))["status"] == "FILLED"
    row = await desk.trade(trade["id"])
    await desk.ask(CloseTrade(idempotency_key="end", trade_id=trade["id"], version=row["version"]))
    await desk.until(trade["id"], status="CLOSED")

    async def removable() -> bool:
        try:
            await remove(desk, PAPER, desk.account_id)
        except Conflict:
            return False
        return True

    await eventually(removable)


async def test_a_token_sealed_with_a_key_that_is_not_at_hand_is_a_clear_refusal_and_comes_back_with_the_key(
    house: House,
) -> None:
    right = house.deps
    house.deps = replace(right, vault=Vault(new_key()))
    with pytest.raises(AppError) as refused:
        await house.place()
    assert isinstance(refused.value, UpstreamAuth)
    assert "cannot be opened with this installation's keys" in refused.value.detail
    assert await house.only_trade() is None
    house.deps = right
    assert (await house.place())["status"] in ("OPEN", "FILLED")


async def test_a_ciphertext_moved_to_another_row_does_not_open_there(desk: House) -> None:
    await store(desk, SANDBOX, "sandbox-9")
    await store(desk, SANDBOX, "sandbox-8", account_id="VA00000008")
    async with desk.admin() as admin:
        await admin.execute(
            "update orders.credentials set token_ciphertext = "
            "(select token_ciphertext from orders.credentials where account_key = $1) where account_key = $2",
            f"{SANDBOX}:VA00000008",
            f"{SANDBOX}:{NINE}",
        )
    with pytest.raises(UpstreamAuth, match="cannot be opened"):
        await handlers_credentials.test_credentials(
            TestCredentials(broker_mode=SANDBOX, account_id=NINE), desk.context(), desk.deps
        )
