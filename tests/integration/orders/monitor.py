"""Monitor played by the test: what the broker shows, told as facts in whatever order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from libs.broker.orders import OrderReport
from libs.common.handlers import Context
from libs.common.ids import new_id
from libs.common.messages.monitor import OrderChanged
from libs.common.messages.vocabulary import BrokerMode
from services.orders import handlers_facts
from services.orders.reading import _PENDING, _WORDS, _role_of

if TYPE_CHECKING:
    from tests.integration.orders.house import House

_versions: dict[str, int] = {}


async def tell_all(house: House, *, backwards: bool = False) -> None:
    """Read the account's orders and tell each; backwards the newest first."""
    settings = house.deps.settings
    async with house.db.for_user(house.user) as unit:
        from services.orders import store_accounts

        account = (await store_accounts.accounts_of(unit, house.user))[0]
    broker = house.deps.broker(BrokerMode.PAPER, account.account_id, account.token_ciphertext)
    assert settings.simulator_url
    facts = facts_of(house, await broker.orders())
    for fact in reversed(facts) if backwards else facts:
        await tell(house, fact)


def facts_of(house: House, reports: Iterable[OrderReport]) -> list[OrderChanged]:
    """Write a fact for each order that can execute."""
    told = ((leg, top) for top in reports for leg in top.flat())
    return [_fact(house, leg, top) for leg, top in told if leg.exec_qty or leg.status not in _PENDING]


async def tell(house: House, fact: OrderChanged) -> None:
    """Hand a fact to orders."""
    version = _versions[fact.order_key] = _versions.get(fact.order_key, 0) + 1
    ctx = Context(
        id=new_id(),
        user=house.user,
        correlation_id="m",
        occurred_at=datetime.now(UTC),
        key=fact.order_key,
        key_version=version,
        consumer="orders-broker",
    )
    await handlers_facts.on_order_changed(fact, ctx, house.deps)


def _fact(house: House, leg: OrderReport, top: OrderReport) -> OrderChanged:
    return OrderChanged(
        order_key=f"PAPER:{house.account_id}:{leg.id}",
        broker_mode=BrokerMode.PAPER,
        account_id=house.account_id,
        broker_order_id=leg.id,
        parent_broker_order_id=top.id if top.id != leg.id else None,
        tag=top.tag or leg.tag,
        role=_role_of(leg) if top.id != leg.id else None,
        occ_symbol=leg.occ_symbol,
        status=_WORDS[leg.status],
        qty=leg.qty,
        filled_qty=leg.exec_qty,
        avg_fill_price=leg.avg_fill_price,
        reason=leg.reason or top.reason,
        broker_at=leg.transaction_at,
        seen_at=datetime.now(UTC),
    )
