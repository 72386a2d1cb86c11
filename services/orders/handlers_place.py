"""Placing: refuse what can be refused, store the intent, and answer once the entry is confirmed.

| step     | mark                                         | what undoes it                     | key             |
|----------|----------------------------------------------|------------------------------------|-----------------|
| checks   | none: a fresh quote and the venue's session  | nothing is stored, nothing is sent | Idempotency-Key |
| intent   | key, trade, entry order, capsule in one unit | `send_by`                          | Idempotency-Key |
| the flow | `flow.drive`, see there and `placement`      |                                    | order tag       |
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from libs.broker.base import BrokerProvider
from libs.broker.reports import Quote
from libs.common.errors import ContractInUse, Expired, InvalidInput, LiveNotEnabled, MarketClosed, NotFound
from libs.common.handlers import Context, Reply, answers
from libs.common.ids import new_id, new_tag
from libs.common.messages.orders import PlaceTrade
from libs.common.messages.vocabulary import BrokerMode, OrderStatus
from libs.market import products
from libs.market.clock import MarketClock
from libs.market.options import OccSymbol
from services.orders import (
    accounts,
    brackets,
    evidence,
    limits,
    requests,
    saving,
    sights,
    store,
    store_evidence,
    store_requests,
    talk,
)
from services.orders.brackets import Prices
from services.orders.capsule import capsule_of
from services.orders.deps import Deps
from services.orders.evidence import Baseline, holding_of
from services.orders.flow import JOB, Claim, drive
from services.orders.preferences import TradingSettings
from services.orders.steps import Moment
from services.orders.store_requests import Account, Request
from services.orders.trade import Event, Trade, View


@dataclass(frozen=True, slots=True)
class _Terms:
    """A trade that was checked against a fresh quote."""

    contract: OccSymbol
    quote: Quote
    prices: Prices
    multiplier: int
    minutes_to_last_trade: float
    quote_age_s: float | None
    base: Baseline


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks for what, in which account."""

    command: PlaceTrade
    ctx: Context
    settings: TradingSettings
    account: Account


@answers(PlaceTrade)
async def place_trade(command: PlaceTrade, ctx: Context, deps: Deps) -> Reply:
    """Place a protected trade. Idempotent: by its key."""
    async with deps.db.for_user(ctx.user) as unit:
        opening = await store_requests.opening(unit, ctx.user, command.idempotency_key)
    if opening.request is not None:
        return await requests.replayed(deps, command, ctx, opening.request)
    brackets.check_qty(command.qty)
    settings, account = await _account(deps, ctx.user, opening, command.account_id)
    if account.broker_mode is BrokerMode.TRADIER_LIVE:
        raise LiveNotEnabled("orders with real money are not enabled")
    broker = deps.broker(account.broker_mode, account.account_id, account.token_ciphertext)
    terms = await _terms(command, settings, broker, deps)
    stored = await _intent(_Asked(command, ctx, settings, account), terms, deps)
    if isinstance(stored, Request):
        return await requests.replayed(deps, command, ctx, stored)
    claim, view = stored
    with requests.already_stored(deps, ctx, command.idempotency_key):
        with deps.watches.on(view.trade.id, _entry_is_known) as watch:
            deps.spawn(drive(deps, claim), view)
            await watch.wait(partial(deps.look, view), deps.settings.place_answer_s)
        async with deps.db.for_user(ctx.user, waits_for_disk=False) as unit:
            request = requests.begun(command, ctx, command.idempotency_key, trade_id=view.trade.id, action_id=None)
            return await requests.answer(unit, ctx.user, request)


def _entry_is_known(view: View) -> bool:
    order = view.entry_orders[-1]
    return order.is_terminal or order.status is OrderStatus.UNKNOWN or order.confirmed_at is not None


async def _account(
    deps: Deps, username: str, opening: store_requests.Opening, asked: str | None
) -> tuple[TradingSettings, Account]:
    known = opening.accounts
    if opening.settings is None or opening.settings.get("account_id") is None:
        settings: TradingSettings = await accounts.settled_in(deps, username)
        async with deps.db.for_user(username) as unit:
            known = (await store_requests.opening(unit, username, "")).accounts
    else:
        settings = TradingSettings.model_validate(opening.settings)
    return settings, accounts.usable(known, settings, asked)


# ── checks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _terms(command: PlaceTrade, settings: TradingSettings, broker: BrokerProvider, deps: Deps) -> _Terms:
    """Check everything that can be refused before anything is stored. Raises: InvalidInput, MarketClosed."""
    candidates = _contracts(command)
    symbols = (command.ticker, *(str(contract) for contract in candidates))
    now = deps.clock.now()
    (quotes, clock), positions = await asyncio.gather(
        talk.market_of(broker, symbols, now, greeks=True),
        sights.positions_in_time(broker, deps.settings.order_waits.base_s),
    )
    contract = _listed(command, candidates, quotes, settings)
    quote = quotes[str(contract)]
    left_min = _minutes_left(deps, clock, contract)
    if left_min <= 0:
        raise InvalidInput(f"{contract} has expired; it traded last {products.last_trade_at(contract):%Y-%m-%d %H:%MZ}")
    if not talk.is_open(deps, clock, command_mode(broker), contract):
        raise MarketClosed(f"{command.ticker} options do not trade now")
    prices = brackets.entry_prices(command.entry, command.sl_price, command.tp_price, contract, quote)
    quoted_at = quote.quoted_at
    age = None if quoted_at is None else (clock.market_at(deps.clock.now()) - quoted_at).total_seconds()
    size = quote.contract_size or products.STANDARD_SIZE
    holding = None if positions is None else holding_of(positions, str(contract))
    base = Baseline(venue_at=clock.market_at(now), holding=holding)
    return _Terms(contract, quote, prices, size, left_min, age, base)


def command_mode(broker: BrokerProvider) -> BrokerMode:
    """Return the venue in the words of messages."""
    return BrokerMode(broker.mode)


def _minutes_left(deps: Deps, clock: MarketClock, contract: OccSymbol) -> float:
    now = clock.market_at(deps.clock.now())
    return (products.last_trade_at(contract) - now).total_seconds() / 60


def _contracts(command: PlaceTrade) -> list[OccSymbol]:
    """List the series a ticker's contract may be in: its own root, then the weeklies' of an index."""
    ticker = command.ticker.upper()
    plain = ticker.replace("/", "").replace(".", "")
    roots = [plain, *(root for root in (f"{plain}W", f"{plain}P") if products.underlying_of(root) == ticker)]
    return [OccSymbol(root, command.expiry, command.option_type, command.strike) for root in roots]


def _listed(
    command: PlaceTrade, candidates: list[OccSymbol], quotes: dict[str, Quote], settings: TradingSettings
) -> OccSymbol:
    """Choose the listed series. Raises: InvalidInput."""
    ticker = command.ticker.upper()
    if ticker not in quotes and command.ticker not in quotes and not products.is_index(candidates[0].root):
        raise InvalidInput(f"unknown ticker {ticker}")
    listed = [contract for contract in candidates if str(contract) in quotes]
    words = f"{ticker} {command.expiry} {command.strike} {command.option_type}"
    if not listed:
        raise InvalidInput(f"{words} is not listed: no such strike or expiry")
    am = [c for c in listed if products.settlement(c).time is products.SettlementTime.AM]
    fitting = [contract for contract in listed if settings.allow_am_settled or contract not in am]
    if not fitting:
        raise InvalidInput(f"{words} settles at the open; allow_am_settled is off")
    contract = fitting[0]
    size = quotes[str(contract)].contract_size
    if not settings.allow_non_standard and not products.is_standard_contract(contract.root, ticker, size):
        raise InvalidInput(f"{words} is not a standard contract of 100; allow_non_standard is off")
    return contract


# ── the intent ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _intent(asked: _Asked, terms: _Terms, deps: Deps) -> tuple[Claim, View] | Request:
    """Store key, trade, entry and capsule in one unit under the account's lock; who has the key if it is taken."""
    command, ctx, account = asked.command, asked.ctx, asked.account
    trade_id = new_id()
    lease_s = deps.settings.lease_s
    ends = deps.clock.monotonic() + lease_s
    async with deps.db.for_user(ctx.user) as unit:
        request = requests.begun(command, ctx, command.idempotency_key, trade_id=None, action_id=None)
        if not await store_requests.reserve(unit, ctx.user, request):
            taken = (await store_requests.opening(unit, ctx.user, command.idempotency_key)).request
            assert taken is not None
            return taken
        standing = await store_requests.standing(unit, account, str(terms.contract))
        if standing is None:
            raise NotFound(f"account {account.account_id} is gone")
        if ctx.deadline_at is not None and standing.now >= ctx.deadline_at:
            raise Expired("the deadline had passed before the order was placed")
        if standing.contract_in_use:
            raise ContractInUse(f"another open trade has {terms.contract} in account {account.account_id}")
        limits.check(asked.settings, standing.exposure, _wanted(command, terms))
        trade = _trade(asked, terms, trade_id, standing.now)
        send_by = standing.now + timedelta(seconds=deps.settings.order_waits.send_by_s)
        policy = asked.settings.policy()
        orders = brackets.entry_orders(
            trade,
            policy,
            as_group=asked.settings.otoco == "limit_entries",
            new_id=new_id,
            tag=new_tag(),
            send_by=send_by,
            now=standing.now,
        )
        text = f"{ctx.user} asks for {trade.qty} {trade.occ_symbol}, {trade.entry_type} entry"
        view = View(trade=trade, policy=policy, account_name=account.account_name).noting(
            Event(kind="asked", actor="user", text=text, data={"via": ctx.via})
        )
        base = terms.base
        if base.holding is not None and base.holding.qty:
            others = (await store_evidence.known(unit, view, base.venue_at)).holdings
            base = replace(base, held_by_others=others.get(trade.occ_symbol, 0))
        view = replace(view, orders=evidence.based(view, orders, base))
        await store.insert_trade(unit, view, capsule_of(command, terms.quote), lease_s=lease_s)
        view = await saving.save(unit, None, view, Moment(standing.now))
        await store_requests.name_trade(unit, ctx.user, command.idempotency_key, trade_id)
        # Should this process die now, somebody looks when its claim is over.
        due_at = standing.now + timedelta(seconds=lease_s + 0.1)
        await unit.schedule(JOB, trade_id, due_at, user=ctx.user)
    await deps.beats.at("orders.place.intent")
    return Claim(trade_id, ctx.user, 1, ends), view


def _wanted(command: PlaceTrade, terms: _Terms) -> limits.Wanted:
    return limits.Wanted(
        qty=command.qty,
        multiplier=terms.multiplier,
        entry_price=terms.prices.reference,
        stop=terms.prices.sl,
        bid=terms.quote.bid or Decimal(0),
        ask=terms.quote.ask or Decimal(0),
        is_limit=terms.prices.limit is not None,
        quote_age_s=terms.quote_age_s,
        minutes_to_last_trade=terms.minutes_to_last_trade,
    )


def _trade(asked: _Asked, terms: _Terms, trade_id: str, now: datetime) -> Trade:
    command, account = asked.command, asked.account
    return Trade(
        id=trade_id,
        username=asked.ctx.user,
        idempotency_key=command.idempotency_key,
        broker_mode=account.broker_mode,
        account_id=account.account_id,
        ticker=products.underlying_of(terms.contract.root),
        occ_symbol=str(terms.contract),
        option_type=command.option_type,
        strike=command.strike,
        expiry=command.expiry,
        multiplier=terms.multiplier,
        qty=command.qty,
        entry_type=command.entry.type,
        limit_price=terms.prices.limit,
        entry_duration=command.entry.duration,
        reference_price=terms.prices.reference,
        sl_price=terms.prices.sl,
        tp_price=terms.prices.tp,
        strategy=command.strategy,
        card_score=command.card_score,
        ai_score=command.ai_score,
        ai_verdict=command.ai_verdict,
        gate_verdict=command.gate_verdict,
        technical_score=command.technical_score,
        sentiment_score=command.sentiment_score,
        created_at=now,
    )
