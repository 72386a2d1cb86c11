"""What monitor asks of a trade it found at odds with the broker. Nothing it says is believed: orders looks again."""

from __future__ import annotations

import orjson

from libs.common.handlers import Context, Reply, answers
from libs.common.ids import new_id
from libs.common.messages.orders import RepairTrade
from services.orders import asking, repairing, saving, store
from services.orders.deps import Deps
from services.orders.flow import JOB
from services.orders.plan import is_running
from services.orders.repairing import Standing


@answers(RepairTrade)
async def repair_trade(command: RepairTrade, ctx: Context, deps: Deps) -> Reply:
    """Store a look at the broker for the trade's next safe mark. Idempotent: one at a time, and it only looks."""
    async with deps.db.for_user(ctx.user) as unit:
        loaded = await store.lock_view(unit, command.trade_id)
        view, moment = loaded.view, deps.moment(loaded)
        running = is_running(view, moment)
        state = repairing.standing(view, command.finding, command.seen_key_version, is_running=running)
        if state is Standing.STARTED:
            asked = asking.with_repair(view, command, action_id=new_id(), now=moment.now)
            await saving.save(unit, view, asked, moment)
            await unit.schedule(JOB, view.trade.id, None, user=ctx.user, replace=False)
    return Reply(200, orjson.dumps({"state": state}))
