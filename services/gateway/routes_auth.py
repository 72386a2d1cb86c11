"""Sign-in: register, login, logout, password, and who am I."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from libs.common.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NoAnswer,
    Throttled,
    TooLarge,
    Unauthenticated,
    UpstreamUnavailable,
)
from services.gateway import accounts
from services.gateway.accounts import Visit
from services.gateway.caller import Caller
from services.gateway.declared import PUBLIC, READ, WRITE, operation_name, problems
from services.gateway.deps import Deps, deps_of
from services.gateway.models_auth import LoginBody, Me, PasswordBody, RegisterBody
from services.gateway.permissions import SESSION_COOKIE, Admin, Viewer, refuse_foreign, refuse_forged, session_token

router = APIRouter(prefix="/api/auth", tags=["auth"], generate_unique_id_function=operation_name)

DOOR = (Forbidden, InvalidInput, NoAnswer, TooLarge, Throttled, UpstreamUnavailable)


@router.post("/register", status_code=201, responses=problems(*DOOR, Conflict), openapi_extra=PUBLIC)
async def register(request: Request, response: Response, body: RegisterBody) -> Me:
    """Join, and be signed in at once."""
    refuse_foreign(request)
    deps = deps_of(request)
    caller, token = await accounts.register(deps, body.username, body.password, visit_of(request))
    return signed_in(deps, response, caller, token)


@router.post("/login", responses=problems(*DOOR, Unauthenticated), openapi_extra=PUBLIC)
async def login(request: Request, response: Response, body: LoginBody) -> Me:
    """Sign in: a new session each time, in the cookie."""
    refuse_foreign(request)
    deps = deps_of(request)
    caller, token = await accounts.login(deps, body.username, body.password, visit_of(request))
    return signed_in(deps, response, caller, token)


@router.post("/logout", status_code=204, responses=problems(*DOOR), openapi_extra=PUBLIC)
async def logout(request: Request, response: Response) -> None:
    """End this session and its streams. Without a session nothing happens."""
    refuse_forged(request)
    await accounts.logout(deps_of(request), visit_of(request))
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="strict")


@router.post("/password", status_code=204, responses=problems(*WRITE, Throttled))
async def change_password(request: Request, caller: Admin, body: PasswordBody) -> None:
    """Change the password and end every other session."""
    await accounts.change_password(caller, body.current_password, body.new_password, visit_of(request))


@router.get("/me", responses=problems(*READ))
async def me(caller: Viewer) -> Me:
    """Tell who is signed in, and how."""
    return shown(caller)


def visit_of(request: Request) -> Visit:
    """Return where the request comes from, and the session it already has."""
    address = request.client.host if request.client else ""
    return Visit(address, request.headers.get("user-agent", "")[:200], session_token(request))


def signed_in(deps: Deps, response: Response, caller: Caller, token: str) -> Me:
    """Put the session into the cookie and show the user."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=deps.settings.session_days * 86_400,
        path="/",
        httponly=True,
        samesite="strict",
        secure=deps.settings.cookie_secure,
    )
    return shown(caller)


def shown(caller: Caller) -> Me:
    """Show a caller as he may see himself."""
    return Me(
        username=caller.username,
        is_admin=caller.is_admin,
        created_at=caller.created_at,
        via="key" if caller.by_key else "session",
        scopes=sorted(caller.scopes),
    )
