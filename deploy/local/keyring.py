"""The secrets of one stack: drawn at the first start, kept beside its data, readable by its owner only."""

from __future__ import annotations

import base64
import secrets
from dataclasses import asdict, dataclass, field, fields

from deploy.local.layout import Layout, read_json, write_json
from deploy.nats import issuer

SERVICES = ("gateway", "orders", "pricing", "monitor", "forensics")
DEMO_USER = "demo"


@dataclass(frozen=True)
class Keyring:
    """Every secret the launcher hands out."""

    encryption_key: str = field(repr=False)
    nats_admin_password: str = field(repr=False)
    nats_operator_password: str = field(repr=False)
    bots_issuer_seed: str = field(repr=False)
    demo_password: str = field(repr=False)
    backup_database_password: str = field(repr=False)
    database_passwords: dict[str, str] = field(repr=False)
    nats_passwords: dict[str, str] = field(repr=False)
    rotation: str = ""
    """How far a change of the key to the tokens is."""


def open_keyring(layout: Layout) -> Keyring:
    """Read the stack's secrets, drawing and storing those that do not exist yet."""
    stored = read_json(layout.secrets_file)
    fresh = asdict(_draw())
    known = {one.name: stored.get(one.name, fresh[one.name]) for one in fields(Keyring)}
    for name in ("database_passwords", "nats_passwords"):
        known[name] = {**fresh[name], **known[name]}
    if known != stored:
        write_json(layout.secrets_file, known)
    return Keyring(**known)


def draw_key() -> str:
    """Draw a key to the brokers' tokens."""
    # 32 random bytes in URL-safe base64: the form of a Fernet key.
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def encryption_keys(layout: Layout) -> list[str]:
    """Return the keys to the tokens, the one that seals first."""
    return open_keyring(layout).encryption_key.split(",")


def rotation_of(layout: Layout) -> str:
    """Say how far a rotation of the keys is; empty when none is going on."""
    return open_keyring(layout).rotation


def keep_encryption_keys(layout: Layout, keys: list[str], *, rotation: str) -> None:
    """Replace the keys to the tokens and note how far their rotation is, in one step."""
    known = {"encryption_key": ",".join(keys), "rotation": rotation}
    write_json(layout.secrets_file, {**read_json(layout.secrets_file), **known})


def _draw() -> Keyring:
    return Keyring(
        encryption_key=draw_key(),
        nats_admin_password=secrets.token_urlsafe(24),
        nats_operator_password=secrets.token_urlsafe(24),
        bots_issuer_seed=issuer.draw(),
        demo_password=secrets.token_urlsafe(12),
        backup_database_password=secrets.token_urlsafe(24),
        database_passwords={service: secrets.token_urlsafe(24) for service in SERVICES},
        nats_passwords={service: secrets.token_urlsafe(24) for service in SERVICES},
    )
