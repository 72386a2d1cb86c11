"""What the NATS server asks of a bot that wants in, and the signed answer. Pure but for the key that signs.

1. An answer fits one connection at one server: it names the key the server made for it.
2. A bot may do what its user and name allow and nothing else, until its connection ends; a revoked key ends it.
3. Nothing of the request is believed but by the server, who alone can ask here; its secrets are in no log.
Source: NATS ADR-14 (JWT), ADR-26 (auth callout).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import nkeys
import orjson

from libs.common.errors import PoisonMessage
from libs.common.messages import bots

MOST_SUBSCRIPTIONS = 16
_HEADER = b'{"typ":"JWT","alg":"ed25519-nkey"}'


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants in, at which server, as which connection. `user_nkey` names that in the answer."""

    server_id: str
    connection: int
    user_nkey: str
    name: str
    key: str = field(repr=False)


def read(raw: bytes) -> Asked:
    """Read the server's question. Raises: PoisonMessage."""
    try:
        said: dict[str, Any] = orjson.loads(_decoded(raw.split(b".")[1]))["nats"]
        options = said["connect_opts"]
        return Asked(
            server_id=str(said["server_id"]["id"]),
            connection=int(said["client_info"]["id"]),
            user_nkey=str(said["user_nkey"]),
            name=str(options.get("user", "")),
            key=str(options.get("pass", "")),
        )
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error, AttributeError):
        message = "not a question about a login"
        raise PoisonMessage(message) from None


class Issuer:
    """Signs with the key whose public half the server knows."""

    def __init__(self, seed: str) -> None:
        """Take the key. Raises: ValueError when it is none."""
        try:
            self._key = nkeys.from_seed(seed.encode())
        except (nkeys.NkeysError, ValueError) as error:
            message = "BOTS_ISSUER_SEED is not the seed of an account's key"
            raise ValueError(message) from error
        self.public: str = self._key.public_key.decode()
        if not self.public.startswith("A"):
            message = "BOTS_ISSUER_SEED is the seed of another kind of key than an account's"
            raise ValueError(message)

    def granted(self, asked: Asked, user: str, bot: str, now: datetime) -> bytes:
        """Let a bot in, with its rights."""
        rights = {
            "pub": {"allow": bots.published(user, bot)},
            "sub": {"allow": bots.heard(user, bot)},
            "subs": MOST_SUBSCRIPTIONS,
            "data": -1,
            "payload": -1,
            "type": "user",
            "version": 2,
        }
        token = self._signed({"sub": asked.user_nkey, "aud": bots.ACCOUNT, "name": asked.name, "nats": rights}, now)
        return self._answer(asked, {"jwt": token.decode()}, now)

    def refused(self, asked: Asked, reason: str, now: datetime) -> bytes:
        """Turn somebody away; the server notes the reason and tells him only that he is."""
        return self._answer(asked, {"error": reason}, now)

    def _answer(self, asked: Asked, said: dict[str, str], now: datetime) -> bytes:
        nats = {**said, "type": "authorization_response", "version": 2}
        return self._signed({"sub": asked.user_nkey, "aud": asked.server_id, "nats": nats}, now)

    def _signed(self, claims: dict[str, Any], now: datetime) -> bytes:
        claims = {**claims, "iss": self.public, "iat": int(now.timestamp())}
        claims["jti"] = base64.b32encode(hashlib.sha256(orjson.dumps(claims)).digest()).rstrip(b"=").decode()
        text = _encoded(_HEADER) + b"." + _encoded(orjson.dumps(claims))
        return text + b"." + _encoded(self._key.sign(text))


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
