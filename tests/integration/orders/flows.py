"""Every flow of the order path as a case: what there is before, what is asked, and its right ends.

A proof plays each of them with something going wrong at each of its marks; see `trials`.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.ids import new_id
from libs.common.messages.base import Command
from libs.common.messages.orders import AdjustTrade, CloseTrade, Entry, WithdrawTrade
from libs.common.messages.vocabulary import EntryType, Finding
from libs.market.options import OccSymbol, OptionType
from tests.integration.orders.house import House
from tests.integration.orders.plays import Ask, Before, End, Flow, Happen, Play

ORDERS = r"/accounts/[^/]+/orders$"
LOW = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90"))
DEEP = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50"))
NEW_YORK = ZoneInfo("America/New_York")
LAST_DAY = date(2026, 12, 18)
NEVER = ("not_placed", "never sent")


async def _recovered(house: House, play: Play) -> str | None:
    async with house.admin() as admin:
        found: str | None = await admin.fetchval(
            "select id from orders.trades where recovered_from = $1", play.trade_id
        )
    return found


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────


def _placing(**changes: Any) -> Ask:
    async def ask(house: House, play: Play) -> Command:
        return house.placing(**changes)

    return ask


async def _close(house: House, play: Play) -> Command:
    version = (await house.trade(play.trade_id))["version"]
    return CloseTrade(idempotency_key=new_id(), trade_id=play.trade_id, version=version)


async def _adjust(house: House, play: Play) -> Command:
    version = (await house.trade(play.trade_id))["version"]
    return AdjustTrade(idempotency_key=new_id(), trade_id=play.trade_id, version=version, new_tp=Decimal("7.00"))


async def _withdraw(house: House, play: Play) -> Command:
    return WithdrawTrade(idempotency_key=new_id(), trade_id=play.trade_id)


# ── what there is before ─────────────────────────────────────────────────────────────────────────────────────────────


async def _protected(house: House) -> str:
    return str((await house.protected())["id"])


def working(entry: Entry, **changes: Any) -> Before:
    async def before(house: House) -> str:
        trade = await house.place(entry=entry, **changes)
        assert trade["status"] == "OPEN"
        return str(trade["id"])

    return before


async def _partial(house: House) -> str:
    await house.fault("partial_fill", path=ORDERS, quantity=1)
    trade = await house.place(qty=3)
    await house.until(trade["id"], status="PARTIAL")
    return str(trade["id"])


async def _given_up(house: House) -> str:
    """Lose an entry's answer at a broker whose lists leave it out until it is settled as never placed."""
    await house.fault("empty_list", method="GET", path=ORDERS, times=1000)
    await house.fault("status_502_html", path=ORDERS)
    trade_id = str((await house.ask(house.placing(entry=LOW))).json()["id"])
    await house.until(trade_id, status="CLOSED", reason="not_placed", within_s=20)
    await house.sim.clear_faults(house.account_id)
    return trade_id


async def _partial_group(house: House) -> str:
    await house.fault("partial_fill", path=ORDERS, quantity=1)
    await house.pin("3.70", "3.80")
    trade = await house.place(qty=3, entry=LOW)
    await house.until(trade["id"], telling=True, status="PARTIAL")
    return str(trade["id"])


async def _unbid(house: House) -> str:
    trade = await house.protected(sl_price=None)
    await house.pin("0", "0.05")
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    await house.until(trade["id"], status="CLOSING")
    return str(trade["id"])


async def _closed_session(house: House) -> str:
    await house.sim.control("clock", session="open")
    trade_id = await _protected(house)
    await house.sim.control("clock", session="closed")
    return trade_id


async def _on_its_last_day(house: House) -> str:
    """Hold a contract of the day, in the afternoon."""
    await house.sim.control("clock", now=_at("14:00"), session="calendar", speed=1)
    await house.sim.control("price", symbol="AAPL", price="100")
    house.contract = OccSymbol("AAPL", LAST_DAY, OptionType.CALL, Decimal(100))
    await house.pin("4.00", "4.20")
    return await _protected(house)


def _at(clock: str) -> str:
    return datetime.fromisoformat(f"{LAST_DAY.isoformat()}T{clock}").replace(tzinfo=NEW_YORK).isoformat()


def _refusing(before: Before, times: int = 1) -> Before:
    """Let the broker refuse the next exits a moment after it received them."""

    async def refusing(house: House) -> str:
        trade_id = await before(house)
        await house.fault("reject_later", path=ORDERS, times=times, delay_ms=0)
        return trade_id

    return refusing


# ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def _session_opens(house: House, play: Play) -> None:
    if play.command is not None:
        await house.sim.control("clock", session="open")


async def _last_half_hour(house: House, play: Play) -> None:
    await house.sim.control("clock", now=_at("15:31"))


def _quoted(bid: str, ask: str) -> Happen:
    async def happens(house: House, play: Play) -> None:
        await house.pin(bid, ask)
        await house.sync()

    return happens


async def _target_reached(house: House, play: Play) -> None:
    await house.price("6.20")
    await house.sync()


async def told_of_news(house: House, play: Play) -> None:
    await house.sync()


async def _target_fills_in_part(house: House, play: Play) -> None:
    found = await house.sim.orders(house.account_id)
    groups = [order["leg"] for order in found if order["class"] == "oco"]
    if len(groups) == 1 and not any(leg["exec_quantity"] for leg in groups[0]):
        [target] = [leg for leg in groups[0] if leg["type"] == "limit"]
        await house.happens("fill", order_id=target["id"], quantity=1)
    await house.sync()


async def _exits_cancelled_by_hand(house: House, play: Play) -> None:
    found = await house.sim.orders(house.account_id)
    brackets = [order for order in found if order["class"] == "oco"]
    if len(brackets) == 1 and brackets[0]["status"] == "open":
        await house.sim.control("events", kind="manual_cancel", account=house.account_id, order_id=brackets[0]["id"])
    await house.sync()


async def _both_legs_execute(house: House, play: Play) -> None:
    found = await house.sim.orders(house.account_id)
    brackets = [order for order in found if order["class"] == "oco" and order["status"] == "open"]
    if brackets:
        await house.happens("double_fill", order_id=brackets[0]["id"])
    await house.sync()


async def _sold_by_hand(house: House, play: Play) -> None:
    found = await house.sim.orders(house.account_id)
    brackets = [order for order in found if order["class"] == "oco" and order["status"] == "open"]
    if brackets and not house.theirs:
        await house.happens("manual_cancel", order_id=brackets[0]["id"])
    by_hand = [order["id"] for order in found if order["side"] == "sell_to_close" and order["tag"] is None]
    house.theirs.update(by_hand)
    if not by_hand:
        await house.by_hand(side="sell_to_close", quantity=2)
    await house.repair(play.trade_id, Finding.VANISHED)


# ── right ends ───────────────────────────────────────────────────────────────────────────────────────────────────────


def protects(**wanted: Any) -> End:
    def ends(row: dict[str, Any]) -> bool:
        is_held = (row["status"], row["protection"]) == ("FILLED", "PROTECTED")
        return is_held and all(row[name] == value for name, value in wanted.items())

    return ends


def _protects_or_was_never_sent(row: dict[str, Any]) -> bool:
    return (row["status"] == "CLOSED" and row["reason"] in NEVER) or protects()(row)


def closes(*reasons: str, **wanted: Any) -> End:
    def ends(row: dict[str, Any]) -> bool:
        is_over = row["status"] == "CLOSED" and row["close_reason"] in reasons
        return is_over and all(row[name] == value for name, value in wanted.items())

    return ends


def _is_covered(row: dict[str, Any]) -> bool:
    bought = sum(order["filled_qty"] for order in row["orders"] if order["role"] in ("ENTRY", "COVER"))
    sold = sum(order["filled_qty"] for order in row["orders"] if order["role"] not in ("ENTRY", "COVER"))
    return closes("TP_HIT", "SL_HIT")(row) and bought == sold == 4


def _is_pending_again(row: dict[str, Any]) -> bool:
    """Say whether the entry works with the new exits behind it, or could not be sent again in time."""
    entries = [order["status"] for order in row["orders"] if order["role"] == "ENTRY"]
    never = row["status"] == "CLOSED" and row["reason"] in NEVER
    return row["tp_price"] == Decimal("7.00") and (never or entries == ["CANCELLED", "WORKING"])


def _has_two_brackets(row: dict[str, Any]) -> bool:
    return protects()(row) and sum(order["role"] == "STOP_LOSS" for order in row["orders"]) >= 2


def _exits_for_one(row: dict[str, Any]) -> bool:
    live = [order for order in row["orders"] if order["status"] in ("WORKING", "PARTIAL")]
    return len(live) == 2 and all(order["qty"] - order["filled_qty"] == 1 for order in live)


SENT = frozenset({"orders.send.marked", "orders.send.answered"})
MADE = SENT | {"orders.intent"}
CANCELLED = frozenset({"orders.cancel.marked", "orders.cancel.answered"})

GROUPED: dict[str, Any] = {"otoco": "limit_entries"}

FLOWS = (
    Flow(
        "place market",
        ask=_placing(),
        ends=_protects_or_was_never_sent,
        marks=MADE | {"orders.place.intent"},
    ),
    Flow(
        "place limit",
        ask=_placing(entry=LOW),
        happens=_quoted("3.70", "3.80"),
        ends=_protects_or_was_never_sent,
        marks=MADE | {"orders.place.intent"},
    ),
    Flow(
        "partial entry",
        before=_partial,
        settings={"partial_entry_grace_s": 1},
        happens=told_of_news,
        ends=protects(filled_qty=1),
        marks=CANCELLED | MADE,
    ),
    Flow(
        "stop passed",
        before=working(LOW, sl_price=Decimal("3.50")),
        happens=_quoted("3.20", "3.30"),
        ends=closes("SL_HIT"),
        marks=MADE,
    ),
    Flow(
        "flatten",
        before=_refusing(working(LOW)),
        settings={"naked_policy": "flatten"},
        happens=_quoted("3.70", "3.80"),
        ends=closes("FLATTENED"),
        marks=MADE,
    ),
    Flow(
        "repair",
        before=_protected,
        settings={"repair_delay_s": 0},
        happens=_exits_cancelled_by_hand,
        ends=_has_two_brackets,
        marks=MADE,
    ),
    Flow(
        "adjust",
        before=_protected,
        ask=_adjust,
        ends=protects(tp_price=Decimal("7.00")),
        marks=CANCELLED | MADE,
    ),
    Flow(
        "adjust refused",
        before=_refusing(_protected),
        ask=_adjust,
        ends=lambda row: _has_two_brackets(row) and row["tp_price"] == Decimal("6.00"),
        marks=CANCELLED | MADE,
        may_fail=True,
    ),
    Flow("close held", before=_protected, ask=_close, ends=closes("MANUAL_CLOSE"), marks=CANCELLED | MADE),
    Flow("close working", before=working(DEEP), ask=_close, ends=closes("CANCELLED"), marks=CANCELLED),
    Flow(
        "close partial",
        before=_partial,
        ask=_close,
        ends=closes("MANUAL_CLOSE", filled_qty=1),
        marks=CANCELLED | MADE,
    ),
    Flow(
        "target reached",
        before=_protected,
        happens=_target_reached,
        ends=closes("TP_HIT"),
        marks=frozenset(),
    ),
    Flow(
        "cover",
        before=_protected,
        happens=_both_legs_execute,
        ends=_is_covered,
        marks=MADE | {"orders.placecover.marked"},
    ),
    Flow(
        "sold by hand",
        before=_protected,
        happens=_sold_by_hand,
        ends=closes("CLOSED_AT_BROKER"),
        marks=frozenset({"orders.inspect.marked"}),
    ),
    Flow(
        "stop reached",
        before=_protected,
        happens=_quoted("2.90", "3.00"),
        ends=closes("SL_HIT"),
        marks=frozenset(),
    ),
    Flow(
        "partial exit",
        before=_protected,
        happens=_target_fills_in_part,
        ends=lambda row: protects()(row) and _exits_for_one(row),
        marks=MADE,
    ),
    Flow(
        "recovered entry",
        before=_given_up,
        happens=_quoted("3.70", "3.80"),
        subject=_recovered,
        ends=protects(),
        marks=MADE,
    ),
    Flow(
        "queued close",
        before=_closed_session,
        ask=_close,
        happens=_session_opens,
        ends=closes("MANUAL_CLOSE"),
        marks=CANCELLED | MADE,
        alone=True,
    ),
    Flow(
        "expiry",
        before=_on_its_last_day,
        happens=_last_half_hour,
        ends=closes("FLATTENED"),
        marks=CANCELLED | MADE,
        alone=True,
    ),
)

GROUP_FLOWS = (
    Flow(
        "place group",
        settings=GROUPED,
        ask=_placing(entry=LOW),
        happens=_quoted("3.70", "3.80"),
        ends=_protects_or_was_never_sent,
        marks=SENT | {"orders.place.intent"},
    ),
    Flow(
        "partial group",
        before=_partial_group,
        settings=GROUPED | {"partial_entry_grace_s": 1},
        happens=told_of_news,
        ends=protects(filled_qty=1),
        marks=CANCELLED | MADE,
    ),
    Flow("close group", before=working(DEEP), settings=GROUPED, ask=_close, ends=closes("CANCELLED"), marks=CANCELLED),
    Flow(
        "adjust group",
        before=working(DEEP),
        settings=GROUPED,
        ask=_adjust,
        happens=told_of_news,
        ends=_is_pending_again,
        marks=CANCELLED | MADE,
    ),
    Flow(
        "group taken down",
        before=working(LOW, sl_price=Decimal("3.50")),
        settings=GROUPED,
        happens=_quoted("3.20", "3.30"),
        ends=closes("SL_HIT"),
        marks=MADE,
    ),
    Flow(
        "withdraw unbid close",
        before=_unbid,
        ask=_withdraw,
        happens=told_of_news,
        ends=protects(tp_price=Decimal("6.00")),
        marks=CANCELLED | MADE,
    ),
)
"""A limit entry sent with its exits, and a close taken back: proven where a process dies."""


def named(*names: str) -> tuple[Flow, ...]:
    """Return flows by their names."""
    known = {flow.name: flow for flow in (*FLOWS, *GROUP_FLOWS)}
    return tuple(known[name] for name in names)
