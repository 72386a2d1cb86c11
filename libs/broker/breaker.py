"""Stops entries and background reads at a broker that does not answer, and never an exit, its cancels or its reads.

1. One breaker for each account and host, in each process. `EXIT` calls count, but pass whatever it says.
2. A failure is a call without an answer or with a 5xx. Any other answer is a success: the broker is there
   (market data alone does not begin the count again). Our own request budget, a 429 and the unreadable are neither.
3. After its pause a breaker lets reads try, not writes: the first answer closes it, the first failure opens it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, Context, OpenedState
from pydantic import Field

from libs.broker.base import Priority
from libs.common import log
from libs.common.clock import Clock, SystemClock
from libs.common.config import BaseServiceSettings
from libs.common.errors import UpstreamUnavailable
from libs.common.metrics import METRICS

_log = log.get(__name__)
_OPEN = METRICS.gauge("broker_breakers_open", "Accounts whose entries and background reads are stopped", ["host"])
_OPENED = METRICS.counter("broker_breaker_opened_total", "Breakers that opened, after a failed try too", ["host"])
_REFUSED = METRICS.counter("broker_breaker_refused_total", "Calls refused by an open breaker", ["host", "priority"])


class BreakerSettings(BaseServiceSettings):
    """When a broker counts as not answering, and for how long it is left alone."""

    breaker_failures: int = Field(
        default=5, ge=1, description="failed calls in a row that stop an account's entries and background reads"
    )
    breaker_pause_s: float = Field(default=10.0, gt=0, description="how long until a read tries the broker again")


class NoAnswerYet(Exception):
    """What the library is told of a failed call; never leaves this module."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """What the calls of one account ask and tell."""

    breakers: Breakers
    host: str
    account_id: str

    def admit(self, priority: Priority, *, is_read: bool) -> None:
        """Let a call through or not. Raises: UpstreamUnavailable, saying until when."""
        if priority is not Priority.EXIT:
            self.breakers.admit(self, priority, is_read=is_read)

    def answered(self, *, of_market: bool = False) -> None:
        """Note that the broker is there; of market data, that says little of the account: it only ends a pause."""
        self.breakers.note(self, None, of_market=of_market)

    def failed(self) -> None:
        """Note a call without an answer, or with a 5xx."""
        self.breakers.note(self, NoAnswerYet())


Listener = Callable[[Breaker, datetime | None], None]
"""Hears when a breaker opens, with the time until when, and when it closes."""


@dataclass(slots=True, eq=False)
class Breakers:
    """The breakers of one process. Only accounts with a failure since their last answer are kept."""

    failures: int = 5
    pause_s: float = 10.0
    clock: Clock = field(default_factory=SystemClock)
    listeners: list[Listener] = field(default_factory=list)
    _troubled: dict[Breaker, Context] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: BreakerSettings) -> Breakers:
        """Return the breakers that settings describe."""
        return cls(settings.breaker_failures, settings.breaker_pause_s)

    def breaker(self, base_url: str, account_id: str) -> Breaker:
        """Return the breaker of an account at a host."""
        return Breaker(self, urlsplit(base_url).netloc, account_id)

    def paused_until(self, base_url: str, account_id: str) -> datetime | None:
        """Tell until when an account's entries are refused; None when they are not."""
        circuit = self._troubled.get(self.breaker(base_url, account_id))
        until = None if circuit is None or circuit.state != OPENED else self._until(circuit)
        return until if until is not None and until > self.clock.now() else None

    def admit(self, breaker: Breaker, priority: Priority, *, is_read: bool) -> None:
        """Refuse while open, and a write until a read was answered. Raises: UpstreamUnavailable."""
        circuit = self._troubled.get(breaker)
        if circuit is None or circuit.state == CLOSED:
            return
        if is_read:
            try:
                circuit.handle_new_request()
            except OpenedState:
                pass
            else:
                return
        until = self._until(circuit)
        wait_s = max(0.0, (until - self.clock.now()).total_seconds())
        _REFUSED.labels(breaker.host, priority.name.lower()).inc()
        raise UpstreamUnavailable(
            f"the broker does not answer; it is asked again after {until:%H:%M:%S} UTC",
            retry_after_s=round(max(wait_s, 1.0), 1),
            paused_until=until.isoformat(),
        )

    def note(self, breaker: Breaker, failure: NoAnswerYet | None, *, of_market: bool = False) -> None:
        """Count how a call ended."""
        circuit = self._troubled.get(breaker)
        if failure is None and of_market and circuit is not None and circuit.state == CLOSED:
            return
        if circuit is None:
            if failure is None:
                return
            circuit = self._troubled[breaker] = Context(breaker.account_id, self.failures, self.pause_s)
        before = circuit.state
        if failure is None:
            circuit.handle_end_request()
        else:
            circuit.handle_exception(failure)
        circuit.messages.clear()
        if circuit.state == CLOSED and not circuit.failure_count:
            del self._troubled[breaker]
        if circuit.state != before:
            self._changed(breaker, circuit, before)

    def _changed(self, breaker: Breaker, circuit: Context, before: str) -> None:
        _OPEN.labels(breaker.host).inc((circuit.state != CLOSED) - (before != CLOSED))
        until = self._until(circuit) if circuit.state == OPENED else None
        if until is not None:
            _OPENED.labels(breaker.host).inc()
            _log.warning("breaker_opened", host=breaker.host, account_id=breaker.account_id, until=until.isoformat())
        else:
            _log.info("breaker_closed", host=breaker.host, account_id=breaker.account_id)
        for listener in self.listeners:
            listener(breaker, until)

    def _until(self, circuit: Context) -> datetime:
        """Return when reads may try again; of a breaker that is being tried, now."""
        if circuit.state == HALF_OPENED or circuit.opened_at is None:
            return self.clock.now()
        return datetime.fromtimestamp(circuit.opened_at, UTC) + timedelta(seconds=self.pause_s)
