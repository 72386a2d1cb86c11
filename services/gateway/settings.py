"""What the gateway is told by its environment."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from libs.common.config import BaseServiceSettings


def _a_seed(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"(SA[A-Z2-7]{56})?", value.get_secret_value()):
        message = "not the seed of an account's key: it begins with SA and has 58 characters"
        raise ValueError(message)
    return value


class GatewaySettings(BaseServiceSettings):
    """The gateway's settings. Units: as named."""

    registration: Literal["open", "closed"] = Field(default="open", description="whether people may register")
    cookie_secure: bool = Field(default=False, description="send the session cookie over HTTPS only")
    session_days: int = Field(default=30, ge=1, le=365, description="how long a sign-in lasts")
    page_fallback_s: float = Field(default=15.0, gt=0, description="how often the page asks while the stream is away")
    web_root: str = Field(default="web/dist", description="the built page; without it only the API is served")
    streams_per_user: int = Field(default=20, ge=1, description="live feeds one user may hold open")
    stream_comment_s: float = Field(default=15.0, gt=0, description="how often an idle stream gets a comment line")
    stream_check_s: float = Field(default=5.0, gt=0, description="how often sessions behind open streams are checked")
    status_timeout_s: float = Field(default=1.0, gt=0, description="how long a service may take to tell its state")
    bots_issuer_seed: Annotated[SecretStr, AfterValidator(_a_seed)] = Field(
        default=SecretStr(""), description="seed of the key that lets bots into NATS (SA…); without it none gets in"
    )
    bot_connections_per_user: int = Field(default=64, ge=1, description="connections the bots of one user may have")
    bot_logins_per_10_s: int = Field(default=300, ge=1, description="how often one API key may knock as a bot")
    argon2_memory_kib: int = Field(default=19_456, ge=8, description="memory of one password check")
    argon2_rounds: int = Field(default=2, ge=1, description="passes of one password check")
