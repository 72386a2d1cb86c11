"""The steps of repair and cover that talk to the broker, each from a full look at the contract.

A full look is positions first, then the session's orders, then by id whatever the list left out: an execution between
two of them can make something look less missing, never more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from libs.broker.base import BrokerProvider
from libs.broker.orders import OrderReport
from libs.broker.reports import Quote
from libs.broker.venue_clock import market_clock
from libs.common import log
from libs.common.errors import NotFound, UpstreamUnavailable
from libs.common.ids import new_id, new_tag
from libs.market import calendar
from libs.market.options import OccSymbol
from services.orders import asking, brackets, evidence, looking, oversold, past, protecting, repairing, sessions, sights
from services.orders.contract import Beside
from services.orders.deps import Deps
from services.orders.evidence import Baseline
from services.orders.repairing import Looked
from services.orders.steps import Inspect, Moment, Outcome
from services.orders.store import Loaded
from services.orders.trade import View

_log = log.get(__name__)
Judged = Callable[[View, Moment], View]

MOST_BY_ID = 12
"""More of one trade's orders than this were never alive at once; the newest are read."""


async def look(view: View, named: str | None, broker: BrokerProvider, deps: Deps) -> Looked:
    """Read all that a repair is decided from. Raises: UpstreamUnavailable, UpstreamAuth."""
    positions = await broker.positions()
    orders = list(await broker.orders())
    listed = {name for top in orders for name in (top.id, *(leg.id for leg in top.flat()))}
    own = dict.fromkeys(order.group_order_id for order in reversed(view.orders) if order.group_order_id)
    wanted = [*(named or "").split(), *list(own)[:MOST_BY_ID]]
    gone = set()
    for order_id in dict.fromkeys(name for name in wanted if name not in listed and not past.is_past(name)):
        try:
            orders.append(await broker.order(order_id))
        except NotFound:
            gone.add(order_id)
    looked = Looked(positions, tuple(orders), frozenset(gone), await deps.beside(view))
    return await _with_history(view, looked, broker, deps)


async def _with_history(view: View, looked: Looked, broker: BrokerProvider, deps: Deps) -> Looked:
    """Add what others sold on earlier days, where something is missing that nothing else explains."""
    moment = Moment(deps.clock.now(), deps.settings.order_waits)
    if view.trade.successor_occ or not repairing.missing_qty(view, looked, moment):
        return looked
    return replace(looked, orders=(*looked.orders, *await sold_earlier(view, looked.beside, broker, deps)))


async def sold_earlier(view: View, beside: Beside, broker: BrokerProvider, deps: Deps) -> tuple[OrderReport, ...]:
    """Read what others sold of the contract on earlier days; none where the venue cannot tell."""
    now, since = deps.clock.now(), repairing.held_since(view)
    if since is None:
        return ()
    today = calendar.new_york_date((await market_clock(broker, now=now)).market_at(now))
    if calendar.new_york_date(since) >= today:
        return ()
    try:
        told = await broker.history(calendar.new_york_date(since))
    except UpstreamUnavailable as error:
        # A venue that cannot tell its history proves nothing by it; the look counts without.
        _log.info("history_not_read", trade_id=view.trade.id, detail=error.detail)
        return ()
    symbol, lots = view.trade.occ_symbol, view.entry_orders[0].base_qty or Decimal(0)
    return past.sales_by_others(symbol, told, beside.fills, since=since, today=today, foreign_lots=lots)


async def inspected(step: Inspect, loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Outcome:
    """Look because monitor found the trade at odds with the broker."""
    asked = next((action for action in loaded.view.actions if action.id == step.action_id), None)
    looked = await look(loaded.view, None if asked is None else asked.named, broker, deps)

    def judge(looked: Looked) -> Judged:
        return lambda view, moment: repairing.judged(view, step.action_id, looked, moment, new_id=new_id)

    return among(judge, looked)


def among(judge: Callable[[Looked], Judged], looked: Looked, *, pause_s: float = 0.0) -> Outcome:
    """Judge a look, and judge it anew by what other trades of the contract have taken since it was read.

    Two trades may look at the same time, and one sale is the end of only one of them.
    """

    def anew(beside: Beside) -> Outcome:
        return Outcome(judge(looked.beside_of(beside)), pause_s=pause_s)

    return Outcome(judge(looked), pause_s=pause_s, among=anew)


def _known(looked: Looked) -> Judged:
    return lambda view, moment: repairing.known(view, looked, moment, new_id=new_id)


async def looked_again(loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Outcome:
    """Look whether what was odd about a holding without exits still is: ever again, in session often."""
    trade, now = loaded.view.trade, deps.clock.now()
    contract = OccSymbol.parse(trade.occ_symbol)
    clock = await market_clock(broker, now=now)
    pause_s = deps.settings.order_waits.inventory_look_s
    if not sessions.is_open(deps, clock, trade.broker_mode, contract):
        pause_s = max(pause_s, sessions.until_open(deps, clock, contract))
    return among(_known, await look(loaded.view, None, broker, deps), pause_s=pause_s)


async def looked_before(loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Looked | Outcome | None:
    """Look before exits go back that nobody of us took down; None for others, an Outcome when they must not."""
    if not protecting.is_repair(loaded.view):
        return None
    looked = await look(loaded.view, None, broker, deps)
    if repairing.may_protect(repairing.known(loaded.view, looked, deps.moment(loaded), new_id=new_id)):
        return looked
    pause_s = deps.settings.order_waits.inventory_look_s
    return among(_known, looked, pause_s=pause_s)


async def _absorbed(loaded: Loaded, looked: Looked, broker: BrokerProvider, deps: Deps) -> Outcome:
    """See whether others bought it back, or whose lots were sold where the account is not short."""
    seen = await sights.look(broker, loaded, deps)
    waits, order_id = deps.settings.order_waits, new_id()

    def judge(looked: Looked) -> Judged:
        def apply(view: View, moment: Moment) -> View:
            view = repairing.known(view, looked, moment, new_id=new_id)
            return oversold.absorbed(view, seen, moment, order_id=order_id)

        return apply

    last = max((o.fill_seen_at for o in loaded.view.exit_orders if o.fill_seen_at), default=loaded.now)
    is_new = deps.moment(loaded).at(last, waits.look_gap_entry_s * 2) is not None
    return among(judge, looked, pause_s=waits.look_every_s if is_new else waits.look_last_s)


async def looked_before_sale(loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Looked | None:
    """Look before another sale where the broker refused one; None for others: no first sale waits for a look."""
    return await look(loaded.view, None, broker, deps) if protecting.was_sale_refused(loaded.view) else None


def unsold(view: View, moment: Moment) -> View | None:
    """End a close that has nothing to sell, by what a look has just shown; None where it may sell."""
    close = view.close_action
    if view.trade.is_locked or repairing.may_protect(view) or close is None:
        return view if view.trade.is_locked else None
    words = "an order that is not ours offers them" if view.trade.foreign_exit else "the broker shows none of it"
    return asking.failed(view, close.id, words, moment.now)


async def covered(loaded: Loaded, quote: Quote | None, base: Baseline, broker: BrokerProvider, deps: Deps) -> Outcome:
    """Make the intent of buying back what the account is short of by our own orders."""
    looked = await look(loaded.view, None, broker, deps)
    if looked.qty_of(loaded.view.trade.occ_symbol) >= 0:
        return await _absorbed(loaded, looked, broker, deps)
    can_buy = quote is not None and bool(quote.ask)

    def judge(looked: Looked) -> Judged:
        def apply(view: View, moment: Moment) -> View:
            view = repairing.known(view, looked, moment, new_id=new_id)
            qty = repairing.coverable_qty(view, looked)
            if qty <= 0 or not can_buy:
                return view
            made = brackets.cover_order(view, qty=qty, order_id=new_id(), tag=new_tag(), now=moment.now)
            return looking.with_orders(view, evidence.based(view, (made,), base))

        return apply

    will_buy = can_buy and repairing.coverable_qty(loaded.view, looked) > 0
    return among(judge, looked, pause_s=0.0 if will_buy else deps.settings.order_waits.look_every_s)
