"""The kill switch, and what a trade would use of each limit, as a person asks for them."""

from __future__ import annotations

from libs.common.errors import AppError, ContractInUse, KillSwitchOn, UpstreamUnavailable
from libs.common.handlers import Context, answers
from libs.common.messages.safety import (
    CheckTrade,
    GetKillSwitch,
    KillAction,
    KillState,
    KillSwitch,
    TradeCheck,
    TradeRefusal,
)
from services.orders import accounts, checks, credentials, kills, limits, modes, store_requests
from services.orders.deps import Deps
from services.orders.killing import KILLED


@answers(KillSwitch)
async def kill_switch(command: KillSwitch, ctx: Context, deps: Deps) -> KillState:
    """Engage or release. Idempotent: yes; engaging again takes up what came to light since."""
    engaged = command.action is KillAction.ENGAGE
    await kills.turn(deps, ctx, engaged=engaged)
    if engaged:
        await kills.first_look(deps, ctx.user)
    return await kills.state(deps, ctx.user)


@answers(GetKillSwitch)
async def get_kill_switch(query: GetKillSwitch, ctx: Context, deps: Deps) -> KillState:
    """Tell where everything stands."""
    return await kills.state(deps, ctx.user)


@answers(CheckTrade)
async def check_trade(query: CheckTrade, ctx: Context, deps: Deps) -> TradeCheck:
    """Tell what a trade would use of each limit. Nothing is stored, and nothing is promised: others may be quicker."""
    try:
        return await _checked(query, ctx, deps)
    except UpstreamUnavailable:
        raise
    except AppError as error:
        return TradeCheck(refusal=TradeRefusal(code=error.code, detail=error.detail))


async def _checked(query: CheckTrade, ctx: Context, deps: Deps) -> TradeCheck:
    async with deps.db.for_user(ctx.user) as unit:
        opening = await store_requests.opening(unit, ctx.user, "")
    settings, account = await accounts.of_request(deps, ctx.user, opening, query.account_id)
    credentials.offered(deps, account.broker_mode)
    modes.refuse_unspoken(query, account.broker_mode)
    broker = deps.broker(account.broker_mode, account.account_id, account.token_ciphertext)
    terms = await checks.terms_of(query, settings, broker, deps, previews=False)
    async with deps.db.for_user(ctx.user) as unit:
        standing = await store_requests.standing(unit, account, str(terms.contract), day=terms.day, fresh=terms.fresh)
    uses = tuple(limits.uses(settings, standing.exposure, terms.wanted(query)))
    refusals: list[AppError] = [use.refusal() for use in uses if use.exceeded]
    if opening.is_killed:
        refusals.insert(0, KillSwitchOn(KILLED))
    elif standing.contract_in_use or terms.live_there:
        refusals.insert(0, ContractInUse(f"{terms.contract} is in use in account {account.account_id}"))
    first = refusals[0] if refusals else None
    return TradeCheck(
        limits=tuple(use.shown() for use in uses),
        refusal=None if first is None else TradeRefusal(code=first.code, detail=first.detail),
    )
