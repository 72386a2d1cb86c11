"""What orders is asked about trades: PostgreSQL makes the JSON, the bytes are passed on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import orjson

from libs.broker.base import BrokerMode as Venue
from libs.common import cursor
from libs.common.errors import InvalidInput, NotFound
from libs.common.handlers import Context, Reply, answers
from libs.common.messages.monitor import Banner
from libs.common.messages.orders import (
    ExportTrades,
    GetContext,
    GetOrdersStatus,
    GetTimeline,
    GetTrade,
    ListHistory,
    ListTracked,
    ListTrades,
)
from libs.common.messages.vocabulary import Severity
from services.orders import store_accounts, store_lists
from services.orders.deps import Deps
from services.orders.store_requests import Account

MOST = 200
MOST_BYTES = 480 * 1024
"""Under the bus's limit, with room for the rest of the page."""


SILENT_DATABASE_S = 60
"""Recovery asks the database far more often; a longer silence means that it is away."""


@answers(ListTrades)
async def list_trades(query: ListTrades, ctx: Context, deps: Deps) -> Reply:
    """List open or closed trades, newest first."""
    limit = _limit(query.limit)
    mode = query.broker_mode
    async with deps.db.for_user(ctx.user) as unit:
        if query.status == "CLOSED":
            raw = await store_lists.closed_trades(unit, limit + 1, cursor.decode(query.cursor), mode)
        else:
            list_of = store_lists.open_trades if query.status == "OPEN" else store_lists.all_trades
            raw = await list_of(unit, limit + 1, _id_cursor(query.cursor), mode)
    page = _page(raw, limit, by_close=query.status == "CLOSED")
    # Names a content, proves nothing: the quickest digest there is, for it reads every answer whole.
    etag = f'"{hashlib.sha1(page, usedforsecurity=False).hexdigest()}"'
    if query.if_none_match == etag:
        return Reply(304, b"", {"ETag": etag})
    return Reply(200, page, {"ETag": etag})


@answers(ListHistory)
async def list_history(query: ListHistory, ctx: Context, deps: Deps) -> bytes:
    """List closed trades that match, the last closed first."""
    if query.result not in (None, "win", "loss", "expired"):
        raise InvalidInput(f"result is win, loss or expired, was {query.result}")
    limit = _limit(query.limit)
    async with deps.db.for_user(ctx.user) as unit:
        raw = await store_lists.history(
            unit,
            limit + 1,
            cursor.decode(query.cursor),
            result=query.result,
            strategy=query.strategy,
            closed_from=query.closed_from,
            closed_to=query.closed_to,
        )
    return _page(raw, limit, by_close=True)


@answers(ExportTrades)
async def export_trades(query: ExportTrades, ctx: Context, deps: Deps) -> bytes:
    """Answer one page of the export, the oldest first."""
    limit = _limit(query.limit)
    async with deps.db.for_user(ctx.user) as unit:
        raw = await store_lists.export(unit, limit + 1, _id_cursor(query.cursor))
    return _page(raw, limit, by_close=False)


@answers(ListTracked)
async def list_tracked(query: ListTracked, ctx: Context, deps: Deps) -> bytes:
    """Page through every trade that must be watched, of all users."""
    limit = _limit(query.limit)
    async with deps.db.for_worker() as unit:
        raw = await store_lists.tracked(unit, limit + 1, _id_cursor(query.cursor))
    return _page(raw, limit, by_close=False)


@answers(GetTrade)
async def get_trade(query: GetTrade, ctx: Context, deps: Deps) -> bytes:
    """Answer one trade in full."""
    async with deps.db.for_user(ctx.user) as unit:
        return _there(await store_lists.detail(unit, query.trade_id), query.trade_id)


@answers(GetTimeline)
async def get_timeline(query: GetTimeline, ctx: Context, deps: Deps) -> bytes:
    """Tell the story of one trade."""
    async with deps.db.for_user(ctx.user) as unit:
        return _there(await store_lists.timeline(unit, query.trade_id), query.trade_id)


@answers(GetContext)
async def get_context(query: GetContext, ctx: Context, deps: Deps) -> bytes:
    """Answer the time capsule of one trade."""
    async with deps.db.for_user(ctx.user) as unit:
        return _there(await store_lists.context(unit, query.trade_id), query.trade_id)


@answers(GetOrdersStatus)
async def get_status(query: GetOrdersStatus, ctx: Context, deps: Deps) -> dict[str, object]:
    """Answer the banners and feeds of orders: accounts whose entries are refused, its own dependencies' ages."""
    async with deps.db.for_user(ctx.user) as unit:
        known = await store_accounts.accounts_of(unit, ctx.user)
    banners = [banner.model_dump(mode="json") for banner in paused(known, deps)]
    now = deps.clock.now().isoformat()
    age_s = deps.db.age_s
    told_s = None if age_s is None else round(age_s, 1)
    is_ok = age_s is not None and age_s < SILENT_DATABASE_S
    return {"banners": banners, "feeds": [{"name": "database", "as_of": now, "age_s": told_s, "ok": is_ok}]}


def paused(known: Iterable[Account], deps: Deps) -> Iterator[Banner]:
    """Say whose entries are refused for now because the broker does not answer; what ends by itself, ends with it."""
    for account in known:
        until = deps.factory.paused_until(Venue(account.broker_mode), account.account_id)
        if until is not None:
            name = account.account_name or account.account_id
            text = f"No new entries for {name} until {until:%H:%M:%S} UTC: its broker does not answer. Closing goes on."
            since = until - timedelta(seconds=deps.settings.breaker_pause_s)
            yield Banner(code="entries_paused", level=Severity.WARNING, text=text, since=since)


def _there(found: bytes | None, trade_id: str) -> bytes:
    if found is None:
        raise NotFound(f"there is no trade {trade_id}")
    return found


def _limit(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise InvalidInput(f"limit must be between 1 and {MOST}, was {limit}")
    return limit


def _id_cursor(text: str | None) -> str | None:
    if text is None:
        return None
    if len(text) > 64 or not text.replace("-", "").isalnum():
        raise InvalidInput("this cursor is not one of ours")
    return text


def _page(raw: bytes, limit: int, *, by_close: bool) -> bytes:
    """Add `next_cursor`; a page that has no more rows, the usual one, is passed on as it is."""
    if raw.count(b'"is_locked":') <= limit and len(raw) < MOST_BYTES:
        return raw[:-1] + b',"next_cursor":null}'
    trades = orjson.loads(raw)["trades"]
    kept = trades[:limit]
    while len(orjson.dumps(kept)) > MOST_BYTES and len(kept) > 1:
        kept = kept[: len(kept) // 2]
    last, more = kept[-1], len(kept) < len(trades)
    following = None
    if more:
        following = cursor.encode(datetime.fromisoformat(last["close_date"]), last["id"]) if by_close else last["id"]
    return orjson.dumps({"trades": kept, "next_cursor": following})
