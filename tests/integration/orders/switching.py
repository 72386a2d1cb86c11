"""The kill switch as tests turn it, and what must hold when it has done its work."""

from __future__ import annotations

from typing import Any

from libs.common.messages.safety import GetKillSwitch, KillAction, KillState, KillSwitch
from libs.common.testing import eventually
from services.orders import handlers_safety
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

LISTS = ("closing", "queued_for_open", "unknown", "failed", "settling", "foreign")


async def engage(house: House, **context: Any) -> KillState:
    """Engage the switch of the house's user."""
    return await handlers_safety.kill_switch(KillSwitch(action=KillAction.ENGAGE), house.context(**context), house.deps)


async def release(house: House) -> KillState:
    """Release it."""
    return await handlers_safety.kill_switch(KillSwitch(action=KillAction.RELEASE), house.context(), house.deps)


async def state(house: House) -> KillState:
    """Read where everything stands."""
    return await handlers_safety.get_kill_switch(GetKillSwitch(), house.context(), house.deps)


def listed(found: KillState) -> dict[str, list[str]]:
    """Name the contracts in each list that is not empty."""
    return {name: [row.occ_symbol for row in getattr(found, name)] for name in LISTS if getattr(found, name)}


async def until_listed(house: House, within_s: float = 8.0, **wanted: int) -> KillState:
    """Wait until so many rows stand in each list, and none in the others."""

    async def shows() -> bool:
        return {name: len(rows) for name, rows in listed(await state(house)).items()} == wanted

    try:
        await eventually(shows, within_s=within_s)
    except AssertionError:
        raise AssertionError(f"the lists are {await state(house)}, wanted {wanted}") from None
    return await state(house)


async def trades(house: House) -> list[dict[str, Any]]:
    """Read every trade of the user."""
    async with house.admin() as admin:
        return [dict(row) for row in await admin.fetch("select * from orders.trades where username = $1", house.user)]


async def told(house: House) -> list[dict[str, Any]]:
    """List what was said of the switch, oldest first."""
    return [data for topic, data in await house.facts() if topic == "kill_switch_changed"]


async def nothing_fires_on_release(house: House) -> None:
    """Hold that all is over, that releasing sends nothing, and that the job ends."""
    await check(house)
    before = await house.sim.writes(house.account_id)
    assert not (await release(house)).engaged

    async def job_is_over() -> bool:
        async with house.admin() as admin:
            sql = "select count(*) from orders.jobs where kind = 'kill' and key = $1 and due_at < 'infinity'"
            return not await admin.fetchval(sql, house.user)

    await eventually(job_is_over)
    assert await house.sim.writes(house.account_id) == before, "releasing sent something"
