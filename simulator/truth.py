"""The truth at the broker: every order, every request, all the money."""

from decimal import Decimal
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from simulator import wire
from simulator.book import Order
from simulator.world import World


def answer(body: object, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def truth(world: World, order: Order) -> dict[str, Any]:
    """Word an order as it really is at the broker."""
    return {
        "account": order.account,
        "id": order.id,
        "class": order.kind,
        "status": order.status.value,
        "tag": order.tag,
        "symbol": order.symbol or None,
        "option_symbol": order.option_symbol,
        "side": order.side or None,
        "type": order.type or None,
        "price": _number(order.price),
        "stop": _number(order.stop),
        "quantity": order.quantity,
        "exec_quantity": order.executed,
        "avg_fill_price": _number(order.average),
        "reason": order.reason,
        "duration": order.duration or None,
        "create_date": wire.iso_instant(order.created_at),
        "transaction_date": wire.iso_instant(order.changed_at),
        "leg": [truth(world, leg) for leg in world.exchange.legs(order)] if order.is_group else [],
    }


async def orders(world: World, request: Request) -> Response:
    """List every order there ever was."""
    world.sync(budget_s=0)
    wanted = request.query_params.get("account")
    tops = (order for order in world.exchange.orders.values() if order.parent_id is None)
    return answer([truth(world, order) for order in tops if wanted in (None, order.account)])


async def requests(world: World, request: Request) -> Response:
    """List the requests received, oldest first."""
    wanted, method = request.query_params.get("account"), request.query_params.get("method")
    rows = [
        {"time": one.at.isoformat(), "method": one.method, "path": one.path, "token_hash": one.token_hash,
         "account": one.account, "tag": one.tag, "side": one.side}
        for one in world.requests
        if wanted in (None, one.account) and method in (None, one.method)
    ]  # fmt: skip
    return answer(rows)


async def cash(world: World, request: Request) -> Response:
    """Tell the money of each account."""
    world.sync(budget_s=0)
    wanted = request.query_params.get("account")
    rows = []
    for account in world.exchange.accounts.values():
        if wanted not in (None, account.id):
            continue
        values = wire.position_values(world.exchange, account)
        rows.append({
            "account": account.id,
            "cash": float(account.cash),
            "deposited": float(account.deposited),
            "position_value": float(sum(values.values(), Decimal(0))),
            "realized": float(account.realized),
            "positions": {name: held.quantity for name, held in account.positions.items()},
        })  # fmt: skip
    return answer(rows)
