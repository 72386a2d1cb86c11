"""What a bot publishes, what becomes of it, and how its user approves or refuses it.

A signal is somebody else's words: orders reads it under the user and bot of its subject, and believes nothing else.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from libs.common.messages.base import USERNAME_PATTERN, Command, Fact, Payload, Query
from libs.common.messages.inputs import PlaceBody, PriceIn
from libs.common.messages.orders import Entry
from libs.common.messages.vocabulary import BrokerMode, OptionType

MAX_SIGNAL_BYTES = 64 * 1024
"""No signal is larger; the stream itself refuses what is."""

HTTP_BOT = "http"
"""What a program is called that publishes over HTTP and names itself nothing else."""

BotName = Annotated[str, StringConstraints(pattern=USERNAME_PATTERN)]
SignalName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


def signal_subject(user: str, bot: str) -> str:
    """Return where a bot publishes ("*" for all)."""
    return f"signals.{user}.{bot}"


class SignalState(StrEnum):
    """What became of a signal."""

    PENDING = "pending"
    """Waits for its user's approval."""
    PLACING = "placing"
    """Approved, or needing no approval: its entry is being placed."""
    ACCEPTED = "accepted"
    """It became a trade."""
    REJECTED = "rejected"
    """It was refused: by a rule, by its user or by the broker; `reason` says by what."""
    EXPIRED = "expired"
    """Its time was over before it became a trade."""


DECIDED = frozenset({SignalState.ACCEPTED, SignalState.REJECTED, SignalState.EXPIRED})


class SignalBody(PlaceBody):
    """What a bot publishes: a trade to place, and until when and at what price that is still a good idea."""

    signal_id: SignalName
    """The bot's own name of this signal: published again, it is the same signal."""
    v: Literal[1]
    expires_at: AwareDatetime
    """The entry is sent before this, or never. At most 5 min ahead in auto mode, the session's end in review."""
    ref_price: Annotated[PriceIn, Field(gt=0)] | None = None
    """What the contract cost when the bot decided. Units: USD per share."""
    max_slippage_pct: Annotated[Decimal, Field(ge=0, le=100, max_digits=8, decimal_places=4)] | None = None
    """How much more than `ref_price` the entry may cost. Units: percent."""

    @model_validator(mode="after")
    def _slips_from_somewhere(self) -> Self:
        if self.max_slippage_pct is not None and self.ref_price is None:
            message = "max_slippage_pct needs a ref_price"
            raise ValueError(message)
        return self


class SignalRow(Payload):
    """A signal as its user and its bot see it; what could not be read of it is null. Units: USD per share, percent."""

    id: str
    signal_id: str | None = None
    bot: str
    state: SignalState
    code: str | None = None
    """Of a refused one: the error's code, such as `limit_exceeded`."""
    reason: str | None = None
    """Of a refused one: why, in words."""
    trade_id: str | None = None
    ticker: str | None = None
    option_type: OptionType | None = None
    strike: Decimal | None = None
    expiry: date | None = None
    qty: int | None = None
    entry: Entry | None = None
    sl_price: Decimal | None = None
    tp_price: Decimal | None = None
    strategy: str | None = None
    ref_price: Decimal | None = None
    max_slippage_pct: Decimal | None = None
    broker_mode: BrokerMode | None = None
    account_id: str | None = None
    received_at: datetime
    expires_at: datetime | None = None
    decided_at: datetime | None = None
    key_version: int


class SignalFact(Fact, SignalRow):
    """The whole signal after something was decided of it; flat, so that the live feed hands it on as it is."""


class SignalAccepted(SignalFact, service="orders", name="signal_accepted", key="id"):
    """The signal became a trade."""


class SignalQueued(SignalFact, service="orders", name="signal_queued", key="id"):
    """The signal waits for its user's approval."""


class SignalRejected(SignalFact, service="orders", name="signal_rejected", key="id"):
    """The signal was refused, or its time was over."""


class PublishSignal(Command, service="orders", name="publish_signal"):
    """A signal over HTTP. Answers the signal: 201 a trade, 202 waiting; a refusal is the refusal's own error."""

    bot: str
    body: dict[str, Any]


class ApproveSignal(Command, service="orders", name="approve_signal"):
    """Let a waiting signal become a trade. Idempotent: by the signal. Answers the signal, as `PublishSignal` does."""

    id: str
    by_program: bool = False
    """Whether a program approves, by an API key: with real money its signal names the account."""
    idempotency_key: str = ""


class RejectSignal(Command, service="orders", name="reject_signal"):
    """Refuse a waiting signal. Idempotent: by the signal. Answers the signal."""

    id: str
    idempotency_key: str = ""


class ListSignals(Query, service="orders", name="list_signals"):
    """List signals, newest first. Answers {signals, next_cursor}; each waiting one with its contract's quote."""

    state: SignalState | None = None
    cursor: str | None = None
    limit: int = 50
