"""Which usernames may exist: whole subject tokens that look like no role, service, wildcard or system user.

1. A name matches `USERNAME_PATTERN`, so it is one subject token and needs no quoting anywhere.
2. No name is a word that this house, PostgreSQL or NATS uses for itself.
"""

from __future__ import annotations

import re

from libs.common.errors import InvalidInput
from libs.common.messages.base import USERNAME_PATTERN

_SHAPE = re.compile(USERNAME_PATTERN)

RESERVED = frozenset(
    {
        "admin", "administrator", "anonymous", "anyone", "api", "auth", "backup", "bookend", "bots", "callout", "cmd",
        "dead", "default", "everyone", "evt", "forensics", "gateway", "guest", "house", "inbox", "info", "me",
        "monitor", "nats", "nobody", "none", "null", "operator", "orders", "owner", "postgres", "pricing", "public",
        "qry", "root", "security", "self", "service", "signals", "simulator", "staff", "superuser", "support", "sys",
        "sysadmin", "system", "tick", "undefined", "unknown", "user", "wake", "webmaster",
    }
)  # fmt: skip
_ROLE_LIKE = re.compile(r"^(pg_|bookend|kv_|js_)|_(tenant|worker|owner|service|role)$|^[-_]|[-_]$")


def is_possible(username: str) -> bool:
    """Tell whether a user of that name could exist at all."""
    return _SHAPE.fullmatch(username) is not None


def sharers(user: str, bot: str) -> list[str]:
    """Name the users of whose bots one would have this bot's inbox: that of ann's b_scan is that of ann_b's scan."""
    parts = bot.split("_")
    return [f"{user}_{'_'.join(parts[:count])}" for count in range(1, len(parts))]


def refuse_unfit(username: str) -> None:
    """Refuse a name nobody may take. Raises: InvalidInput."""
    if not is_possible(username):
        raise InvalidInput("username: 3 to 32 of a-z, 0-9, - and _, beginning with a letter or digit")
    if username in RESERVED or _ROLE_LIKE.search(username):
        raise InvalidInput(f"username: {username} is reserved")
