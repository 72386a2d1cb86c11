"""What orders does with facts: the broker's news of its orders, and people who join."""

from __future__ import annotations

from libs.common import log
from libs.common.errors import NotFound
from libs.common.handlers import LATEST, ONCE, Context, consume
from libs.common.messages.gateway import UserRegistered
from libs.common.messages.monitor import OrderChanged
from libs.common.metrics import METRICS
from services.orders import accounts, lifecycle, reading, saving, store, store_requests
from services.orders.deps import Deps
from services.orders.flow import JOB
from services.orders.plan import next_step
from services.orders.steps import Wait

_log = log.get(__name__)
_STALE = METRICS.counter("order_reports_total", "Reports of broker orders, by what they told", ["told"])


@consume(OrderChanged, durable="orders-broker", accept=LATEST)
async def on_order_changed(fact: OrderChanged, ctx: Context, deps: Deps) -> None:
    """Apply what the broker says of one order. Order-free: an older version of this broker order is dropped."""
    async with deps.db.for_user(ctx.user) as unit:
        if not await unit.newest(ctx):
            return
        if await store_requests.is_known(unit, fact):
            _STALE.labels("known").inc()
            return
        trade_id = fact.trade_id or await store_requests.trade_of_order(unit, fact.broker_order_id, fact.tag)
        if trade_id is None:
            _STALE.labels("foreign").inc()
            return
        try:
            loaded = await store.lock_view(unit, trade_id)
            if (moved_to := reading.recovered_as(loaded.view, fact)) is not None:
                loaded = await store.lock_view(unit, moved_to)
        except NotFound:
            _log.warning("order_of_unknown_trade", trade_id=trade_id, broker_order_id=fact.broker_order_id)
            return
        report = reading.report_of_fact(loaded.view, fact)
        if report is None:
            _STALE.labels("foreign").inc()
            return
        moment = deps.moment(loaded)
        view = lifecycle.applied(loaded.view, (report,), moment.now)
        _STALE.labels("news" if view.events else "known").inc()
        stored = await saving.save(unit, loaded.view, view, moment)
        step = next_step(stored, moment)
        if not isinstance(step, Wait) or step.until is not None:
            # Whoever drives the trade now reads this news under its lock; should he be gone, his claim ends.
            due_at = loaded.view.flow.claim_ends(loaded.now) or (step.until if isinstance(step, Wait) else None)
            await unit.schedule(JOB, stored.trade.id, due_at, user=ctx.user, replace=False)


@consume(UserRegistered, durable="orders-users", accept=ONCE)
async def on_user_registered(fact: UserRegistered, ctx: Context, deps: Deps) -> None:
    """Prepare settings and a PAPER account. Idempotent: made only where there is none."""
    await accounts.settled_in(deps, fact.username)
    async with deps.db.for_user(ctx.user) as unit:
        await unit.first(ctx)
