"""Asking over the bus: questions with deadlines and their answers, and ticks.

Everything a handler module needs comes from here too: the marks, the context and the reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from libs.common import log
from libs.common.clock import Clock
from libs.common.errors import AppError, NoAnswer, TooLarge, UpstreamUnavailable
from libs.common.handlers import LATEST, ONCE, Accept, Context, Reply, answers, consume, hears
from libs.common.ids import new_id
from libs.common.link import Link, Message, Waiting
from libs.common.messages.base import MAX_MESSAGE_BYTES, SYSTEM_USER, Command, Envelope, Query, Tick, token_of
from libs.common.metrics import METRICS
from libs.common.problems import PROBLEM_HEADER, STATUS_HEADER, rebuilt

__all__ = ["LATEST", "ONCE", "Accept", "Bus", "Context", "Reply", "answers", "consume", "hears"]

_ASKED = METRICS.counter("asked_total", "Questions asked over the bus, by how they ended", ["message", "outcome"])


class Bus(Link):
    """One connection of one process, and the questions and ticks that go over it."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        password: str | None = None,
        clock: Clock | None = None,
        try_s: float = 4.0,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        """Prepare for `name` (a service); a login inside `url` wins over name and password. Units: `try_s` seconds."""
        super().__init__(url, name=name, password=password, clock=clock, on_closed=on_closed)
        self._try_s = try_s

    async def tick(self, tick: Tick, token: str) -> None:
        """Tell `tick` to whoever listens for `token`. Raises: UpstreamUnavailable; nothing is sent later."""
        envelope = self._envelope(SYSTEM_USER, None)
        await self.publish(type(tick).subject(token_of(token)), envelope.encode(tick))

    async def ask(
        self, message: Command | Query, *, user: str, timeout_s: float | None = None, via: str | None = None
    ) -> Reply:
        """Ask the owner of `message` on behalf of `user`, who is where `via` says, and wait for the answer.

        Raises: the AppError the other side raised; UpstreamUnavailable (proven not done, or a query without answer);
        NoAnswer (a command that may have been done).
        """
        timeout_s = type(message).timeout_s if timeout_s is None else timeout_s
        envelope = self._envelope(user, self._clock.now() + timedelta(seconds=timeout_s), message, via)
        payload = envelope.encode(message)
        kind = type(message).__name__
        if len(payload) > MAX_MESSAGE_BYTES:
            detail = f"a {kind} of {len(payload)} bytes is over {MAX_MESSAGE_BYTES}"
            raise TooLarge(detail)
        try:
            answer = await self._tries(type(message).subject(user), payload, timeout_s, isinstance(message, Query))
            reply = _reply(answer)
        except AppError as error:
            _ASKED.labels(kind, error.code).inc()
            raise
        if reply is None:
            _ASKED.labels(kind, "no_answer").inc()
            raise _silence(message, timeout_s)
        _ASKED.labels(kind, "answered").inc()
        return reply

    def _envelope(
        self, user: str, deadline_at: datetime | None, message: Any = None, via: str | None = None
    ) -> Envelope:
        key = getattr(message, "idempotency_key", None)
        return Envelope(
            id=new_id(),
            user=user,
            key=key,
            occurred_at=self._clock.now(),
            deadline_at=deadline_at,
            causation_id=log.causation_id.get(),
            correlation_id=log.correlation_id.get() or new_id(),
            via=via,
        )

    async def _tries(self, subject: str, payload: bytes, timeout_s: float, is_query: bool) -> Message | None:
        """Publish, and once more after a silent try, with the same envelope: whichever answer comes first counts."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_s
        answer: asyncio.Future[Message] = loop.create_future()
        tokens = []
        try:
            for is_first in (True, False):
                left_s = ends - loop.time()
                wait_s = min(self._try_s, left_s) if is_first else left_s
                if wait_s <= 0:
                    break
                try:
                    tokens.append(await self.send_try(Waiting(subject, answer, is_first, is_query), payload, {}))
                except UpstreamUnavailable:
                    if is_first:
                        raise
                    break
                await asyncio.wait([answer], timeout=wait_s)
                if answer.done():
                    return answer.result()
            return None
        finally:
            self.forget(tokens, answer)


def _silence(message: Command | Query, timeout_s: float) -> AppError:
    name = f"{type(message).owner}.{type(message).topic}"
    if isinstance(message, Query):
        return UpstreamUnavailable(f"{name} was not answered in {timeout_s:g} s")
    return NoAnswer(f"{name} was not answered in {timeout_s:g} s; it may have been done")


def _reply(answer: Message | None) -> Reply | None:
    """Read an answer. Raises: the AppError it carries."""
    if answer is None:
        return None
    headers = dict(answer.headers or {})
    status = int(headers.pop(STATUS_HEADER, "200"))
    if headers.pop(PROBLEM_HEADER, None) is not None:
        raise rebuilt(answer.data, status)
    return Reply(status, answer.data, headers)
