"""What evidence cannot settle waits for a person, and what they say is checked at the broker before it counts."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from libs.common.errors import AppError, IdempotencyMismatch, IllegalTransition, InvalidInput, NotFound
from libs.common.handlers import Reply
from libs.common.ids import new_id
from libs.common.messages.orders import ResolveTrade
from libs.common.messages.vocabulary import Severity
from libs.common.testing import eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration

PLACING = r"/accounts/[^/]+/orders$"


def resolving(trade: dict[str, Any], order_id: str | None, **changes: Any) -> ResolveTrade:
    values: dict[str, Any] = {"idempotency_key": new_id(), "trade_id": trade["id"], "broker_order_id": order_id}
    return ResolveTrade(**values | changes)


async def unsettled(house: House, kind: str) -> dict[str, Any]:
    """Place a market entry whose answer is lost while no list shows an order; wait until a person is asked."""
    await house.fault("empty_list", method="GET", path=PLACING, times=1000)
    await house.fault(kind, path=PLACING)
    trade = (await house.ask(house.placing())).json()
    return await doubted(house, trade["id"])


async def doubted(house: House, trade_id: str) -> dict[str, Any]:
    async def is_doubted() -> dict[str, Any] | None:
        row = await house.trade(trade_id)
        return row if any(order["doubt"] for order in row["orders"]) else None

    return cast("dict[str, Any]", await eventually(is_doubted, within_s=10))


async def by_hand(house: House, side: str, qty: int) -> None:
    await house.sim.control(
        "events", kind="manual_order", account=house.account_id, option_symbol=house.occ, side=side, quantity=qty
    )


async def concerns(house: House) -> list[tuple[str, str, str]]:
    async with house.database.admin() as admin:
        sql = "select kind, severity, text from orders.concerns where username = $1 and ended_at is null"
        return [(row["kind"], row["severity"], row["text"]) for row in await admin.fetch(sql, house.user)]


async def test_the_named_order_becomes_the_entry_and_is_protected(house: House) -> None:
    trade = await unsettled(house, "drop_after")
    assert "2 contracts more" in trade["orders"][0]["doubt"]
    ((kind, severity, text),) = await concerns(house)
    assert (kind, severity) == ("unsettled_order", Severity.ERROR)
    assert "name its order there" in text
    order = (await house.sim.orders(house.account_id))[0]
    command = resolving(trade, str(order["id"]))
    reply = await house.ask(command, via="a browser")
    assert (reply.status, reply.json()["tradier_order_id"]) == (200, str(order["id"]))
    assert reply.json()["orders"][0]["doubt"] is None
    assert reply.json()["version"] > trade["version"]
    await house.until(trade["id"], protection="PROTECTED", status="FILLED")
    assert not await concerns(house)
    again = await house.ask(command)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    with pytest.raises(IdempotencyMismatch):
        await house.ask(resolving(trade, None, idempotency_key=command.idempotency_key))
    with pytest.raises(IllegalTransition):
        await house.ask(resolving(trade, str(order["id"])))
    told = [line for line in await house.story(trade["id"]) if f"order {order['id']} is it" in line]
    assert len(told) == 1
    assert told[0].startswith(house.user)
    await check(house)


async def test_none_is_refused_while_something_was_bought_and_said_what(house: House) -> None:
    trade = await unsettled(house, "drop_after")
    with pytest.raises(InvalidInput, match=r"2 of .* more than is explained"):
        await house.ask(resolving(trade, None))
    assert (await house.trade(trade["id"]))["status"] == "OPEN"


async def test_none_ends_an_entry_that_never_was_beside_what_was_bought_by_hand(house: House) -> None:
    trade = await _moved(house)
    reply = await house.ask(resolving(trade, None))
    assert (reply.json()["status"], reply.json()["close_reason"]) == ("CLOSED", "REJECTED")
    assert (await house.trade(trade["id"]))["reason"] == "not_placed"
    assert not await concerns(house)


@pytest.mark.parametrize("named", ["999999", "x", "../../user", "9" * 40])
async def test_an_order_that_the_broker_does_not_know_is_refused(house: House, named: str) -> None:
    trade = await _moved(house)
    with pytest.raises(InvalidInput):
        await house.ask(resolving(trade, named))


async def _moved(house: House) -> dict[str, Any]:
    """Lose an entry before it is there while somebody buys one by hand, which no list shows yet."""
    await house.fault("empty_list", method="GET", path=PLACING, times=1000)
    await house.fault("drop_before", path=PLACING)
    trade = (await house.ask(house.placing())).json()
    await by_hand(house, "buy_to_open", 1)
    found = await doubted(house, trade["id"])
    await house.sim.clear_faults(house.account_id)
    return found


async def test_an_order_of_another_trade_or_shape_is_refused(house: House) -> None:
    trade = await _moved(house)
    hand = (await house.sim.orders(house.account_id))[0]
    with pytest.raises(InvalidInput, match="buy_to_open 1"):
        await house.ask(resolving(trade, str(hand["id"])))
    with pytest.raises(NotFound):
        await house.ask(resolving({"id": "nobodys"}, None))


async def test_of_ten_answers_at_once_one_counts(house: House) -> None:
    trade = await unsettled(house, "drop_after")
    order = str((await house.sim.orders(house.account_id))[0]["id"])
    ends = await asyncio.gather(*(house.ask(resolving(trade, order)) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(end, Reply) for end in ends) == 1, ends
    assert all(isinstance(end, Reply | IllegalTransition) for end in ends if isinstance(end, Reply | AppError))
    await house.until(trade["id"], protection="PROTECTED")
    assert len(await house.sim.orders(house.account_id)) == 2
