"""Every flow of the order path as a case: what there is before, what is asked, and its right ends.

A proof plays each of them with something going wrong at each of its marks; see `trials`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from libs.common.ids import new_id
from libs.common.messages.base import Command
from libs.common.messages.orders import AdjustTrade, CloseTrade, Entry, WithdrawTrade
from libs.common.messages.vocabulary import EntryType, Finding
from libs.common.testing import eventually
from tests.integration.orders.house import House

ORDERS = r"/accounts/[^/]+/orders$"
LOW = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90"))
DEEP = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50"))
NEVER = ("not_placed", "never sent")


@dataclass
class Play:
    """One performance: the trade it is about, and what was asked."""

    trade_id: str = ""
    command: Command | None = None


Before = Callable[[House], Awaitable[str]]
Ask = Callable[[House, Play], Awaitable[Command]]
Happen = Callable[[House, Play], Awaitable[None]]
End = Callable[[dict[str, Any]], bool]


async def _nothing(house: House) -> str:
    return ""


async def _no_event(house: House, play: Play) -> None:
    """Nothing happens but what is asked."""


@dataclass(frozen=True)
class Flow:
    """One flow. Its begin is a command, or an event at the broker that the world is told of."""

    name: str
    ends: End
    marks: frozenset[str]
    """Those it must pass; a proof that missed one would prove less than it says."""
    before: Before = _nothing
    ask: Ask | None = None
    happens: Happen = _no_event
    """What the market or somebody at the broker does. Idempotent: repeated until the flow is at its end."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    may_fail: bool = False
    """The caller is told a refusal, and that is right."""

    def __str__(self) -> str:
        """Name it."""
        return self.name

    async def prepare(self, house: House) -> Play:
        """Bring everything to where the flow begins."""
        if self.settings:
            await house.prefer(**self.settings)
        return Play(await self.before(house))

    async def begin(self, house: House, play: Play) -> None:
        """Ask what begins the flow; asking again uses the same key."""
        if self.ask is not None and play.command is None:
            play.command = await self.ask(house, play)
        if play.command is not None:
            await house.ask(play.command)
        await self.happens(house, play)

    async def end(self, house: House, play: Play, within_s: float = 20.0) -> dict[str, Any]:
        """Wait for a right end at which nothing runs any more, and return the trade."""
        ended: list[dict[str, Any]] = []

        async def is_over() -> bool:
            play.trade_id = play.trade_id or await house.only_trade() or ""
            if not play.trade_id:
                return False
            await self.happens(house, play)
            ended[:] = [await house.trade(play.trade_id)]
            return self.ends(ended[0]) and await house.is_at_rest(play.trade_id)

        try:
            await eventually(is_over, within_s=within_s, every_s=0.05)
        except AssertionError:
            raise AssertionError(f"{self.name} ended as {await told(house, play)}") from None
        return ended[0]


async def told(house: House, play: Play) -> Any:
    """Word where a trade stands and how it came there."""
    if not play.trade_id:
        return "nothing stored"
    row = await house.trade(play.trade_id)
    names = ("status", "protection", "close_reason", "reason", "filled_qty", "sl_price", "tp_price")
    orders = [f"{o['role']} {o['status']} {o['filled_qty']}/{o['qty']}" for o in row["orders"]]
    return {name: row[name] for name in names} | {"orders": orders, "story": await house.story(play.trade_id)}


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


def _refusing(before: Before, times: int = 1) -> Before:
    """Let the broker refuse the next exits a moment after it received them."""

    async def refusing(house: House) -> str:
        trade_id = await before(house)
        await house.fault("reject_later", path=ORDERS, times=times, delay_ms=0)
        return trade_id

    return refusing


# ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _quoted(bid: str, ask: str) -> Happen:
    async def happens(house: House, play: Play) -> None:
        await house.pin(bid, ask)
        await house.sync()

    return happens


async def _target_reached(house: House, play: Play) -> None:
    await house.price("6.20")
    await house.sync()


async def _told_of_news(house: House, play: Play) -> None:
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
        happens=_told_of_news,
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
        marks=frozenset({"orders.rest"}),
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
        happens=_told_of_news,
        ends=protects(filled_qty=1),
        marks=CANCELLED | MADE,
    ),
    Flow("close group", before=working(DEEP), settings=GROUPED, ask=_close, ends=closes("CANCELLED"), marks=CANCELLED),
    Flow(
        "adjust group",
        before=working(DEEP),
        settings=GROUPED,
        ask=_adjust,
        happens=_told_of_news,
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
        happens=_told_of_news,
        ends=protects(tp_price=Decimal("6.00")),
        marks=CANCELLED | MADE,
    ),
)
"""A limit entry sent with its exits, and a close taken back: proven where a process dies."""
