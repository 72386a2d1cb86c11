"""Who asks, as a parameter type: `Viewer` may look, `Trader` trade, `Signaller` publish, `Admin` change the account.

A browser's session may do all four. A program's key does what its scopes say: `read` looks, `trade` also trades,
`signal` only publishes signals, `admin` does everything. An unsafe method with the cookie needs the header
`X-Bookend: 1`, and an Origin that is ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from libs.common.errors import Forbidden, Unauthenticated
from services.gateway import accounts, visitor
from services.gateway.caller import Caller
from services.gateway.deps import deps_of
from services.gateway.models_auth import Scope

SESSION_COOKIE = "bookend_session"
KEY_PREFIX = "bk_"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_TOKEN = 200

LOOKS = frozenset({Scope.READ, Scope.TRADE, Scope.ADMIN})
TRADES = frozenset({Scope.TRADE, Scope.ADMIN})
SIGNALS = frozenset({Scope.SIGNAL, Scope.ADMIN})
ADMINISTERS = frozenset({Scope.ADMIN})


async def viewer(request: Request) -> Caller:
    """Know the caller and let him look. Raises: Unauthenticated, Forbidden."""
    return _allowed(await _known(request), LOOKS)


async def trader(request: Request) -> Caller:
    """Know the caller and let him trade. Raises: Unauthenticated, Forbidden."""
    return _allowed(await _known(request), TRADES)


async def signaller(request: Request) -> Caller:
    """Know the caller and let him publish signals. Raises: Unauthenticated, Forbidden."""
    return _allowed(await _known(request), SIGNALS)


async def admin(request: Request) -> Caller:
    """Know the caller and let him change the account itself. Raises: Unauthenticated, Forbidden."""
    return _allowed(await _known(request), ADMINISTERS)


Viewer = Annotated[Caller, Depends(viewer)]
Trader = Annotated[Caller, Depends(trader)]
Signaller = Annotated[Caller, Depends(signaller)]
Admin = Annotated[Caller, Depends(admin)]


def session_token(request: Request) -> str | None:
    """Return the token in the session cookie, if there is a plausible one."""
    token = request.cookies.get(SESSION_COOKIE)
    return token if token and len(token) <= MAX_TOKEN else None


def refuse_forged(request: Request) -> None:
    """Refuse an unsafe request that another site could have made a browser send. Raises: Forbidden."""
    if request.method in SAFE_METHODS:
        return
    if request.headers.get("x-bookend") != "1":
        raise Forbidden("the header X-Bookend: 1 is missing")
    refuse_foreign(request)


def refuse_foreign(request: Request) -> None:
    """Refuse what another site's page made a browser send. Raises: Forbidden."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Forbidden("the request comes from another site")


async def _known(request: Request) -> Caller:
    caller = await _credited(request)
    return replace(caller, via=_whereabouts(request, caller))


def _whereabouts(request: Request, caller: Caller) -> str:
    """Say where the caller sits, for the story of what he does."""
    user_agent = "" if caller.by_key else request.headers.get("user-agent", "")
    return visitor.whereabouts(caller.via, user_agent, request.client.host if request.client else "")


async def _credited(request: Request) -> Caller:
    deps = deps_of(request)
    given = request.headers.get("authorization")
    if given is not None:
        scheme, _, key = given.partition(" ")
        if scheme.lower() != "bearer" or not key.startswith(KEY_PREFIX) or len(key) > MAX_TOKEN:
            raise Unauthenticated("the Authorization header holds no API key")
        return await accounts.of_key(deps, key)
    token = session_token(request)
    if token is None:
        raise Unauthenticated("no session and no API key")
    refuse_forged(request)
    return await accounts.of_session(deps, token)


def _allowed(caller: Caller, scopes: frozenset[Scope]) -> Caller:
    if caller.scopes.isdisjoint(scopes):
        needed = ", ".join(sorted(scopes))
        raise Forbidden(f"the API key's scopes allow this to none of: {needed}")
    return caller
