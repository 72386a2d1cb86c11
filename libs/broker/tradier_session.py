"""One token at one Tradier host: headers, request budget and deadlines of every call."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from libs.broker.base import BeforeSend, Priority
from libs.broker.breaker import Breaker
from libs.broker.budget import Budget, RateClass, token_hash
from libs.common.errors import AppError, OutcomeUnknown, UpstreamUnavailable
from libs.common.http import Answer, Call, HttpClient, Parser
from libs.common.http_limits import rate_reading

T = TypeVar("T")

CANCEL_REPEATS = 2


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a call may take, repeats included. Units: real seconds."""

    read_s: float = 5.0
    write_s: float = 10.0


@dataclass(slots=True)
class CallGate:
    """Stands before each attempt of one call: the breaker first, then the request budget."""

    budget: Budget
    token_hash: str
    rate_class: RateClass
    priority: Priority
    breaker: Breaker | None
    is_read: bool
    is_out: bool = False
    """Whether an attempt was let through and nothing has come back."""
    status: int | None = None
    """Of the last answer."""

    async def enter(self) -> None:
        """Take one request. Raises: UpstreamUnavailable."""
        if self.breaker is not None:
            self.breaker.admit(self.priority, is_read=self.is_read)
        await self.budget.take(self.token_hash, self.rate_class, self.priority)
        self.is_out = True

    def seen(self, answer: Answer) -> None:
        """Hand the vendor's own count on."""
        self.is_out, self.status = False, answer.status
        reading = rate_reading(answer.headers)
        if reading is not None:
            self.budget.observed(self.token_hash, self.rate_class, reading)

    async def around(self, work: Awaitable[T]) -> T:
        """Await a whole call and tell the breaker how it ended: what a caller gives up says nothing."""
        try:
            found = await work
        except (UpstreamUnavailable, OutcomeUnknown):
            if self.is_out or (self.status or 0) >= 500:
                self._tell(is_answer=False)
            raise
        except AppError:
            if (self.status or 500) < 500:
                self._tell(is_answer=True)
            raise
        self._tell(is_answer=True)
        return found

    def _tell(self, *, is_answer: bool) -> None:
        if self.breaker is None:
            return
        if is_answer:
            self.breaker.answered(of_market=self.rate_class is RateClass.MARKET)
        else:
            self.breaker.failed()


@dataclass(frozen=True, slots=True)
class TradierSession:
    """What every call of one account needs. Its repr tells no token."""

    http: HttpClient
    base_url: str
    headers: Mapping[str, str] = field(repr=False)
    budget: Budget
    token_hash: str
    deadlines: Deadlines
    priority: Priority = Priority.POLL
    stream_url: str | None = None
    """Instead of the address that the broker names for its account stream."""
    breaker: Breaker | None = None

    @classmethod
    def open(
        cls,
        http: HttpClient,
        *,
        base_url: str,
        token: str,
        budget: Budget,
        deadlines: Deadlines,
        stream_url: str | None = None,
        breaker: Breaker | None = None,
    ) -> TradierSession:
        """Prepare the headers once. Without `Accept` the vendor answers XML."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        return cls(
            http,
            base_url.rstrip("/"),
            headers,
            budget,
            token_hash(token),
            deadlines,
            stream_url=stream_url or None,
            breaker=breaker,
        )

    def with_priority(self, priority: Priority) -> TradierSession:
        """Return the same session speaking for another flow."""
        return replace(self, priority=priority)

    def foresee(self, rate_class: RateClass) -> None:
        """Let the budget know that requests will follow soon."""
        self.budget.foresee(self.token_hash, rate_class, self.priority)

    async def left(self, rate_class: RateClass, within_s: float) -> int:
        """Say how many requests could be sent within so long."""
        return await self.budget.left(self.token_hash, rate_class, self.priority, within_s)

    def _gate(self, rate_class: RateClass, *, is_read: bool = True) -> CallGate:
        return CallGate(self.budget, self.token_hash, rate_class, self.priority, self.breaker, is_read)

    async def get(
        self,
        path: str,
        what: str,
        parse: Parser[T],
        *,
        rate_class: RateClass = RateClass.STANDARD,
        query: Mapping[str, str] | None = None,
    ) -> T:
        """Ask; repeated inside the deadline."""
        call = Call("GET", self.base_url + path, what, self.headers, query=query)
        gate = self._gate(rate_class)
        return await gate.around(self.http.read(call, parse, deadline_s=self.deadlines.read_s, gate=gate))

    async def ask_by_post(
        self, path: str, what: str, parse: Parser[T], *, rate_class: RateClass, form: Mapping[str, str]
    ) -> T:
        """Ask with a form; changes nothing, so it is repeated like a read."""
        call = Call("POST", self.base_url + path, what, self.headers, form=form)
        gate = self._gate(rate_class)
        return await gate.around(self.http.read(call, parse, deadline_s=self.deadlines.read_s, gate=gate))

    async def post_once(
        self, path: str, what: str, parse: Parser[T], *, form: Mapping[str, str], before_send: BeforeSend | None
    ) -> T:
        """Change something, sent once whatever happens."""
        call = Call("POST", self.base_url + path, what, self.headers, form=form)
        gate = self._gate(RateClass.TRADING, is_read=False)
        work = self.http.write(
            call, parse, deadline_s=self.deadlines.write_s, gate=gate, before_send=before_send, repeats=0
        )
        return await gate.around(work)

    async def delete(self, path: str, what: str, parse: Parser[T], *, before_send: BeforeSend | None) -> T:
        """Take something back; idempotent, so it is repeated."""
        call = Call("DELETE", self.base_url + path, what, self.headers)
        gate = self._gate(RateClass.TRADING, is_read=False)
        work = self.http.write(
            call, parse, deadline_s=self.deadlines.write_s, gate=gate, before_send=before_send, repeats=CANCEL_REPEATS
        )
        return await gate.around(work)
