"""Settings and broker accounts of a user."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from libs.common.db import Unit
from libs.common.errors import Conflict
from services.orders import rows
from services.orders.preferences import TradingSettings
from services.orders.store_requests import Account

_SETTINGS = """
select json_build_object('settings', settings, 'key_version', key_version,
    'created_at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'updated_at', to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))::text
from orders.trading_settings where username = $1
"""

_INSERT_SETTINGS = """
insert into orders.trading_settings (username, settings) values ($1, $2::text::jsonb) on conflict do nothing
returning username
"""

_LOCK_SETTINGS = "select username from orders.trading_settings where username = $1 for update"

_HELD_MODE = "select settings->>'broker_mode' from orders.trading_settings where username = $1 for share"

_SAVE_SETTINGS = """
update orders.trading_settings
set settings = $2::text::jsonb, key_version = key_version + 1, updated_at = clock_timestamp()
where username = $1
returning key_version::text
"""

_ACCOUNTS = """
select coalesce(jsonb_agg(to_jsonb(a) order by a.created_at), '[]')::text
from orders.credentials a where a.username = $1 and a.token_ciphertext is not null
"""

_ACCOUNT = """
select to_jsonb(a)::text from orders.credentials a where a.account_key = $1 and a.token_ciphertext is not null
"""

_SAVE_ACCOUNT = """
insert into orders.credentials as c (account_key, username, broker_mode, account_id, account_name, token_ciphertext)
values ($1, $2, $3, $4, $5, $6)
on conflict (account_key) do update set
    account_name = coalesce(excluded.account_name, c.account_name), token_ciphertext = excluded.token_ciphertext,
    key_version = c.key_version + 1, updated_at = clock_timestamp()
where c.username = excluded.username
returning key_version::text
"""

_OWNER = """
select json_build_array(username, token_ciphertext is not null)::text from orders.credentials where account_key = $1
for update
"""

_LOCK_ACCOUNT = "select account_key from orders.credentials where account_key = $1 for update"

_WATCHED = """
select json_build_object(
    'open_trades', count(*) filter (where t.status <> 'CLOSED'),
    'unsettled_trades', count(*) filter (where t.status = 'CLOSED'))::text
from orders.trades t join orders.trade_views v on v.trade_id = t.id
where v.is_watched and t.username = $1 and t.broker_mode = $2 and t.account_id = $3
"""

_FORGET = """
update orders.credentials
set token_ciphertext = null, key_version = key_version + 1, updated_at = clock_timestamp()
where account_key = $1 and token_ciphertext is not null
returning key_version::text
"""


_SEALED = """
select coalesce(json_agg(json_build_array(account_key, token_ciphertext) order by account_key), '[]')::text
from (select account_key, token_ciphertext from orders.credentials
      where token_ciphertext is not null and account_key > $1 order by account_key limit $2) page
"""

_SEAL_AGAIN = """
update orders.credentials set token_ciphertext = $3 where account_key = $1 and token_ciphertext = $2
returning account_key
"""


@dataclass(frozen=True, slots=True)
class Saved:
    """How an account was stored."""

    key_version: int
    had_token: bool


@dataclass(frozen=True, slots=True)
class Needed:
    """How many trades need an account's token: open ones, and closed ones with an order that is not over."""

    open_trades: int
    unsettled_trades: int


class StoredSettings(TradingSettings):
    """Settings with when they were made and changed."""

    created_at: str
    updated_at: str

    def trading(self) -> TradingSettings:
        """Return the settings alone."""
        return TradingSettings(**self.model_dump(include=set(TradingSettings.model_fields)))


async def settings_of(unit: Unit, username: str) -> StoredSettings | None:
    """Read a user's settings; None before their first use."""
    raw = await unit.json(_SETTINGS, username)
    if raw is None:
        return None
    found = rows.loads(raw)
    return StoredSettings(**found["settings"], created_at=found["created_at"], updated_at=found["updated_at"])


async def make_settings(unit: Unit, username: str, settings: TradingSettings) -> bool:
    """Store first settings; False when there are some."""
    return await unit.json(_INSERT_SETTINGS, username, settings.model_dump_json()) is not None


async def lock_settings(unit: Unit, username: str) -> None:
    """Lock a user's settings."""
    await unit.json(_LOCK_SETTINGS, username)
    unit.lock_taken(username)


async def held_mode(unit: Unit, username: str) -> str | None:
    """Return the mode that a user trades in, which stays until this unit ends: whoever switches waits for it."""
    raw = await unit.json(_HELD_MODE, username)
    return None if raw is None else raw.decode()


async def save_settings(unit: Unit, username: str, settings: TradingSettings) -> int:
    """Replace a user's settings and return their new version."""
    document = orjson.loads(settings.model_dump_json(include=set(TradingSettings.model_fields)))
    return int(await unit.json(_SAVE_SETTINGS, username, orjson.dumps(document).decode()) or b"0")


async def accounts_of(unit: Unit, username: str) -> tuple[Account, ...]:
    """List a user's accounts."""
    return rows.read_all(Account, rows.loads(await unit.json(_ACCOUNTS, username) or b"[]"))


async def account(unit: Unit, key: str) -> Account | None:
    """Read one account; None when it is not there or not this user's."""
    raw = await unit.json(_ACCOUNT, key)
    return None if raw is None else rows.read(Account, rows.loads(raw))


async def save_account(unit: Unit, found: Account) -> Saved:
    """Store an account with its sealed token. Raises: Conflict when it is another user's.

    Through the worker's door: only that sees whether the account belongs to somebody else.
    """
    raw = await unit.json(_OWNER, found.account_key)
    owner, had_token = (None, False) if raw is None else rows.loads(raw)
    if owner is not None and owner != found.username:
        raise Conflict("this account is connected to another user")
    version = await unit.json(
        _SAVE_ACCOUNT,
        found.account_key,
        found.username,
        found.broker_mode,
        found.account_id,
        found.account_name,
        found.token_ciphertext,
    )
    if version is None:
        raise Conflict("this account is connected to another user")
    unit.lock_taken(found.account_key)
    return Saved(int(version), had_token)


async def lock_account(unit: Unit, key: str) -> None:
    """Lock an account's row, as an intent does: nothing is placed in it meanwhile."""
    await unit.json(_LOCK_ACCOUNT, key)
    unit.lock_taken(key)


async def watched_in(unit: Unit, found: Account) -> Needed:
    """Count the trades for which somebody must be able to ask the broker."""
    raw = await unit.json(_WATCHED, found.username, found.broker_mode, found.account_id)
    return Needed(**rows.loads(raw or b"{}"))


async def forget_token(unit: Unit, key: str) -> int | None:
    """Forget an account's token and return the row's version; None when there is none. The row stays its user's."""
    version = await unit.json(_FORGET, key)
    return None if version is None else int(version)


async def sealed_after(unit: Unit, key: str, limit: int) -> list[tuple[str, str]]:
    """Return accounts of all users with their sealed tokens, in the order of their keys, from after `key`."""
    return [(found, cipher) for found, cipher in rows.loads(await unit.json(_SEALED, key, limit) or b"[]")]


async def seal_again(unit: Unit, key: str, before: str, after: str) -> bool:
    """Replace a ciphertext by one of the same token; False when the token was renewed or taken away meanwhile."""
    return await unit.json(_SEAL_AGAIN, key, before, after) is not None
