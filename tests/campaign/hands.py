"""Carries out lives: a trade is placed as its owner means it, then things happen to it, ours, the market's, others'."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import httpx

from tests.campaign.asking import Asked, Ledger
from tests.campaign.bots import NAME, Bot
from tests.campaign.script import Life, Move
from tests.journey.stack import Simulator
from tests.journey.trader import Json, Trader, eventually

SIGNAL_LASTS = timedelta(seconds=60)
FILL_S = 6.0
"""How long a hand waits for its trade to be as its next move needs it; then it goes on as things are."""


@dataclass
class Theirs:
    """What somebody else did in our accounts: order ids, and how many contracts are his."""

    order_ids: set[int] = field(default_factory=set)
    lots: Counter[tuple[str, str]] = field(default_factory=Counter)
    resting: list[tuple[str, int]] = field(default_factory=list)
    """Orders that were left working in our contracts, each with its account."""
    gone: set[str] = field(default_factory=set)
    """Trades whose contracts somebody exercised: their owner has to say that they are gone."""
    successors: list[tuple[str, str]] = field(default_factory=list)
    """What contracts became by corporate actions, each with its account: sold by hand in the end."""
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Hand:
    """One hand of a person: one trade at a time."""

    trader: Trader
    account: str
    world: Simulator
    contracts: list[Json]
    ledger: Ledger
    theirs: Theirs
    over: threading.Event
    bot: Bot
    failures: list[BaseException] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def live(self, lives: tuple[Life, ...]) -> None:
        """Carry out lives until the chapter is over."""
        try:
            for life in lives:
                if self.over.is_set():
                    return
                self._live(life)
        except BaseException as error:  # noqa: BLE001 - the campaign tells it
            self.failures.append(error)

    def _live(self, life: Life) -> None:
        contract = self.contracts[life.contract % len(self.contracts)]
        placed = self._place(life, contract)
        if placed.trade_id is None or not placed.is_done:
            self.over.wait(0.1)
            return
        trade = self._wait(placed.trade_id, _is_settled, FILL_S if life.entry != "limit_below" else 0.5)
        for move in life.moves:
            if self.over.wait(move.after_s) or trade is None or trade["status"] == "CLOSED":
                break
            self.done[move.kind] += 1
            MOVES[move.kind](self, trade, move)
            trade = self._wait(trade["id"], _is_settled, FILL_S)

    def _place(self, life: Life, contract: Json) -> Asked:
        ask = Decimal(contract["ask"])
        body: Json = {name: contract[name] for name in ("ticker", "option_type", "strike", "expiry")}
        body |= {"account_id": self.account, "qty": life.qty, "entry": {"type": "market"}}
        if life.entry.startswith("limit"):
            factor = Decimal("1.05") if life.entry == "limit_at" else Decimal("0.85")
            body["entry"] = {"type": "limit", "limit_price": _cents(ask * factor)}
        if life.exits in ("both", "stop"):
            body["sl_price"] = _cents(ask * Decimal("0.6"))
        if life.exits in ("both", "target"):
            body["tp_price"] = _cents(ask * Decimal("1.5"))
        with _ignored():
            self.world.release(contract["occ_symbol"])
        if life.entry in ("signal", "bot"):
            return self._publish(body, life)
        return self.ledger.ask(self.trader, "/api/trades", body, self.over, insists=not life.walks_away)

    def _publish(self, body: Json, life: Life) -> Asked:
        """Let a bot publish a signal for it, by either door; where its person approves each first, he does."""
        ends = datetime.now(UTC) + SIGNAL_LASTS
        body |= {"v": 1, "signal_id": uuid.uuid4().hex, "expires_at": ends.isoformat()}
        bot = "scan"
        if life.entry == "bot":
            bot = NAME
            is_taken = self.bot.publish(body, self.over, insists=not life.walks_away)
            self.done["published over NATS" if is_taken else "published over NATS, unanswered"] += 1
            self.ledger.say(f"{self.trader.name} over NATS {body['signal_id']}: {is_taken}")
            if not is_taken:
                return Asked(self.trader, "", body)
            self._follow(body["signal_id"])
        # The same signal by the other door is the same signal: this only asks what became of it.
        asked = self.ledger.ask(self.trader, f"/api/signals?bot={bot}", body, self.over, insists=not life.walks_away)
        if asked.last.get("state") == "pending":
            self.done["approve"] += 1
            return self.ledger.ask(self.trader, f"/api/signals/{asked.last['id']}/approve", {}, self.over)
        return asked

    def _follow(self, signal_id: str) -> None:
        """Wait until a signal is told of, whatever became of it; the checker asks for what nobody told in time."""

        def is_told() -> bool:
            answer = self.trader.call("GET", "/api/signals?limit=50")
            found = answer.json()["signals"] if answer.is_success else []
            states = [one["state"] for one in found if one["signal_id"] == signal_id]
            return self.over.is_set() or any(state != "placing" for state in states)

        eventually(is_told, FILL_S)

    def _wait(self, trade_id: str, holds: Callable[[Json], bool], within_s: float) -> Json | None:
        """Read a trade until it holds; returns it as last seen, whether or not."""
        last: list[Json] = []

        def reached() -> bool:
            answer = self.trader.call("GET", f"/api/trades/{trade_id}")
            if answer.is_success:
                last[:] = [dict(answer.json())]
            return self.over.is_set() or (bool(last) and holds(last[0]))

        eventually(reached, within_s)
        return last[0] if last else None

    def ask(self, trade: Json, verb: str, **body: object) -> Asked:
        """Ask something of a trade."""
        return self.ledger.ask(self.trader, f"/api/trades/{trade['id']}/{verb}", body, self.over)


def _is_settled(trade: Json) -> bool:
    if trade["status"] == "CLOSED":
        return True
    return trade["status"] == "FILLED" and trade["protection"] in ("PROTECTED", "NONE")


def _cents(price: Decimal) -> str:
    """Write a price on the coarse tick, which every class takes."""
    return str(max((price * 20).quantize(Decimal(1), ROUND_HALF_UP) / 20, Decimal("0.05")))


class _ignored:  # noqa: N801 - reads as a word
    """Let what the outside world refuses pass: it was not possible just now."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        """Swallow what HTTP raises."""
        return kind is not None and issubclass(kind, httpx.HTTPError)


# ── moves ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _close(hand: Hand, trade: Json, move: Move) -> None:
    asked = hand.ask(trade, "close", version=trade["version"])
    current = asked.last.get("current")
    if asked.last.get("code") == "stale_version" and current and current["status"] != "CLOSED":
        hand.ask(trade, "close", version=current["version"])


def _adjust(hand: Hand, trade: Json, move: Move) -> None:
    hand.ask(trade, "adjust", version=trade["version"], **_new_exits(trade, move.size))


def _new_exits(trade: Json, size: float) -> dict[str, str]:
    """Move the exits that were asked for, at most by a tenth."""
    factor = Decimal(str(round(0.9 + 0.2 * size, 3)))
    pairs = {"new_sl": trade["sl_price"], "new_tp": trade["tp_price"]}
    given = {name: _cents(Decimal(price) * factor) for name, price in pairs.items() if price is not None}
    price = Decimal(trade["entry_price"] or "1")
    return given or {"new_tp": _cents(price * 2)}


def _twice(verb: str) -> Callable[[Hand, Json, Move], None]:
    """Two devices ask the same of the same version at the same time."""

    def ask(hand: Hand, trade: Json, move: Move) -> None:
        body = {"version": trade["version"]} | (_new_exits(trade, move.size) if verb == "adjust" else {})
        with ThreadPoolExecutor(2) as devices:
            answers = list(devices.map(lambda _: hand.ask(trade, verb, **body), range(2)))
        won = sum(one.is_done and len(one.statuses) == 1 for one in answers)
        assert won <= 1 or trade["status"] == "CLOSED", f"{verb} won twice: {[one.last for one in answers]}"

    return ask


def _price(factor_of: Callable[[Json, float], Decimal | None]) -> Callable[[Hand, Json, Move], None]:
    def move_price(hand: Hand, trade: Json, move: Move) -> None:
        price = factor_of(trade, move.size)
        if price is None:
            return
        with _ignored():
            hand.world.price(trade["occ_symbol"], _cents(price))
            hand.ledger.say(f"price of {trade['occ_symbol']} is {_cents(price)}")

    return move_price


def _stop(trade: Json, size: float) -> Decimal | None:
    return None if trade["sl_price"] is None else Decimal(trade["sl_price"])


def _below(trade: Json, size: float) -> Decimal | None:
    stop = _stop(trade, size)
    return None if stop is None else stop * Decimal(str(round(0.4 + size / 2, 3)))


def _target(trade: Json, size: float) -> Decimal | None:
    return None if trade["tp_price"] is None else Decimal(trade["tp_price"]) + Decimal("0.05")


def _limit(trade: Json, size: float) -> Decimal | None:
    """Let a waiting entry fill: a little above its stop, as far as it has one."""
    if trade["status"] not in ("OPEN", "PARTIAL"):
        return None
    return Decimal(trade["sl_price"]) + Decimal("0.30") if trade["sl_price"] is not None else Decimal("1.00")


def _cancel_exits(hand: Hand, trade: Json, move: Move) -> None:
    """Cancel an order of ours at the broker, as its owner may on the broker's own page."""
    known = {str(order["broker_order_id"]) for order in trade["orders"]}
    with _ignored():
        tops = [top for top in hand.world.orders(hand.account) if top["status"] in ("open", "partially_filled")]
        ours = [top for top in tops if known & {str(one["id"]) for one in (top, *top["leg"])}]
        if ours:
            order = ours[int(move.size * len(ours)) % len(ours)]
            hand.world.event(kind="manual_cancel", account=hand.account, order_id=order["id"])
            hand.ledger.say(f"by hand: cancel of {order['id']}")


def _foreign(side: str) -> Callable[[Hand, Json, Move], None]:
    def order(hand: Hand, trade: Json, move: Move) -> None:
        place = (hand.account, trade["occ_symbol"])
        with hand.theirs.lock, _ignored():
            if side == "sell_to_close" and hand.theirs.lots[place] == 0:
                return
            told = hand.world.event(
                kind="manual_order", account=hand.account, option_symbol=trade["occ_symbol"], side=side, quantity=1
            )
            hand.theirs.order_ids.add(int(told["order_id"]))
            hand.theirs.lots[place] += (1 if side == "buy_to_open" else -1) if told["status"] == "filled" else 0
            hand.ledger.say(f"by hand: {side} of {trade['occ_symbol']} in {hand.account}: {told}")

    return order


def _sell_ours(hand: Hand, trade: Json, move: Move) -> None:
    """Sell some of what the trade holds by hand, past its exits."""
    held = trade["filled_qty"] if trade["status"] == "FILLED" else 0
    if held:
        _by_hand(hand, trade, "sell_to_close", 1 + int(move.size * held) % held)


def _by_hand(hand: Hand, trade: Json, side: str, quantity: int) -> None:
    terms = {"option_symbol": trade["occ_symbol"], "side": side, "quantity": quantity}
    with _ignored():
        told = hand.world.event(kind="manual_order", account=hand.account, **terms)
        hand.theirs.order_ids.add(int(told["order_id"]))
        hand.ledger.say(f"by hand: {side} {quantity} {trade['occ_symbol']} in {hand.account}: {told}")


def _rest_foreign(hand: Hand, trade: Json, move: Move) -> None:
    """Leave an order of somebody else's working in the contract: a sale far above, or a purchase far below."""
    side, price = ("sell_to_close", "99") if move.size < 0.5 else ("buy_to_open", "0.05")
    terms = {"option_symbol": trade["occ_symbol"], "side": side, "quantity": 1, "type": "limit", "price": price}
    with hand.theirs.lock, _ignored():
        told = hand.world.event(kind="manual_order", account=hand.account, **terms)
        hand.theirs.order_ids.add(int(told["order_id"]))
        hand.theirs.resting.append((hand.account, int(told["order_id"])))
        hand.ledger.say(f"by hand: {side} of {trade['occ_symbol']} rests in {hand.account}: {told}")


def _exercise(hand: Hand, trade: Json, move: Move) -> None:
    """Let the owner exercise what the trade holds, at the broker."""
    place = (hand.account, trade["occ_symbol"])
    with hand.theirs.lock, _ignored():
        if trade["status"] != "FILLED" or hand.theirs.lots[place]:
            return
        hand.world.event(kind="exercise", account=hand.account, option_symbol=trade["occ_symbol"])
        hand.theirs.gone.add(trade["id"])
        hand.ledger.say(f"by hand: {trade['occ_symbol']} is exercised in {hand.account}")


def _corporate_action(hand: Hand, trade: Json, move: Move) -> None:
    """Let a contract become another; some time later its owner sells that one by hand."""
    place = (hand.account, trade["occ_symbol"])
    with hand.theirs.lock, _ignored():
        is_taken = hand.theirs.lots[place] or any(one[0] == hand.account for one in hand.theirs.successors)
        if trade["status"] != "FILLED" or is_taken:
            return
        event = {"kind": "corporate_action", "account": hand.account, "option_symbol": trade["occ_symbol"]}
        successor = str(hand.world.event(**event)["option_symbol"])
        hand.ledger.say(f"{trade['occ_symbol']} became {successor} in {hand.account}")
        hand.theirs.successors.append((hand.account, successor))


def _double_fill(hand: Hand, trade: Json, move: Move) -> None:
    """Both exits execute, the race that every broker promises not to lose."""
    legs = {str(order["broker_order_id"]) for order in trade["orders"] if order["status"] == "WORKING"}
    with _ignored():
        for top in hand.world.orders(hand.account):
            if top["class"] == "oco" and top["status"] == "open" and legs & {str(leg["id"]) for leg in top["leg"]}:
                hand.world.event(kind="double_fill", account=hand.account, order_id=top["id"])
                hand.ledger.say(f"double fill of {top['id']} in {hand.account}")
                return


def _liquidate(hand: Hand, trade: Json, move: Move) -> None:
    """Let the broker's desk sell the position out, over every order in it."""
    place = (hand.account, trade["occ_symbol"])
    with hand.theirs.lock, _ignored():
        told = hand.world.event(kind="broker_liquidation", account=hand.account, option_symbol=trade["occ_symbol"])
        hand.theirs.order_ids |= set(told["order_ids"])
        hand.theirs.lots[place] = 0
        hand.ledger.say(f"the broker sells out {trade['occ_symbol']} in {hand.account}: {told}")


MOVES: dict[str, Callable[[Hand, Json, Move], None]] = {
    "close": _close,
    "close_twice": _twice("close"),
    "adjust": _adjust,
    "adjust_twice": _twice("adjust"),
    "hit_stop": _price(_stop),
    "hit_target": _price(_target),
    "gap": _price(_below),
    "meet_entry": _price(_limit),
    "cancel_exits": _cancel_exits,
    "buy_foreign": _foreign("buy_to_open"),
    "sell_foreign": _foreign("sell_to_close"),
    "sell_ours": _sell_ours,
    "double_fill": _double_fill,
    "liquidate": _liquidate,
    "rest_foreign": _rest_foreign,
    "exercise": _exercise,
    "corporate_action": _corporate_action,
}
