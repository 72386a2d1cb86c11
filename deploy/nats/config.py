"""The NATS server's configuration as text, from plain values. Pure.

Invariants:
1. Nobody connects without a user and a password.
2. Services live in HOUSE; bots, which are other people's programs, in BOTS; the operator in SYS.
3. A bot's login is the gateway's to judge; every other one is judged here, so that only bots wait for the gateway.
4. An acknowledged message is on the disk (`sync_interval: always`), save where the caller says its data is throw-away.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.messages import bots
from libs.common.messages.durables import EVERY_SIGNAL
from libs.common.messages.signals import SignalAccepted, SignalQueued, SignalRejected


@dataclass(frozen=True)
class Permissions:
    """Subjects a login may publish and subscribe; None is everything."""

    publish: tuple[str, ...] | None = None
    subscribe: tuple[str, ...] | None = None
    responses_expire_s: int | None = None


@dataclass(frozen=True)
class Login:
    """One user of an account."""

    name: str
    password: str = field(repr=False)
    permissions: Permissions = Permissions()


@dataclass(frozen=True)
class ServerConfig:
    """Everything the configuration file says."""

    host: str
    port: int
    store_dir: str
    house: Sequence[Login]
    operator: Login
    issuer: str | None = None
    """The public key of who says what a bot may do; without it no bot gets in."""
    durable: bool = True
    max_file_store_bytes: int = 8 * 1024**3
    max_memory_store_bytes: int = 64 * 1024**2


ADMINISTRATOR, OPERATOR = "admin", "sys"
SIGNALS_SERVICE = EVERY_SIGNAL
SIGNAL_FACTS = tuple(fact.subject("*") for fact in (SignalAccepted, SignalQueued, SignalRejected))

BORROWED = (bots.CONNECTIONS, bots.kick("*"))
"""What HOUSE borrows from SYS, for the gateway to see a bot's connection and to end it."""
MOST_BOTS = 4_096
"""Of everybody, so that services always find room; how many one user may have, the gateway says."""
LOGIN_WITHIN_S = 1.5
"""Sooner than the server's first ping, at 2 s: nats-py takes that for an answer, and would not try again."""


def render(config: ServerConfig) -> str:
    """Write the configuration file's text."""
    exports = [f"{{ service: {_text(SIGNALS_SERVICE)} }}", *(f"{{ stream: {_text(fact)} }}" for fact in SIGNAL_FACTS)]
    imports = [
        f"{{ service: {{ account: HOUSE, subject: {_text(SIGNALS_SERVICE)} }} }}",
        *(f"{{ stream: {{ account: HOUSE, subject: {_text(fact)} }} }}" for fact in SIGNAL_FACTS),
    ]
    lines = [
        "server_name: bookend",
        f"listen: {_text(f'{config.host}:{config.port}')}",
        'ping_interval: "5s"',
        "ping_max: 2",
        'write_deadline: "5s"',
        "max_payload: 1MB",
        "jetstream {",
        f"  store_dir: {_text(config.store_dir)}",
        f"  max_memory_store: {config.max_memory_store_bytes}",
        f"  max_file_store: {config.max_file_store_bytes}",
        *(["  sync_interval: always"] if config.durable else []),
        "}",
        "accounts {",
        "  HOUSE {",
        "    jetstream: enabled",
        f"    users: [{_block([_login(one) for one in config.house], 6)}]",
        f"    exports: [{_block(exports, 6)}]",
        f"    imports: [{_block([_borrowed(subject) for subject in BORROWED], 6)}]",
        "  }",
        "  BOTS {",
        "    limits {",
        f"      max_connections: {MOST_BOTS}",
        "    }",
        f"    imports: [{_block(imports, 6)}]",
        "  }",
        "  SYS {",
        f"    users: [{_block([_login(config.operator)], 6)}]",
        f"    exports: [{_block([_lent(subject) for subject in BORROWED], 6)}]",
        "  }",
        "}",
        "system_account: SYS",
        *_callout(config),
    ]
    return "\n".join(lines) + "\n"


def _callout(config: ServerConfig) -> list[str]:
    if config.issuer is None:
        return []
    ours = ", ".join(_text(login.name) for login in (*config.house, config.operator))
    return [
        "authorization {",
        f"  timeout: {LOGIN_WITHIN_S}",
        "  auth_callout {",
        f"    issuer: {_text(config.issuer)}",
        "    account: HOUSE",
        f"    auth_users: [{ours}]",
        "  }",
        "}",
    ]


def _lent(subject: str) -> str:
    return f"{{ service: {_text(subject)}, accounts: [HOUSE] }}"


def _borrowed(subject: str) -> str:
    return f"{{ service: {{ account: SYS, subject: {_text(subject)} }} }}"


def _login(login: Login) -> str:
    parts = [f"user: {_text(login.name)}", f"password: {_text(login.password)}"]
    if login.permissions != Permissions():
        parts.append(f"permissions: {{ {_permissions(login.permissions)} }}")
    return f"{{ {', '.join(parts)} }}"


def _permissions(permissions: Permissions) -> str:
    parts = []
    if permissions.publish is not None:
        parts.append(f"publish: {_rule(permissions.publish)}")
    if permissions.subscribe is not None:
        parts.append(f"subscribe: {_rule(permissions.subscribe)}")
    if permissions.responses_expire_s is not None:
        parts.append(f'allow_responses: {{ max: 1, expires: "{permissions.responses_expire_s}s" }}')
    return ", ".join(parts)


def _rule(subjects: Sequence[str]) -> str:
    """Allow these and nothing else; an empty list would mean everything to the server, so it denies all."""
    if not subjects:
        return '{ deny: [">"] }'
    return "{ allow: [" + ", ".join(_text(subject) for subject in subjects) + "] }"


def _block(items: Sequence[str], indent: int) -> str:
    pad = " " * indent
    return "\n" + "".join(f"{pad}{item}\n" for item in items) + " " * (indent - 2)


def _text(value: str) -> str:
    return json.dumps(value)
