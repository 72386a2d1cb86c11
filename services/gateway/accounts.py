"""People's accounts: join, sign in, sign out, change the password; and knowing who comes by cookie or key."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from libs.common.errors import Conflict, Forbidden, Throttled, Unauthenticated
from libs.common.ids import new_id
from libs.common.messages.gateway import UserRegistered
from services.gateway import names, store, throttle, visitor
from services.gateway.caller import Caller
from services.gateway.models_auth import Scope
from services.gateway.store_audit import note

if TYPE_CHECKING:
    from libs.common.db import Database
    from services.gateway.deps import Deps
    from services.gateway.passwords import Passwords

ALL_SCOPES = frozenset(Scope)
WRONG = "wrong username or password"


@dataclass(frozen=True)
class Visit:
    """Where a request comes from: the peer's address, its browser and the session it already has."""

    address: str
    user_agent: str
    session_token: str | None = None

    @property
    def via(self) -> str:
        """Where it comes from, in words."""
        return visitor.whereabouts("the page", self.user_agent, self.address)


def digest(token: str) -> str:
    """Return what is stored of a session token or API key; they have 256 random bits, so one hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


async def create_user(
    db: Database, passwords: Passwords, username: str, password: str, *, is_admin: bool
) -> store.User:
    """Make a user and tell everybody. Raises: InvalidInput, Conflict."""
    names.refuse_unfit(username)
    hashed = await passwords.hash(password)
    async with db.for_user(username) as unit:
        user = await store.insert_user(unit, username, hashed, is_admin=is_admin)
        if user is None:
            raise Conflict(f"the username {username} is taken")
        unit.emit(UserRegistered(username=username), key_version=1)
    return user


async def register(deps: Deps, username: str, password: str, visit: Visit) -> tuple[Caller, str]:
    """Join and sign in. Raises: Forbidden when registration is closed, InvalidInput, Conflict."""
    if deps.settings.registration == "closed":
        raise Forbidden("registration is closed here; ask the operator for an account")
    user = await create_user(deps.db, deps.passwords, username, password, is_admin=False)
    if "_" in username:
        deps.bots_concerned.set()
    return await _begin_session(deps, user, visit, "registered")


async def login(deps: Deps, username: str, password: str, visit: Visit) -> tuple[Caller, str]:
    """Sign in with a new session; the one the browser had ends. Raises: Unauthenticated, Throttled."""
    user = await _proven(deps, username, password, visit)
    if user is None:
        raise Unauthenticated(WRONG)
    if deps.passwords.is_old(user.password_hash):
        hashed = await deps.passwords.hash(password)
        async with deps.db.for_user(username) as unit:
            await store.set_password(unit, username, hashed)
    return await _begin_session(deps, user, visit, "signed_in")


async def logout(deps: Deps, visit: Visit) -> None:
    """End the session that the visitor has, and its streams."""
    token = visit.session_token
    if token is None:
        return
    async with deps.db.for_worker() as unit:
        ended = await store.delete_session(unit, digest(token))
        if ended is not None:
            await note(unit, ended.username, "signed_out", {}, via=visit.via)
    if ended is not None:
        deps.hub.end({ended.id})


async def change_password(caller: Caller, current: str, new: str, visit: Visit) -> None:
    """Change the password and end all other sessions. Raises: Forbidden, Throttled."""
    deps = caller.deps
    if await _proven(deps, caller.username, current, visit) is None:
        raise Forbidden("the current password is wrong")
    hashed = await deps.passwords.hash(new)
    async with deps.db.for_user(caller.username) as unit:
        await store.set_password(unit, caller.username, hashed)
        ended = await store.delete_sessions(unit, caller.username, but=caller.credential_id)
        detail = {"address": visit.address, "sessions_ended": len(ended)}
        await note(unit, caller.username, "password_changed", detail, via=visit.via)
    deps.hub.end(ended)


async def of_session(deps: Deps, token: str) -> Caller:
    """Know a browser by its cookie, as the database has it this moment. Raises: Unauthenticated."""
    async with deps.db.for_worker(ends_later=True) as unit:
        found = await store.session_of(unit, digest(token))
    if found is None:
        raise Unauthenticated("the session is over")
    return Caller(
        username=found.username,
        is_admin=found.is_admin,
        created_at=found.created_at,
        scopes=ALL_SCOPES,
        credential_id=found.id,
        by_key=False,
        deps=deps,
        via="the page",
    )


async def of_key(deps: Deps, key: str) -> Caller:
    """Know a program by its key, as the database has it this moment. Raises: Unauthenticated."""
    async with deps.db.for_worker() as unit:
        found = await store.key_of(unit, digest(key))
        if found is not None and found.is_unused_lately:
            await store.touch_key(unit, found.id)
    if found is None:
        raise Unauthenticated("the API key is unknown or revoked")
    return Caller(
        username=found.username,
        is_admin=found.is_admin,
        created_at=found.created_at,
        scopes=frozenset(map(Scope, found.scopes)),
        credential_id=found.id,
        by_key=True,
        deps=deps,
        via=f"API key {found.name}",
    )


def network(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 an IPv6 address is in."""
    if ":" not in address:
        return address
    return ":".join(address.split(":")[:4])


async def _proven(deps: Deps, username: str, password: str, visit: Visit) -> store.User | None:
    """Check a password, one try at a time per account and address; a wrong one is counted. Raises: Throttled."""
    account = username if names.is_possible(username) else ""
    address = network(visit.address)
    async with deps.turns.of(f"{account} {address}"):
        async with deps.db.for_worker() as unit:
            _refuse_hasty(await store.failures_of(unit, account, address))
            user = await store.user_of(unit, account)
        fits = await deps.passwords.fits(password, user.password_hash if user else None)
        async with deps.db.for_worker() as unit:
            if fits:
                await store.forgive(unit, account, address)
            else:
                await store.count_failure(unit, account, address, throttle.FORGOTTEN_AFTER_S)
                await note(unit, account, "sign_in_failed", {"address": visit.address}, via=visit.via)
    return user if fits else None


def _refuse_hasty(failures: store.Failures) -> None:
    wait = max(
        throttle.wait_s(throttle.PAIR, *failures.pair),
        throttle.wait_s(throttle.ADDRESS, *failures.address),
        0.0 if failures.is_known else throttle.wait_s(throttle.ACCOUNT, *failures.account),
    )
    if wait > 0:
        whole = int(wait) + 1
        raise Throttled(f"too many failed sign-ins; try again in {whole} s", retry_after_s=whole)


async def _begin_session(deps: Deps, user: store.User, visit: Visit, action: str) -> tuple[Caller, str]:
    token = secrets.token_urlsafe(32)
    session_id = new_id()
    lasts = timedelta(days=deps.settings.session_days)
    async with deps.db.for_user(user.username) as unit:
        await store.insert_session(
            unit, session_id, user.username, token_hash=digest(token), lasts=lasts, user_agent=visit.user_agent
        )
        await store.remember_address(unit, user.username, network(visit.address))
        detail = {"address": visit.address, "user_agent": visit.user_agent}
        await note(unit, user.username, action, detail, via=visit.via)
    await logout(deps, visit)
    caller = Caller(
        username=user.username,
        is_admin=user.is_admin,
        created_at=user.created_at,
        scopes=ALL_SCOPES,
        credential_id=session_id,
        by_key=False,
        deps=deps,
    )
    return caller, token
