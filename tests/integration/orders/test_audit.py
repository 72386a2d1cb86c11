"""Who changed which rule of an account: kept with the change, never altered, never with a token."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest
from sqlalchemy import delete, update

from libs.common import cursor
from libs.common.errors import InvalidInput, InvariantBroken
from libs.common.messages.accounts import ListAudit
from libs.common.messages.orders import StoreCredentials, UpdateTradingSettings
from libs.common.messages.vocabulary import BrokerMode
from services.orders import handlers_audit, handlers_credentials, handlers_settings, store_audit
from services.orders.tables_audit import audit
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration

TOKEN = "another-token-7"


async def entries(house: House, **asked: Any) -> list[dict[str, Any]]:
    raw = await handlers_audit.list_audit(ListAudit(**asked), house.context(), house.deps)
    return list(orjson.loads(raw)["entries"])


async def change(house: House, **changes: Any) -> None:
    command = UpdateTradingSettings(changes=changes)
    await handlers_settings.update_trading_settings(command, house.context(via="the page, 10.1.2.3"), house.deps)


async def test_a_change_of_limits_is_kept_with_before_and_after_and_where_it_came_from(house: House) -> None:
    await change(house, max_positions=3, naked_policy="flatten")
    told = {line["kind"]: line for line in await entries(house)}
    limits = told["limits_changed"]
    assert limits["data"] == {"before": {"max_positions": 1000}, "after": {"max_positions": 3}}
    assert limits["text"] == "max_positions from 1000 to 3"
    assert (limits["actor"], limits["via"]) == (house.user, "the page, 10.1.2.3")
    assert told["settings_changed"]["data"]["after"] == {"naked_policy": "flatten"}


async def test_a_change_that_changes_nothing_or_is_refused_leaves_no_line(house: House) -> None:
    before = await entries(house)
    await change(house, max_positions=1000)
    with pytest.raises(InvalidInput):
        await change(house, max_positions=-1)
    assert await entries(house) == before


async def test_stored_and_renewed_credentials_are_told_apart_and_no_token_is_in_the_audit(house: House) -> None:
    for token in (TOKEN, TOKEN):
        command = StoreCredentials(
            broker_mode=BrokerMode.PAPER, account_id="VA00000007", account_name="Second", token=token
        )
        await handlers_credentials.store_credentials(command, house.context(via="API key ops"), house.deps)
    renewed, stored = (await entries(house))[:2]
    assert [stored["kind"], renewed["kind"]] == ["credentials_stored", "credentials_renewed"]
    assert stored["text"] == "credentials of PAPER account VA00000007 (Second) stored"
    assert TOKEN not in str(await entries(house))


async def test_pages_follow_each_other_without_a_gap_and_nobody_reads_anothers(house: House) -> None:
    for positions in range(1, 8):
        await change(house, max_positions=positions)
    whole = await entries(house, limit=200)
    read: list[dict[str, Any]] = []
    while found := await entries(
        house,
        limit=3,
        cursor=cursor.encode(datetime.fromisoformat(read[-1]["at"]), read[-1]["id"]) if read else None,
    ):
        read += found
    assert read == whole
    raw = await handlers_audit.list_audit(ListAudit(), house.context(user="somebody-else"), house.deps)
    assert orjson.loads(raw) == {"entries": []}


async def test_the_audit_can_be_added_to_and_through_neither_door_changed(house: House) -> None:
    for statement in (update(audit).values(text="nothing happened"), delete(audit)):
        for unit in (house.db.for_user(house.user), house.db.for_worker()):
            with pytest.raises(InvariantBroken, match="42501"):
                async with unit:
                    await unit.run(statement)
    with pytest.raises(InvariantBroken, match="42501"):
        async with house.db.for_user(house.user) as unit:
            await store_audit.audited(unit, "somebody-else", "limits_changed", "planted")
