"""Runs a script on a stack, chapter after chapter: trade while things go wrong, leave it in peace, check everything."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import asyncpg
import httpx

from libs.market import calendar
from tests.campaign import figures
from tests.campaign.asking import Asked, Ledger
from tests.campaign.bots import Bot, Taken
from tests.campaign.checker import findings
from tests.campaign.hands import Hand, Theirs
from tests.campaign.picture import Picture, Row, read_picture
from tests.campaign.script import CHAPTER_S, CONTRACTS, HANDS, PEOPLE, Chapter
from tests.campaign.switches import Switches, beyond_limits
from tests.campaign.troubles import Mischief
from tests.faults.books import balanced_books
from tests.faults.outage import state_of
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader, eventually

ENVIRONMENT = {
    "ORDER_SYNC_S": "2", "HOT_SYNC_S": "0.5", "PORTFOLIO_SYNC_S": "3", "SNAPSHOT_S": "30", "EXPIRATIONS_KEEP_S": "2",
    "LOOK_S": "5", "POSITION_LAG_S": "1.5", "REPAIR_ASK_S": "4",
    "BROKER_READ_S": "1.5", "BROKER_WRITE_S": "1.5", "LEASE_S": "5", "RECOVERY_S": "2",
    "BUDGET_TRADING_PER_MIN": "3000", "BUDGET_STANDARD_PER_MIN": "3000", "BUDGET_MARKET_PER_MIN": "3000",
    "ORDER_WAITS": '{"send_by_s": 5, "look_every_s": 0.5, "look_gap_entry_s": 3, "look_gap_exit_s": 1, "recancel_s": 1,'
    ' "cancel_alarm_s": 4, "naked_alarm_s": 1, "partial_exit_grace_s": 1, "orphan_grace_s": 1, "steady_s": 2,'
    ' "stop_limit_grace_s": 1, "away_read_s": 1, "retry_first_s": 0.2, "retry_last_s": 3, "close_retry_s": 3,'
    ' "queue_settle_s": 1, "queue_poll_s": 0.5, "fees_look_s": 15}',
}  # fmt: skip
"""Every wait at a fraction of its real value, so that minutes hold much."""
WIDE = {
    "max_positions": 1000, "account_balance": "10000000", "daily_loss_limit": "9000000", "heat_limit_pct": "100",
    "partial_entry_grace_s": 1, "repair_delay_s": 1, "no_entry_before_expiry_min": 10, "expiry_flatten_min": 10,
    "signal_mode": "auto",
}  # fmt: skip
SETTINGS: tuple[Json, ...] = (
    WIDE,
    WIDE
    | {
        "naked_policy": "flatten",
        "otoco": "limit_entries",
        "max_positions": 12,
        "max_contracts": 3,
        "signal_mode": "review",
    },
    WIDE | {"expiry_flatten_min": 0, "stop_limit_offset": "0.30"},
)
"""Each person's; what they differ in is what the order path makes of it."""
TICKERS = ("SPY", "QQQ", "IWM", "AAPL", "MSFT", "XLF")
RICH = "10000000"
RATES = {"rate_standard": 3000, "rate_market": 3000, "rate_trading": 3000}
"""What the broker allows a minute: as much more as the cadences are shorter."""
COMMISSION = {"commission_cents": 35}
READY_S = 90.0
SETTLED_S = 75.0
TRUTH_S = 40.0


class CampaignFailed(AssertionError):
    """Something was lost, doubled or left; says what."""


@dataclass
class Campaign:
    """One run of a script. `stack` is up; `seed` only names the run."""

    stack: Stack
    seed: int
    ledger: Ledger
    theirs: Theirs = field(default_factory=Theirs)
    moves: Counter[str] = field(default_factory=Counter)
    placements: dict[tuple[str, str], Row] = field(default_factory=dict)
    people: list[Trader] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    contracts: list[Json] = field(default_factory=list)
    bots: list[Bot] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)

    def run(self, script: tuple[Chapter, ...]) -> dict[str, Any]:
        """Play every chapter; returns the figures. Raises: CampaignFailed."""
        state = state_of(self.stack)
        with ExitStack() as open_until_the_end, Simulator(state["simulator_url"]) as world:
            self.present = open_until_the_end
            world.toggle(**RATES, **COMMISSION)
            self.world = world
            self.switches = Switches(self.ledger)
            self.mischief = Mischief(
                self.stack, world, self.ledger, state["nats_url"], self._remember_placements, self.switches,
                calm=world.toggles(),
            )  # fmt: skip
            self._gather(state["nats_url"])
            for chapter in script:
                self._play(chapter)
            self._go_home()
            balanced_books(self.stack, SETTLED_S)
            mistakes = figures.mistakes_logged(self.stack)
            self._fail_unless(not mistakes, mistakes)
            return figures.figures(self.stack, self.ledger, self.mischief.counted, self.moves)

    def _gather(self, nats_url: str) -> None:
        """Let people join, each with an account of the paper broker and a bot."""
        for number in range(PEOPLE):
            person = self.present.enter_context(Trader(self.stack.gateway_url, f"p{number}{int(time.time())}"))
            self.people.append(person)
            settings = person.insist("PUT", "/api/settings", SETTINGS[number % len(SETTINGS)])
            self.accounts.append(str(settings["account_id"]))
            self.world.pay(str(settings["account_id"]), RICH)
            key = person.insist("POST", "/api/keys", {"name": "bot", "scopes": ["read", "signal"]})["secret"]
            self.bots.append(self.present.enter_context(Bot(nats_url, person.name, key, self.taken)))
        self.switches.people = self.people

    def _can_list(self, expiry: int) -> bool:
        try:
            return self._list_contracts(expiry)
        except (AssertionError, IndexError):
            return False

    def _list_contracts(self, expiry: int) -> bool:
        """Choose the contracts; False while the list of expiries is still of the day before."""
        each = CONTRACTS // len(TICKERS)
        kinds = [(nth // 2, "CALL" if nth % 2 else "PUT") for nth in range(each)]
        self.contracts = [
            self.people[0].contract(ticker, nth, kind, expiry) for nth, kind in kinds for ticker in TICKERS
        ]  # fmt: skip
        today = calendar.new_york_date(datetime.fromisoformat(self.world.clock()["now"]))
        return all(date.fromisoformat(contract["expiry"]) >= today for contract in self.contracts)

    def _play(self, chapter: Chapter) -> None:
        """Trade and make trouble for a while, then leave everything in peace and check."""
        self.ledger.say(f"── chapter {chapter.number}")
        self.mischief.set_clock(chapter.clock[0][1])
        self._fail_unless(eventually(lambda: self._can_list(chapter.nth_expiry), 20), ["no contracts could be listed"])
        over = threading.Event()
        hands = [self._hand(number, over) for number in range(HANDS)]
        work = [
            threading.Thread(target=hand.live, args=(lives,)) for hand, lives in zip(hands, chapter.hands, strict=True)
        ]
        work.append(threading.Thread(target=self.mischief.make, args=(chapter.all_troubles(), over)))
        for thread in work:
            thread.start()
        over.wait(CHAPTER_S)
        over.set()
        for thread in work:
            thread.join(60)
        self.mischief.take_back()
        for hand in hands:
            self.moves.update(hand.done)
        failures = [repr(failure) for hand in hands for failure in hand.failures]
        self._fail_unless(not failures, failures)
        self._take_rests_down()
        self.settle()
        self._check_switches()
        if chapter.number % 2:
            self._close_all()

    def _take_rests_down(self) -> None:
        """Let the others cancel what they left resting in our contracts."""
        for account, order_id in self.theirs.resting:
            with contextlib.suppress(httpx.HTTPError):
                self.world.event(kind="manual_cancel", account=account, order_id=order_id)
        self.theirs.resting.clear()

    def _check_switches(self) -> None:
        """Hold that who engaged a kill switch has nothing left at work, and release them all: nothing may fire."""
        last: list[str] = []

        def is_right() -> bool:
            picture = self.picture()
            last[:] = self.switches.wrong(picture)
            for number, person in enumerate(self.people):
                last.extend(beyond_limits(picture, person.name, SETTINGS[number % len(SETTINGS)]))
            return not last

        self._fail_unless(eventually(is_right, TRUTH_S), last)
        fired = self.switches.release_all(self.world)
        self._fail_unless(not fired, fired)

    def _hand(self, number: int, over: threading.Event) -> Hand:
        person = number % len(self.people)
        return Hand(
            self.people[person], self.accounts[person], self.world, self.contracts, self.ledger, self.theirs, over,
            self.bots[person],
        )  # fmt: skip

    # ── peace ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def settle(self) -> None:
        """Wait until nothing is under way, and hold that nothing is wrong. Raises: CampaignFailed."""
        self._fail_unless(eventually(self.stack.is_ready, READY_S), ["the stack is not ready"])
        self._learn_truths()
        last: list[str] = ["nothing could be read"]

        def is_right() -> bool:
            try:
                picture = self.picture()
                last[:] = findings(picture)
                self._resolve(picture)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                last[:] = [f"unreadable: {error!r}"]
            return not last

        steady = eventually(is_right, SETTLED_S)
        self._fail_unless(steady, last)

    def picture(self) -> Picture:
        """Read both sides now."""
        self._remember_placements()
        return read_picture(
            str(state_of(self.stack)["database_url"]),
            self.world,
            list(self.placements.values()),
            frozenset(self.theirs.order_ids),
            frozenset(self.accounts),
            self.taken.all(),
        )

    def _resolve(self, picture: Picture) -> None:
        """Let people settle what evidence could not: each names the order he finds under the tag, or says none.

        Who exercised a contract says that it is gone.
        """
        told = {row["trade_id"] for row in picture.incidents if row["kind"] == "unsettled_order"}
        unknown = {row["trade_id"]: row for row in picture.orders if row["status"] == "UNKNOWN"}
        for trade_id in unknown.keys() & told:
            row, trade = unknown[trade_id], picture.trades[trade_id]
            person = next(one for one in self.people if one.name == trade["username"])
            found = [str(top["id"]) for top in picture.at_broker if top["tag"] == row["tag"]]
            path = f"/api/trades/{trade['id']}/resolve"
            self.ledger.ask(person, path, {"broker_order_id": found[0] if found else None}, threading.Event())
            self.moves["resolve"] += 1
        for trade_id in self.theirs.gone & picture.trades.keys() - unknown.keys():
            trade = picture.trades[trade_id]
            if trade["status"] == "FILLED" and trade["protection"] != "SETTLING":
                person = next(one for one in self.people if one.name == trade["username"])
                self.ledger.ask(person, f"/api/trades/{trade_id}/resolve", {"broker_order_id": None}, threading.Event())

    def _remember_placements(self) -> None:
        for one in self.world.requests(method="POST"):
            if one["tag"]:
                self.placements[one["tag"], one["time"]] = one

    def _learn_truths(self) -> None:
        """Ask every request again with its key: who was left without an answer learns it, the others hear the same."""
        wrong = []
        over = threading.Event()
        for asked in self.ledger.asked:
            if asked.is_verified or not (asked.is_done or not asked.is_clear):
                continue
            before = asked.trade_id if asked.is_done else None
            asked.insist(over, TRUTH_S)
            wrong += _not_the_truth(asked, before)
            asked.is_verified = True
        self._fail_unless(not wrong, wrong)

    def _close_all(self) -> None:
        """Let everybody close what is open, as often as it takes."""
        self.mischief.set_clock("open")
        self._sell_successors()
        for person in self.people:
            eventually(lambda person=person: self._closed_all(person), 30)  # type: ignore[misc]
        self.settle()

    def _sell_successors(self) -> None:
        """Sell by hand what contracts became by corporate actions: no exit of ours can."""
        held = {row["account"]: row["positions"] for row in self.world.cash()}
        for account, symbol in self.theirs.successors:
            if qty := held.get(account, {}).get(symbol, 0):
                sale = {"option_symbol": symbol, "side": "sell_to_close", "quantity": qty}
                told = self.world.event(kind="manual_order", account=account, **sale)
                self.theirs.order_ids.add(int(told["order_id"]))
                self.ledger.say(f"by hand: sell {qty} {symbol} in {account}: {told}")
        self.theirs.successors.clear()

    def _closed_all(self, person: Trader) -> bool:
        answer = person.call("GET", "/api/trades?status=OPEN&limit=200")
        trades = answer.json()["trades"] if answer.is_success else [{}]
        told = person.call("GET", "/api/incidents?open=true&limit=200")
        found = told.json()["incidents"] if told.is_success else []
        missing = self.theirs.gone | {row["trade_id"] for row in found if row["kind"] == "shortfall"}
        for trade in filter(None, trades):
            gone = trade["id"] in missing
            path = f"/api/trades/{trade['id']}/{'resolve' if gone else 'close'}"
            body: Json = {"broker_order_id": None} if gone else {"version": trade["version"]}
            self.ledger.ask(person, path, body, threading.Event())
        return not trades

    def _go_home(self) -> None:
        """End everything: nothing is open, nothing works."""
        self.mischief.set_clock("before_open")
        self._close_all()
        picture = self.picture()
        left = [str(trade["id"]) for trade in picture.trades.values() if trade["status"] != "CLOSED"]
        works = [leg["id"] for leg in picture.legs() if leg["status"] in ("open", "pending", "partially_filled")]
        self._fail_unless(not left and not works, [f"still open: {left}", f"still working: {works}"])

    def _fail_unless(self, holds: bool, words: list[str]) -> None:
        if not holds:
            raise CampaignFailed("\n".join(words[:40]))


def _not_the_truth(asked: Asked, before: str | None) -> list[str]:
    """Say what is wrong with the answer to a request that was sent again."""
    name = f"{asked.trader.name} {asked.path} {asked.key}: {asked.statuses}"
    if not asked.is_clear:
        return [f"nobody ever said what became of {name}: {asked.last}"]
    if before is not None and asked.trade_id is not None and asked.trade_id != before:
        return [f"two trades for one key, {before} and {asked.trade_id}: {name}"]
    if before is not None and asked.last.get("code") in ("idempotency_mismatch", "not_found"):
        return [f"the key is forgotten: {name}: {asked.last}"]
    return [f"an internal error: {name}: {asked.last}"] if 500 in asked.statuses else []
