"""The tree of expected errors: what each is called outside, its HTTP status and what a consumer does with it.

AppError
├── DomainError              expected, the caller can act                     DONE
│   ├── InvalidInput 422     MarketClosed, IdempotencyMismatch
│   ├── Unauthenticated 401
│   ├── Forbidden 403        LiveNotEnabled
│   ├── NotFound 404
│   ├── MethodNotAllowed 405
│   ├── TooLarge 413
│   ├── Throttled 429
│   ├── Conflict 409         StaleVersion, ContractInUse, IdempotencyInProgress, FlowRunning
│   ├── Expired 409
│   ├── IllegalTransition 409
│   ├── LimitExceeded 409
│   └── KillSwitchOn 409
├── UpstreamError            broker, market data, bus, database, another service
│   ├── UpstreamRefused 422      proven not to have happened                  DONE
│   ├── UpstreamAuth 424         token refused                                DONE
│   ├── UpstreamUnavailable 503  proven not sent                              RETRY
│   └── OutcomeUnknown 202       may have happened; NoAnswer 504              RECORD
├── PoisonMessage                cannot be decoded                            DEAD
└── InvariantBroken 500          our bug                                      RETRY, then DEAD
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, ClassVar


class Disposition(StrEnum):
    """What a consume loop does with a message whose handler raised."""

    DONE = "done"
    """Answered or acknowledged; trying again would answer the same."""
    RETRY = "retry"
    """Nothing happened; try again later."""
    RECORD = "record"
    """It may have happened: stored as unknown and settled by asking, never repeated blindly."""
    DEAD = "dead"
    """Can never be handled: dead-lettered with its reason."""


def code_of(name: str) -> str:
    """Name an error class in snake_case, as the public `code`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class AppError(Exception):
    """An error somebody outside may see. Every leaf states status, title and disposition; `code` is its name."""

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    disposition: ClassVar[Disposition]

    def __init__(self, detail: str, **extra: Any) -> None:
        """Say what was found in `detail`; `extra` is added to the public problem document (JSON values only)."""
        super().__init__(detail)
        self.detail = detail
        self.extra = extra

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give the class its code unless it states one."""
        super().__init_subclass__(**kwargs)
        if "code" not in cls.__dict__:
            cls.code = code_of(cls.__name__)

    def problem(self, correlation_id: str | None = None) -> dict[str, Any]:
        """Return the RFC 9457 members of this error. Source: RFC 9457 §3."""
        return {
            **self.extra,
            "code": self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "correlation_id": correlation_id,
        }


class DomainError(AppError):
    """Expected; the caller can act on it."""

    status = 422
    title = "The request cannot be carried out"
    disposition = Disposition.DONE


class InvalidInput(DomainError):
    """A value is wrong; `detail` names it and the rule."""

    status = 422
    title = "Invalid input"
    disposition = Disposition.DONE


class MarketClosed(InvalidInput):
    """The contract's session is closed."""

    status = 422
    title = "The market is closed"
    disposition = Disposition.DONE


class IdempotencyMismatch(InvalidInput):
    """The same key came with another body."""

    status = 422
    title = "This Idempotency-Key was used with another request"
    disposition = Disposition.DONE


class Unauthenticated(DomainError):
    """Nobody, or somebody whose session or key is over."""

    status = 401
    title = "Please sign in"
    disposition = Disposition.DONE


class Forbidden(DomainError):
    """Known, but not allowed."""

    status = 403
    title = "Not allowed"
    disposition = Disposition.DONE


class LiveNotEnabled(Forbidden):
    """Real-money orders are not enabled."""

    status = 403
    title = "Live trading is not enabled"
    disposition = Disposition.DONE


class NotFound(DomainError):
    """Not there, or another user's: the answer is the same on purpose."""

    status = 404
    title = "Not found"
    disposition = Disposition.DONE


class MethodNotAllowed(DomainError):
    """The path is there, the method is not."""

    status = 405
    title = "Method not allowed"
    disposition = Disposition.DONE


class TooLarge(DomainError):
    """A body or answer past its limit."""

    status = 413
    title = "Too large"
    disposition = Disposition.DONE


class Throttled(DomainError):
    """Too many tries; `detail` says when to come back."""

    status = 429
    title = "Too many requests"
    disposition = Disposition.DONE


class Conflict(DomainError):
    """The thing changed, or is in use."""

    status = 409
    title = "Conflict"
    disposition = Disposition.DONE


class StaleVersion(Conflict):
    """The version seen is not the current one; `current` carries the current trade."""

    status = 409
    title = "This trade was updated on another device"
    disposition = Disposition.DONE


class ContractInUse(Conflict):
    """Another open trade, or a foreign order, has the contract in this account."""

    status = 409
    title = "The contract is in use"
    disposition = Disposition.DONE


class IdempotencyInProgress(Conflict):
    """The first request with this key is still running."""

    status = 409
    title = "The first request with this key is still running"
    disposition = Disposition.DONE


class FlowRunning(Conflict):
    """A flow of this trade is running; an adjust cannot join it."""

    status = 409
    title = "Another action on this trade is running"
    disposition = Disposition.DONE


class Expired(DomainError):
    """The deadline had passed before anything was done."""

    status = 409
    title = "Too late: nothing was done"
    disposition = Disposition.DONE


class IllegalTransition(DomainError):
    """The trade's state does not allow this."""

    status = 409
    title = "The trade's state does not allow this"
    disposition = Disposition.DONE


class LimitExceeded(DomainError):
    """A limit would be passed; `detail` names it, its value and the trade's."""

    status = 409
    title = "A limit would be exceeded"
    disposition = Disposition.DONE


class KillSwitchOn(DomainError):
    """The kill switch is engaged."""

    status = 409
    title = "The kill switch is engaged"
    disposition = Disposition.DONE


class UpstreamError(AppError):
    """Something we depend on answered badly or not at all."""

    status = 503
    title = "A service we depend on failed"
    disposition = Disposition.RETRY


class UpstreamRefused(UpstreamError):
    """Proven not to have happened; `detail` holds the broker's words."""

    code = "broker_refused"
    status = 422
    title = "The broker refused"
    disposition = Disposition.DONE


class UpstreamAuth(UpstreamError):
    """The token was refused."""

    status = 424
    title = "Please re-authenticate with the broker"
    disposition = Disposition.DONE


class UpstreamUnavailable(UpstreamError):
    """Proven not sent: unreachable, not connected, or over its budget."""

    status = 503
    title = "Temporarily unavailable"
    disposition = Disposition.RETRY


class OutcomeUnknown(UpstreamError):
    """It may have happened. Where an action is stored it is answered 202; where nothing is stored, 504."""

    status = 202
    title = "The outcome is not known yet"
    disposition = Disposition.RECORD


class NoAnswer(OutcomeUnknown):
    """Another service did not answer in time and nothing is stored on this side: ask again with the same key."""

    status = 504
    title = "No answer in time: it may have happened"
    disposition = Disposition.RECORD


class PoisonMessage(AppError):
    """Cannot be decoded. Never reaches HTTP."""

    status = 500
    title = "Undecodable message"
    disposition = Disposition.DEAD


class InvariantBroken(AppError):
    """Our bug."""

    status = 500
    title = "Internal error"
    disposition = Disposition.RETRY


def all_errors(root: type[AppError] = AppError) -> list[type[AppError]]:
    """List every error class below `root`, parents first."""
    return [found for child in root.__subclasses__() for found in (child, *all_errors(child))]


BY_CODE: dict[str, type[AppError]] = {error.code: error for error in all_errors()}
"""Every concrete error by its public code, to rebuild on the caller's side what a responder raised."""
