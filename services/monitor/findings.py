"""Our trades beside everything a broker shows of their account, into findings, purely. Source: order path, §6.

1. Evidence, not absence: a position that is missing or smaller is only explained by an order that executed, an expiry,
   an exercise or a contract that was exchanged; unexplained, it makes the whole view doubtful.
2. While the view is doubtful nothing is found but what to ask an account's history for; it ends when two full reads
   agree with each other and with our own orders read by their ids, and neither has a reason of its own.
3. Only trades that rest are judged: no running flow, and a row that did not change since before the first read.
4. A finding stands once a second look found the same of the same row; only then it is told, and repaired.
5. What is not ours is never repaired: a foreign working sell takes the inventory, and is left alone.
6. The same report twice finds the same; the order of what it lists does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.broker.orders import OrderReport, OrderSide, OrderType
from libs.broker.orders import OrderStatus as BrokerWord
from libs.common.messages.vocabulary import BrokerMode, Finding, OrderRole, Protection, Severity, TradeStatus
from libs.market import conversions
from services.monitor import account_view, doubting
from services.monitor.account_view import OVER, Broker, Contract, Shown, held_of, is_running
from services.monitor.doubting import Doubt
from services.monitor.reconcile import OurTrade, Owners

_EXITS = {OrderRole.STOP_LOSS: "stop", OrderRole.TAKE_PROFIT: "target"}
_ALARM = {
    Finding.NAKED: Severity.CRITICAL,
    Finding.SHORT: Severity.CRITICAL,
    Finding.ORPHAN: Severity.ERROR,
    Finding.EXIT_QTY: Severity.ERROR,
    Finding.VANISHED: Severity.ERROR,
    Finding.MISMATCH: Severity.ERROR,
    Finding.CORPORATE_ACTION: Severity.ERROR,
    Finding.SANDBOX_WIPE: Severity.ERROR,
    Finding.FOREIGN: Severity.WARNING,
    Finding.DOUBTFUL: Severity.ERROR,
}
_NOT_SURE = frozenset({BrokerWord.ERROR, BrokerWord.UNRECOGNISED})
"""Neither resting nor over: nothing is covered by such an order, and orders is asked to look."""
REPAIRED = frozenset(_ALARM) - {Finding.FOREIGN}
"""What orders is asked about: to repair it, or while in doubt only to read the account's history; the rest is told."""
OF_HOLDINGS = REPAIRED - {Finding.ORPHAN, Finding.SHORT, Finding.DOUBTFUL}
"""What is only ever found of a trade that holds something: it ends with the trade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that is wrong. `subject` is the trade, or the contract where no trade is meant."""

    kind: Finding
    subject: str
    text: str
    occ_symbol: str
    trade_id: str | None = None
    key_version: int = 0
    broker_order_ids: tuple[str, ...] = ()
    successor_occ: str | None = None

    @property
    def severity(self) -> Severity:
        """Say how loud it is."""
        return _ALARM[self.kind]

    @property
    def key(self) -> tuple[Finding, str]:
        """Name it across looks."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A finding of the last look. It stands from its second look on."""

    kind: Finding
    subject: str
    key_version: int
    looks: int = 1
    asked_at: datetime | None = None

    @property
    def stands(self) -> bool:
        """Say whether two looks agreed."""
        return self.looks > 1


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look leads to."""

    found: tuple[Found, ...]
    standing: tuple[Standing, ...]
    doubt: Doubt | None


def look(
    trades: Iterable[OurTrade],
    broker: Broker,
    earlier: Iterable[Standing],
    doubt: Doubt | None,
    *,
    resting: frozenset[str],
    listed_before: bool,
    now: datetime,
    short_known: frozenset[str] = frozenset(),
) -> Looked:
    """Judge one full look.

    `resting`: trades whose rows did not change since before the first read. `listed_before`: the session's list was
    seen to hold something earlier the same New York day. `short_known`: trades whose contracts orders has missed too,
    and told: they say nothing against the rest of the account, which is judged.
    """
    trades = sorted(trades, key=lambda trade: trade.trade_id)
    owners = Owners(trades)
    shown = account_view.shown(trades, broker, owners)
    contracts = account_view.contracts(trades, broker, owners, shown)
    gone = _unexplained(trades, contracts, broker, resting)
    # What is missing is one thing; a position below zero is told whatever is missing.
    judged = resting - {one.subject for one in gone if contracts[one.occ_symbol].position >= 0}
    found = [one for trade in trades if trade.trade_id in judged for one in _of_trade(trade, contracts, shown, broker)]
    wiped = _wipe(trades, broker, resting)
    why = (
        []
        if wiped
        else doubting.reasons_of(
            trades, broker, shown, contracts, resting, listed_before=listed_before, short_known=short_known
        )
    )
    after = doubting.next_doubt(doubt, why, doubting.digest_of(broker), now)
    if after is not None:
        return Looked(gone, _standing(gone, earlier), after)
    found = list(wiped) if wiped else [*gone, *found, *_foreign(contracts, trades)]
    return Looked(tuple(found), _standing(found, earlier), None)


def _unexplained(
    trades: list[OurTrade], contracts: Mapping[str, Contract], broker: Broker, resting: frozenset[str]
) -> tuple[Found, ...]:
    """Name the trades whose contracts are gone without a word: what the account's history says of them is asked for."""
    return tuple(
        _Maker(trade).found(Finding.DOUBTFUL, f"{trade.occ_symbol}: gone, and nothing of today explains it")
        for trade in trades
        if trade.trade_id in resting and doubting.is_unexplained(trade, contracts[trade.occ_symbol], broker)
    )


def _of_trade(trade: OurTrade, contracts: Mapping[str, Contract], shown: Shown, broker: Broker) -> list[Found]:
    contract, orders = contracts[trade.occ_symbol], shown[trade.trade_id]
    made = _Maker(trade)
    if contract.position < 0 and _is_to_blame(trade, contract, orders):
        return [made.found(Finding.SHORT, f"{-contract.position} {trade.occ_symbol} are short")]
    if trade.status is TradeStatus.CLOSED:
        return _orphans(made, orders)
    if trade.status is not TradeStatus.FILLED or trade.protection is Protection.SETTLING or is_running(trade):
        return []
    held = held_of(trade, orders)
    if held <= 0:
        return []
    gone = _gone(made, contract, broker)
    return [gone] if gone is not None else _exits(made, contract, orders, held)


def _is_to_blame(trade: OurTrade, contract: Contract, orders: Mapping[str, OrderReport]) -> bool:
    """Say whether a short is this trade's: sold twice by its orders, or by its exit and somebody's sale beside it.

    A short that somebody opened on purpose, by an order of the session, is foreign. One that no list explains any more
    is told: a sale of an earlier day may be what made it.
    """
    if held_of(trade, orders) < 0 or trade.status is not TradeStatus.CLOSED:
        return True
    is_foreign = contract.opened_short >= -contract.position and not contract.sold
    return contract.latest == trade.trade_id and not is_foreign


@dataclass(frozen=True, slots=True)
class _Maker:
    """Writes findings of one trade."""

    trade: OurTrade

    def found(
        self, kind: Finding, text: str, *, orders: Iterable[OrderReport] = (), successor: str | None = None
    ) -> Found:
        trade = self.trade
        return Found(
            kind=kind,
            subject=trade.trade_id,
            text=text,
            occ_symbol=trade.occ_symbol,
            trade_id=trade.trade_id,
            key_version=trade.key_version,
            broker_order_ids=tuple(sorted(order.id for order in orders)),
            successor_occ=successor,
        )


def _orphans(made: _Maker, orders: Mapping[str, OrderReport]) -> list[Found]:
    living = [order for order in orders.values() if order.status not in OVER]
    if not living:
        return []
    names = ", ".join(sorted(order.id for order in living))
    return [made.found(Finding.ORPHAN, f"{made.trade.occ_symbol}: over, but order {names} works", orders=living)]


def _gone(made: _Maker, contract: Contract, broker: Broker) -> Found | None:
    """Explain a position that is smaller than what our orders hold; unexplained ones were doubted before."""
    missing = contract.held - max(contract.position, Decimal(0))
    if missing <= 0:
        return None
    symbol = made.trade.occ_symbol
    kind = Finding.VANISHED if contract.position <= 0 else Finding.MISMATCH
    if sum(order.exec_qty for order in contract.sold) >= missing:
        return made.found(kind, f"{symbol}: {missing} were sold by other orders", orders=contract.sold)
    successor = conversions.successor_of(made.trade.occ_symbol, missing, broker.positions)
    if successor is not None:
        text = f"{symbol} became {successor}; its exits are in your hands"
        return made.found(Finding.CORPORATE_ACTION, text, successor=successor)
    return made.found(kind, f"{symbol}: {missing} were exercised")


def _exits(made: _Maker, contract: Contract, orders: Mapping[str, OrderReport], held: int) -> list[Found]:
    """Judge cover by kind: a stop that was asked for is not covered by a target."""
    trade = made.trade
    wanted = {OrderRole.STOP_LOSS: trade.sl_price, OrderRole.TAKE_PROFIT: trade.tp_price}
    resting: dict[OrderRole, int] = defaultdict(int)
    for order in orders.values():
        if order.status not in OVER and order.status not in _NOT_SURE and order.side is OrderSide.SELL_TO_CLOSE:
            stops = order.type in (OrderType.STOP, OrderType.STOP_LIMIT)
            resting[OrderRole.STOP_LOSS if stops else OrderRole.TAKE_PROFIT] += order.qty - order.exec_qty
    taken = sum(o.qty - o.exec_qty for o in contract.working if o.side is OrderSide.SELL_TO_CLOSE)
    missing = [_EXITS[role] for role, price in wanted.items() if price is not None and not resting[role]]
    if missing and not taken:
        text = f"{trade.occ_symbol}: {held} held without a {' or a '.join(missing)}"
        return [made.found(Finding.NAKED, text)]
    wrong = [word for role, word in _EXITS.items() if resting[role] not in (0, held)]
    if wrong and not taken:
        return [
            made.found(Finding.EXIT_QTY, f"{trade.occ_symbol}: the {' and the '.join(wrong)} do not fit {held} held")
        ]
    return []


def _foreign(contracts: Mapping[str, Contract], trades: list[OurTrade]) -> list[Found]:
    """Tell foreign orders that work in a contract of ours; what else is foreign is only labelled."""
    ours = {trade.occ_symbol for trade in trades if trade.status is not TradeStatus.CLOSED}
    return [
        Found(
            kind=Finding.FOREIGN,
            subject=symbol,
            text=f"{symbol}: an order that Bookend did not place works in a contract of yours",
            occ_symbol=symbol,
            broker_order_ids=tuple(sorted(order.id for order in contract.working)),
        )
        for symbol, contract in contracts.items()
        if symbol in ours and contract.working
    ]


def _wipe(trades: list[OurTrade], broker: Broker, resting: frozenset[str]) -> list[Found]:
    """Find a paper account that was started over: no position, and not one of our orders is known there any more."""
    held = [t for t in trades if t.status is not TradeStatus.CLOSED and t.broker_mode is not BrokerMode.TRADIER_LIVE]
    ids = {order.broker_order_id for trade in held for order in trade.orders if order.broker_order_id}
    is_empty = not any(broker.positions.values()) and not broker.orders
    if not ids or not is_empty or not broker.unknown or any(t.trade_id not in resting for t in held):
        return []
    if not {trade.trade_id for trade in held} <= broker.unknown:
        return []
    return [_Maker(trade).found(Finding.SANDBOX_WIPE, f"{trade.occ_symbol}: the account was wiped") for trade in held]


def _standing(found: Iterable[Found], earlier: Iterable[Standing]) -> tuple[Standing, ...]:
    known = {(one.kind, one.subject): one for one in earlier}
    after = []
    for one in found:
        last = known.get(one.key)
        same = last is not None and last.key_version == one.key_version
        looks = min(last.looks + 1, 1000) if last is not None and same else 1
        asked_at = last.asked_at if last is not None and same else None
        after.append(
            Standing(kind=one.kind, subject=one.subject, key_version=one.key_version, looks=looks, asked_at=asked_at)
        )
    return tuple(after)
