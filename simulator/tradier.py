"""Tradier's account side: profile, balances, positions, orders, the stream's session."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import orjson

from simulator import risk, rules, wire
from simulator.book import Order, Status
from simulator.calendar import eastern
from simulator.edge import (
    INVALID_TOKEN,
    WRONG_ENVIRONMENT,
    Ask,
    Reply,
    Route,
    Scope,
    headers_of,
    json_reply,
    route,
    text_reply,
)
from simulator.exchange import Finalized
from simulator.ledger import between, gain_and_loss, history
from simulator.rules import BadParameter, Leg, Refused, Ticket, is_true
from simulator.world import World

PARTNER = "c4998eb7-06e8-4820-a7ab-55d9760065fb"
LISTS_KEPT = 256
LARGEST_PAGE = 1000


def check(world: World, scope: Scope, ask: Ask, token: str) -> Reply | None:
    """Turn away who has no token, no right to the account, or no wish for JSON."""
    if not token or token.startswith("bad"):
        return INVALID_TOKEN
    if not token.startswith(world.toggles.token_prefix):
        return WRONG_ENVIRONMENT
    parts = ask.path.split("/")
    if len(parts) > 4 and parts[2] == "accounts" and parts[3] not in ("events", ask.account):
        return text_reply(401, f"Unauthorized Account: {parts[3]}")
    if b"application/json" not in headers_of(scope).get(b"accept", b""):
        return text_reply(406, "Only application/json is served; send an Accept header that says so.")
    return None


def profile(world: World, ask: Ask) -> Reply:
    """Tell whose token it is."""
    account = world.exchange.account(ask.account)
    world.commit()
    created = wire.iso_instant(account.created_at)
    body = {
        "account_number": account.id,
        "classification": "individual",
        "date_created": created,
        "day_trader": False,
        "option_level": 4,
        "status": "active",
        "type": "margin",
        "last_update_date": created,
    }
    return json_reply({"profile": {"id": f"id-{account.id.lower()}", "name": f"Trader {account.id}", "account": body}})


def balances(world: World, ask: Ask) -> Reply:
    """Tell an account's money."""
    world.tell_time()
    account = world.exchange.account(ask.account)
    return json_reply(wire.render_balances(world.exchange, account, risk.reserved(world.exchange, account.id)))


def positions(world: World, ask: Ask) -> Reply:
    """List what an account holds."""
    world.tell_time()
    held = list(world.exchange.account(ask.account).positions.values())
    if ask.fault and ask.fault.kind in ("empty_list", "half_page"):
        held = held[: len(held) // 2] if ask.fault.kind == "half_page" else []
    return json_reply(wire.collection("positions", "position", [wire.render_position(one) for one in held]))


def _paged(ask: Ask, items: list[Any], default: int) -> list[Any]:
    try:
        page, limit = int(ask.params.get("page") or 1), int(ask.params.get("limit") or default)
    except ValueError:
        raise rules.invalid("page") from None
    if page < 1 or limit < 1:
        raise rules.invalid("page" if page < 1 else "limit")
    limit = min(limit, LARGEST_PAGE)
    return items[(page - 1) * limit : page * limit]


def _listed(world: World, account: str) -> list[Order]:
    """List the orders of this New York day, and older good-till-cancelled ones where the toggle says so."""
    exchange = world.exchange
    today = eastern(exchange.now).date()
    orders = (exchange.orders[order_id] for order_id in exchange.of_account[account])
    return [
        order
        for order in orders
        if eastern(order.created_at).date() == today or (exchange.toggles.gtc_listed and not order.is_terminal)
    ]


def list_orders(world: World, ask: Ask) -> Reply:
    """List the day's orders, a page at a time."""
    world.tell_time()
    kind = ask.fault.kind if ask.fault else None
    if kind == "stale_list":
        return Reply(200, world.served_lists.get(ask.account, orjson.dumps({"orders": "null"})))
    page = _paged(ask, _listed(world, ask.account), 25)
    if kind in ("empty_list", "half_page"):
        page = page[: len(page) // 2] if kind == "half_page" else []
    with_tags = is_true(ask.params.get("includeTags"))
    rendered = [wire.render_order(world.exchange, order, with_tags=with_tags) for order in page]
    body = orjson.dumps(wire.collection("orders", "order", rendered))
    if kind is None:
        world.served_lists.pop(ask.account, None)
        world.served_lists[ask.account] = body
        if len(world.served_lists) > LISTS_KEPT:
            del world.served_lists[next(iter(world.served_lists))]
    return Reply(200, body)


def _own_order(world: World, ask: Ask) -> Order | None:
    text = ask.parts[1]
    order = world.exchange.orders.get(int(text)) if text.isdigit() and len(text) < 18 else None
    return order if order and order.account == ask.account else None


def _unknown(ask: Ask) -> Reply:
    return text_reply(401, f"Unauthorized Account: {ask.account}")


def one_order(world: World, ask: Ask) -> Reply:
    """Tell one order."""
    world.tell_time()
    order = _own_order(world, ask)
    if order is None:
        return _unknown(ask)
    with_tags = is_true(ask.params.get("includeTags"))
    return json_reply({"order": wire.render_order(world.exchange, order, with_tags=with_tags)})


def _accepted(order: Order) -> Reply:
    return json_reply({"order": {"id": order.id, "status": "ok", "partner_id": PARTNER}})


def _errors(refusal: Refused) -> Reply:
    errors = refusal.errors
    return json_reply({"errors": {"error": errors[0] if len(errors) == 1 else list(errors)}})


def place(world: World, ask: Ask) -> Reply:
    """Place an order, or preview one."""
    world.tell_time()
    exchange = world.exchange
    exchange.account(ask.account)
    ticket = rules.read_ticket(ask.params, market_entry_allowed=world.toggles.otoco_market)
    risk.check(exchange, ask.account, ticket)
    if is_true(ask.params.get("preview")):
        return _preview(world, ticket)
    kind = ask.fault.kind if ask.fault else ""
    cap = None
    if ask.fault and kind in ("partial_fill", "no_fill"):
        half = max(ticket.legs[0].quantity // 2, 1) if ask.fault.quantity is None else ask.fault.quantity
        cap = half if kind == "partial_fill" else 0
    late = kind == "reject_later"
    order = exchange.place(ask.account, ticket, cap=0 if late else cap)
    if ask.fault and late:
        exchange.refuse_later(order, order, "OmsInternalError", ask.fault.delay_s)
    elif ask.fault and cap is not None and ask.fault.delay_ms is not None:
        for leg in exchange.legs(order):
            exchange.uncap_later(leg, ask.fault.delay_ms)
    world.commit()
    return _accepted(order)


def _preview(world: World, ticket: Ticket) -> Reply:
    leg = ticket.legs[0]
    amount = risk.cost(world.exchange, leg)
    signed = -amount if leg.is_sell else amount
    body = {
        "status": "ok", "commission": 0, "cost": float(signed), "fees": 0, "symbol": leg.symbol,
        "quantity": leg.quantity, "side": leg.side, "type": leg.type, "duration": leg.duration, "result": True,
        "order_cost": float(signed), "margin_change": 0,
        "request_date": world.exchange.now.replace(tzinfo=None).isoformat(timespec="milliseconds"),
        "extended_hours": False, "class": ticket.kind, "strategy": "single" if len(ticket.legs) == 1 else ticket.kind,
        "day_trades": 0,
    }  # fmt: skip
    return json_reply({"order": body})


def cancel(world: World, ask: Ask) -> Reply:
    """Ask for the end of an order; of a leg, for the end of its group."""
    world.tell_time()
    order = _own_order(world, ask)
    if order is None:
        return _unknown(ask)
    world.exchange.cancel(order)
    world.exchange.changed_accounts.add(order.account)
    world.commit()
    return json_reply({"order": {"id": order.id, "status": "ok"}})


def modify(world: World, ask: Ask) -> Reply:
    """Change type, duration, price or stop of an order."""
    world.tell_time()
    order = _own_order(world, ask)
    if order is None:
        return _unknown(ask)
    if order.status is Status.REJECTED or order.is_terminal:
        raise Finalized(order.status)
    changed = ask.params.get("type", order.type)
    duration = ask.params.get("duration", order.duration)
    if changed not in rules.TYPES[1:] or duration not in ("day", "gtc"):
        raise rules.invalid("type" if changed not in rules.TYPES[1:] else "duration")
    price: Decimal | None = rules.read_money(ask.params, "price") or order.price
    stop: Decimal | None = rules.read_money(ask.params, "stop") or order.stop
    if "limit" in changed and price is None:
        raise rules.invalid("price")
    if "stop" in changed and stop is None:
        raise rules.invalid("stop")
    terms = Leg(order.symbol, order.option_symbol, order.side, order.quantity, changed, duration,
                price if "limit" in changed else None, stop if "stop" in changed else None)  # fmt: skip
    world.exchange.modify(order, terms)
    world.commit()
    return json_reply({"order": {"id": order.id, "status": "ok", "partner_id": PARTNER}})


def account_history(world: World, ask: Ask) -> Reply:
    """List what happened to an account's money: a day comes in when its night is over."""
    world.tell_time()
    today, shown = eastern(world.exchange.now).date(), world.toggles.history
    last = date.min if shown == "never" else today if shown == "at_once" else today - timedelta(days=1)
    first, until = (_day(ask, name) for name in ("start", "end"))
    entries = between(world.journal.entries(ask.account), first or date.min, min(until or last, last))
    events = history(entries, ask.params.get("type"), ask.params.get("symbol"))
    return json_reply(wire.collection("history", "event", _paged(ask, events, 25)))


def _day(ask: Ask, name: str) -> date | None:
    try:
        return date.fromisoformat(ask.params[name]) if ask.params.get(name) else None
    except ValueError:
        raise rules.invalid(name) from None


def gainloss(world: World, ask: Ask) -> Reply:
    """List the positions an account has closed."""
    closed = gain_and_loss(world.journal.entries(ask.account), ask.params.get("symbol"))
    return json_reply(wire.collection("gainloss", "closed_position", _paged(ask, closed, 100)))


def events_session(world: World, ask: Ask) -> Reply:
    """Open a session of the account stream on this host."""
    url = f"ws://{ask.host}/v1/accounts/events"
    return json_reply({"stream": {"url": url, "sessionid": world.hub.open_session(ask.account)}})


def _guarded(answer: Callable[[World, Ask], Reply]) -> Callable[[World, Ask], Reply]:
    """Word what the rules raise."""

    def guarded(world: World, ask: Ask) -> Reply:
        try:
            return answer(world, ask)
        except BadParameter as error:
            return text_reply(400, str(error))
        except Finalized as error:
            return text_reply(400, f"order already in finalized state: {error}")
        except Refused as error:
            return _errors(error)

    return guarded


ROUTES: list[Route] = [
    route(method, path, bucket, _guarded(answer))
    for method, path, bucket, answer in (
        ("GET", "/v1/user/profile", "standard", profile),
        ("GET", "/v1/user/balances", "standard", balances),
        ("GET", "/v1/accounts/{}/balances", "standard", balances),
        ("GET", "/v1/accounts/{}/positions", "standard", positions),
        ("GET", "/v1/accounts/{}/history", "standard", account_history),
        ("GET", "/v1/accounts/{}/gainloss", "standard", gainloss),
        ("GET", "/v1/accounts/{}/orders", "standard", list_orders),
        ("GET", "/v1/accounts/{}/orders/{}", "standard", one_order),
        ("POST", "/v1/accounts/{}/orders", "trading", place),
        ("PUT", "/v1/accounts/{}/orders/{}", "trading", modify),
        ("DELETE", "/v1/accounts/{}/orders/{}", "trading", cancel),
        ("POST", "/v1/accounts/events/session", "standard", events_session),
    )
]
