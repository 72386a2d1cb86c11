"""One action per key: what a repeated request is answered, in whatever state the first one left things."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import orjson

from libs.common.db import Unit
from libs.common.errors import (
    AppError,
    Expired,
    IdempotencyInProgress,
    IdempotencyMismatch,
    KillSwitchOn,
    NoAnswer,
    NotFound,
    UpstreamRefused,
    UpstreamUnavailable,
)
from libs.common.handlers import Context, Reply
from libs.common.messages.base import Command
from libs.common.messages.orders import PlaceTrade
from libs.common.messages.vocabulary import CloseReason, OrderStatus, TradeStatus
from services.orders import store_lists, store_requests
from services.orders.deps import Deps
from services.orders.merging import NEVER_SENT, NOT_PLACED
from services.orders.store_requests import Request
from services.orders.trade import ActionState

LOOK_EVERY_S = 0.05
ANSWER_SLACK_S = 1.0
"""How much longer than its own wait an answer may take to be read and noted."""
_OPEN_STATES = frozenset({ActionState.REQUESTED, ActionState.QUEUED, ActionState.RUNNING})


def body_hash(command: Command) -> str:
    """Name a body without keeping it."""
    values = command.model_dump(mode="json", exclude={"idempotency_key", "by_program"})
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).hexdigest()


def begun(command: Command, ctx: Context, key: str, *, trade_id: str | None, action_id: str | None) -> Request:
    """Describe a request for its row."""
    return Request(
        key=key,
        kind=command.topic,
        body_hash=body_hash(command),
        envelope_id=ctx.id,
        trade_id=trade_id,
        action_id=action_id,
        created_at=ctx.occurred_at,
        answered_at=None,
    )


@contextmanager
def already_stored(deps: Deps, ctx: Context, key: str) -> Iterator[None]:
    """Note that a stored request is being answered here; say that it may have been done when its answer cannot be read.

    Without this the caller would be told "proven not done" of an order that is on its way, and place it again.
    Raises: NoAnswer instead of UpstreamUnavailable, unless that names its trade: then it is how the trade ended.
    """
    deps.answering.add((ctx.user, key))
    try:
        yield
    except UpstreamUnavailable as error:
        if "trade_id" in error.extra:
            raise
        words = f"the request is stored and goes on, but {error.detail}; ask again with the same key"
        raise NoAnswer(words) from error
    finally:
        deps.answering.discard((ctx.user, key))


async def replayed(deps: Deps, command: Command, ctx: Context, first: Request) -> Reply:
    """Answer a request whose key was used, by what is stored: that is there from the moment the key is.

    Only while the first is being answered by this very process is the second told so. Another process may have died
    with it, and nobody has to wait for the dead: what is stored is the truth, whoever goes on with it.
    Raises: IdempotencyMismatch, IdempotencyInProgress, as the first ended.
    """
    if first.kind != command.topic or first.body_hash != body_hash(command):
        raise IdempotencyMismatch("this Idempotency-Key was used with another request")
    if first.envelope_id == ctx.id:
        await _first_answer(deps, command, ctx, first)
    elif (ctx.user, first.key) in deps.answering:
        raise IdempotencyInProgress("the first request with this key is still running")
    reply = await present(deps, ctx, first.key)
    return replace(reply, headers={**reply.headers, "Idempotent-Replayed": "true"})


async def _first_answer(deps: Deps, command: Command, ctx: Context, first: Request) -> None:
    """Let the first delivery of the same request finish: its answer says more. It takes no longer than its own wait."""
    settings = deps.settings
    within_s = settings.place_answer_s if command.topic == PlaceTrade.topic else settings.action_answer_s
    while True:
        async with deps.db.for_user(ctx.user) as unit:
            now = await store_requests.opening(unit, ctx.user, first.key)
        request = now.request
        if request is None or request.answered_at is not None:
            return
        if now.now >= request.created_at + timedelta(seconds=within_s + ANSWER_SLACK_S):
            return
        if ctx.deadline_at is not None and deps.clock.now() >= ctx.deadline_at - timedelta(seconds=0.5):
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def present(deps: Deps, ctx: Context, key: str) -> Reply:
    """Answer a request with what it has led to by now, and note that it was answered."""
    # Only that it was answered is stored: should the server forget that, a repeat waits a little.
    async with deps.db.for_user(ctx.user, waits_for_disk=False) as unit:
        request = (await store_requests.opening(unit, ctx.user, key)).request
        if request is None or request.trade_id is None:
            raise NotFound("there is nothing under this key")
        return await answer(unit, ctx.user, request)


async def answer(unit: Unit, username: str, request: Request) -> Reply:
    """Answer with the trade, or raise as what it ended. Raises: UpstreamRefused, UpstreamUnavailable, Expired."""
    found = await store_lists.answered(unit, request.trade_id or "", username, request.key, request.action_id)
    if found is None:
        raise NotFound("there is no such trade")
    body, state = found
    if request.kind == PlaceTrade.topic:
        return _placed(body)
    return Reply(200, body) if state is None else _acted(body, *state)


def _placed(body: bytes) -> Reply:
    trade = orjson.loads(body)
    entry = [order for order in trade["orders"] if order["role"] == "ENTRY"][-1]
    if trade["status"] == TradeStatus.CLOSED and trade["filled_qty"] == 0:
        _raise_ended(trade)
    unclear = entry["status"] in (OrderStatus.INTENT, OrderStatus.SENT, OrderStatus.UNKNOWN)
    return Reply(202 if unclear else 201, body)


def _raise_ended(trade: dict[str, str]) -> None:
    words = trade["reason"] or "the broker gave no reason"
    error: AppError | None = None
    if trade["close_reason"] == CloseReason.KILL_SWITCH:
        error = KillSwitchOn("the kill switch was engaged before anything was bought", trade_id=trade["id"])
    elif words == NOT_PLACED:
        error = UpstreamUnavailable("the order could not be placed; nothing was bought", trade_id=trade["id"])
    elif words == NEVER_SENT:
        error = Expired("the order was never sent; nothing was bought", trade_id=trade["id"])
    elif trade["close_reason"] == CloseReason.REJECTED:
        error = UpstreamRefused(words, trade_id=trade["id"])
    if error is not None:
        raise error


def _acted(body: bytes, state: ActionState, words: str | None) -> Reply:
    if state in _OPEN_STATES:
        return Reply(202, body)
    if state is ActionState.FAILED and orjson.loads(body)["status"] != TradeStatus.CLOSED:
        raise UpstreamRefused(words or "the broker refused")
    return Reply(200, body)
