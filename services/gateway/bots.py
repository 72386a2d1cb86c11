"""The door for bots: the NATS server asks of each who wants in, and a bot whose key was revoked is shown out.

While no gateway is there, bots wait outside and everybody else comes and goes: only their logins are asked here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from libs.common import log
from libs.common.errors import AppError, Forbidden, PoisonMessage, Throttled, Unauthenticated, UpstreamUnavailable
from libs.common.messages import bots as door
from libs.common.metrics import METRICS
from libs.common.waiting import first_of
from services.gateway import accounts, names, store, store_keys
from services.gateway.bottokens import Asked, Issuer, read
from services.gateway.models_auth import Scope
from services.gateway.permissions import KEY_PREFIX, MAX_TOKEN

if TYPE_CHECKING:
    from libs.common.link import Message
    from services.gateway.deps import Deps

AT_ONCE = 16
PAGE = 500
ASK_S = 2.0
SKEW = timedelta(seconds=2)
"""How far the NATS server's clock may be behind the database's: a connection made just after a revocation ends too."""

_log = log.get(__name__)
_ASKED = METRICS.counter("bot_logins_total", "Bots that wanted in, by what they were told", ["answer"])
_ENDED = METRICS.counter("bot_connections_ended_total", "Connections of bots ended: a revoked key, another's inbox")


async def admit(deps: Deps) -> None:
    """Answer the server's questions until cancelled; without an issuer's key there are none."""
    seed = deps.settings.bots_issuer_seed.get_secret_value()
    if not seed:
        await deps.stopping.wait()
        return
    issuer = Issuer(seed)
    slots = asyncio.Semaphore(AT_ONCE)
    await deps.bus.wait_connected()
    async with asyncio.TaskGroup() as tasks:

        async def take(message: Message) -> None:
            await slots.acquire()
            tasks.create_task(_answer(deps, issuer, message)).add_done_callback(lambda _: slots.release())

        await deps.bus.subscribe(door.ASKED, take, queue="gateway")
        await asyncio.Event().wait()


async def _answer(deps: Deps, issuer: Issuer, message: Message) -> None:
    """Answer one question, whatever happens; one that cannot be answered leaves the bot waiting outside."""
    try:
        asked = read(message.data)
        try:
            user, bot = await _known(deps, asked)
            await _refuse_crowd(deps, user)
        except (Unauthenticated, Forbidden, Throttled) as error:
            _ASKED.labels(error.code).inc()
            answer = issuer.refused(asked, error.detail, deps.clock.now())
        else:
            # Nothing is waited for between counting him and this, so no two take the last place.
            deps.crowd.let_in(user, (asked.server_id, asked.connection), deps.clock.monotonic())
            _ASKED.labels("granted").inc()
            answer = issuer.granted(asked, user, bot, deps.clock.now())
        await deps.bus.publish(message.reply, answer)
    except PoisonMessage as error:
        _log.error("bot_login_unread", detail=error.detail)
    except AppError as error:
        _ASKED.labels(error.code).inc()
        _log.warning("bot_login_waits", detail=error.detail)


async def _known(deps: Deps, asked: Asked) -> tuple[str, str]:
    """Know a bot by its name `<user>.<bot>` and its user's key. Raises: Unauthenticated, Forbidden, Throttled."""
    user, _, bot = asked.name.partition(".")
    if not (names.is_possible(user) and names.is_possible(bot)):
        raise Unauthenticated("a bot connects as <user>.<bot>, both written like a username")
    if not asked.key.startswith(KEY_PREFIX) or len(asked.key) > MAX_TOKEN:
        raise Unauthenticated("the password is no API key")
    if deps.knocks.count(accounts.digest(asked.key), deps.clock.monotonic()) > deps.settings.bot_logins_per_10_s:
        raise Throttled("too many logins with this API key; try again in 10 s")
    caller = await accounts.of_key(deps, asked.key)
    if caller.username != user:
        raise Unauthenticated("the API key is unknown or revoked")
    if Scope.SIGNAL not in caller.scopes:
        raise Forbidden("the API key's scopes do not include signal")
    if "_" in bot and await _is_ambiguous(deps, user, bot):
        raise Forbidden(f"the bot's name {bot} would give it another user's inbox; choose one without _")
    return user, bot


async def _is_ambiguous(deps: Deps, user: str, bot: str) -> bool:
    """Say whether the bot's inbox could be that of another user's bot."""
    async with deps.db.for_worker() as unit:
        return bool(await store.users_among(unit, names.sharers(user, bot)))


async def _refuse_crowd(deps: Deps, user: str) -> None:
    """Refuse one more of a user whose bots are as many as may be. Raises: Throttled, UpstreamUnavailable."""
    crowd, most = deps.crowd, deps.settings.bot_connections_per_user
    if crowd.count(user) < most:
        return
    knocked_at = deps.clock.monotonic()
    async with deps.counting:
        # Some may have gone since the server was asked last; one question is enough for all who wait for it.
        if crowd.asked_at < knocked_at:
            await _standing(deps)
    if crowd.count(user) >= most:
        raise Throttled(f"the bots of one user have {most} connections at most")


# ── shown out ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def check_rights(deps: Deps) -> None:
    """End the bots of revoked keys and of shared inboxes, at once when that came about here, soon when elsewhere."""
    while True:
        await first_of(deps.stopping, deps.bots_concerned, within_s=deps.settings.stream_check_s)
        if deps.stopping.is_set():
            return
        deps.bots_concerned.clear()
        try:
            await sweep(deps)
        except AppError as error:
            # Tried again in a moment; nobody's key is checked by this, only connections that stand.
            _log.info("bots_not_checked", detail=error.detail)


async def make_room(deps: Deps, username: str) -> None:
    """End whoever stands in an inbox of this user's bots, before the first of them can come."""
    if "_" not in username:
        return
    try:
        await sweep(deps)
    except UpstreamUnavailable:
        deps.bots_concerned.set()


async def sweep(deps: Deps) -> int:
    """End each connection older than its user's latest revocation or in another user's inbox; return how many.

    A bot whose own key still holds is back in a moment, with a connection that is younger.
    Idempotent: yes. Raises: UpstreamUnavailable.
    """
    connections = await _standing(deps)
    users = {_user_of(one) for one in connections}
    shared = {other for one in connections for other in _sharers_of(one)}
    async with deps.db.for_worker() as unit:
        revoked = await store_keys.last_revocations(unit, sorted(users))
        others = await store.users_among(unit, sorted(shared)) if shared else frozenset()
    ended = [one for one in connections if _is_outlived(one, revoked) or others.intersection(_sharers_of(one))]
    for one in ended:
        body = orjson.dumps({"cid": one["cid"]})
        await deps.bus.request(door.kick(one["server_id"]), body, timeout_s=ASK_S)
        _ENDED.inc()
    return len(ended)


def _user_of(connection: Mapping[str, Any]) -> str:
    return str(connection["authorized_user"]).partition(".")[0]


def _sharers_of(connection: Mapping[str, Any]) -> list[str]:
    user, _, bot = connection["authorized_user"].partition(".")
    return names.sharers(user, bot)


def _is_outlived(connection: Mapping[str, Any], revoked: Mapping[str, datetime]) -> bool:
    revoked_at = revoked.get(_user_of(connection))
    return revoked_at is not None and datetime.fromisoformat(connection["start"]) < revoked_at + SKEW


async def _standing(deps: Deps) -> list[dict[str, Any]]:
    """Ask the server which bots are connected, and count them. Raises: UpstreamUnavailable."""
    asked_at = deps.clock.monotonic()
    found = [one async for one in _connections(deps)]
    deps.crowd.told(((_user_of(one), (one["server_id"], one["cid"])) for one in found), asked_at)
    return found


async def _connections(deps: Deps) -> Any:
    """Yield the bots' connections as the server tells of them, a page at a time. Raises: UpstreamUnavailable."""
    offset = 0
    while True:
        body = orjson.dumps({"auth": True, "limit": PAGE, "offset": offset})
        answer = await deps.bus.request(door.CONNECTIONS, body, timeout_s=ASK_S)
        found = {} if answer is None else orjson.loads(answer.data).get("data", {})
        page = found.get("connections") or []
        for one in page:
            yield {**one, "server_id": found["server_id"], "authorized_user": str(one.get("authorized_user", ""))}
        offset += len(page)
        if len(page) < PAGE:
            return
