"""API keys of programs: made once, shown once, revoked at once."""

from __future__ import annotations

import secrets

from libs.common.errors import LimitExceeded, NotFound
from libs.common.ids import new_id
from services.gateway import bots
from services.gateway import store_keys as store
from services.gateway.accounts import digest
from services.gateway.caller import Caller
from services.gateway.models_auth import Key, KeyBody, Keys, NewKey, Scope
from services.gateway.permissions import KEY_PREFIX
from services.gateway.store_audit import note

MOST_KEYS = 50


async def all_of(caller: Caller) -> Keys:
    """List the caller's keys that are not revoked."""
    async with caller.deps.db.for_user(caller.username) as unit:
        found = await store.keys_of(unit, caller.username)
    return Keys(keys=[_shown(key) for key in found])


async def make(caller: Caller, body: KeyBody) -> NewKey:
    """Make a key and show its secret this once. Raises: LimitExceeded."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    scopes = sorted(set(body.scopes))
    async with caller.deps.db.for_user(caller.username) as unit:
        held = await store.count_keys(unit, caller.username)
        if held >= MOST_KEYS:
            raise LimitExceeded(f"a user may hold {MOST_KEYS} keys, and holds {held}; revoke one first")
        key = await store.insert_key(
            unit, new_id(), caller.username, name=body.name, key_hash=digest(secret), scopes=scopes
        )
        detail = {"key_id": key.id, "name": key.name, "scopes": scopes}
        await note(unit, caller.username, "key_made", detail, via=caller.via)
    if Scope.SIGNAL in body.scopes:
        await bots.make_room(caller.deps, caller.username)
    return NewKey(**_shown(key).model_dump(), secret=secret)


async def revoke(caller: Caller, key_id: str) -> None:
    """Revoke a key and end its streams and its bots' connections. Raises: NotFound."""
    async with caller.deps.db.for_user(caller.username) as unit:
        name = await store.revoke_key(unit, caller.username, key_id)
        if name is None:
            raise NotFound("no such key")
        await note(unit, caller.username, "key_revoked", {"key_id": key_id, "name": name}, via=caller.via)
    caller.deps.hub.end({key_id})
    caller.deps.bots_concerned.set()


def _shown(key: store.ApiKey) -> Key:
    return Key(
        id=key.id,
        name=key.name,
        scopes=[Scope(scope) for scope in key.scopes],
        created_at=key.created_at,
        last_used_at=key.last_used_at,
    )
