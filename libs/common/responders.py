"""Answering: takes the commands, queries and ticks of one service and runs its handlers, a bounded number at a time.

Invariants:
1. The user is the subject's, never the payload's.
2. Nothing runs after its deadline.
3. Every question gets one answer; what an unexpected error says stays in the log.
4. Answers go to inboxes only: the server checks no reply subject, so a question that names another one would have us
   say the asker's words under our own name. It is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from libs.common import log
from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.errors import AppError, Expired, Forbidden, InvalidInput, InvariantBroken, TooLarge
from libs.common.handlers import Answers, Context, Hears, Reply, encode, marked
from libs.common.link import Message, Subscription, leave
from libs.common.messages.base import MAX_MESSAGE_BYTES, Command, Envelope, Query, Tick
from libs.common.metrics import METRICS
from libs.common.problems import PROBLEM_HEADER, STATUS_HEADER, encoded, public

_log = log.get(__name__)
_ANSWERED = METRICS.histogram("answer_seconds", "Time from taking a question to its answer", ["message", "status"])
_HEARD = METRICS.counter("ticks_total", "Ticks heard, by how their handler ended", ["tick", "outcome"])

INBOXES = "_INBOX"
KEPT_S = 15.0
KEPT_ANSWERS = 256
TICKS_PENDING = 4096


class Responders:
    """The answering side of one service."""

    def __init__(self, bus: Bus, *, service: str, deps: Any, clock: Clock, at_once: int = 64) -> None:
        """Prepare. `at_once` questions of each kind run together; more wait in the connection."""
        self._bus = bus
        self._service = service
        self._deps = deps
        self._clock = clock
        self._slots = {Command: asyncio.Semaphore(at_once), Query: asyncio.Semaphore(at_once)}
        self._running: set[asyncio.Task[None]] = set()
        self._answers: OrderedDict[str, tuple[float, asyncio.Future[Reply]]] = OrderedDict()
        self._subscriptions: list[Subscription] = []

    async def start(
        self, tasks: asyncio.TaskGroup, answers: Sequence[Callable[..., Any]], hears: Sequence[Callable[..., Any]]
    ) -> None:
        """Begin to answer and to hear; handlers run in `tasks`."""
        for handler in answers:
            mark = marked(handler, Answers)
            if mark.message.owner != self._service:
                message = f"{mark.message.__name__} is {mark.message.owner}'s to answer, not {self._service}'s"
                raise ValueError(message)
            await self._listen(mark, tasks)
        for handler in hears:
            await self._hear(marked(handler, Hears))
        await self._bus.settle()

    async def stop(self) -> None:
        """Take nothing new; what was taken goes on."""
        subscriptions, self._subscriptions = self._subscriptions, []
        if self._bus.connected:
            async with asyncio.TaskGroup() as tasks:
                for subscription in subscriptions:
                    tasks.create_task(leave(subscription))

    async def finished(self) -> None:
        """Wait for what runs."""
        if self._running:
            await asyncio.wait(set(self._running))

    async def _listen(self, mark: Answers, tasks: asyncio.TaskGroup) -> None:
        slots = self._slots[Command if issubclass(mark.message, Command) else Query]

        async def take(message: Message) -> None:
            if not message.reply.startswith(INBOXES):
                _log.error("reply_subject_refused", message=mark.message.__name__, reply=message.reply)
                return
            # Waiting here holds the subscription, so what is too much waits there, under its deadline, not as a task.
            await slots.acquire()
            task = tasks.create_task(self._answer(mark, message))
            self._running.add(task)
            task.add_done_callback(left)

        def left(task: asyncio.Task[None]) -> None:
            slots.release()
            self._running.discard(task)

        self._subscriptions.append(await self._bus.subscribe(mark.message.subject("*"), take, queue=self._service))

    async def _answer(self, mark: Answers, message: Message) -> None:
        """Answer one question, whatever happens."""
        began = time.monotonic()
        user = message.subject.split(".")[2]
        name = mark.message.__name__
        correlation = None
        try:
            envelope = Envelope.decode(message.data)
            correlation = envelope.correlation_id
            with log.bound_to(correlation, envelope.id):
                self._check(envelope, user)
                reply = await self._run_once(mark, envelope, user)
            headers = {STATUS_HEADER: str(reply.status), **reply.headers}
        except Exception as error:  # noqa: BLE001 - the edge of the bus: every error becomes an answer
            reply, headers = self._problem(error, name, correlation)
        _ANSWERED.labels(name, str(reply.status)).observe(time.monotonic() - began)
        try:
            await self._bus.publish(message.reply, reply.body, headers=headers)
        except AppError as error:
            _log.warning("answer_not_sent", message=name, reason=error.detail, correlation_id=correlation)

    def _check(self, envelope: Envelope, user: str) -> None:
        if envelope.user != user:
            detail = "the user in the message is not the user of its subject"
            raise Forbidden(detail)
        if envelope.deadline_at is None:
            detail = "a question without a deadline"
            raise InvalidInput(detail)
        late = self._clock.now() - envelope.deadline_at
        if late.total_seconds() >= 0:
            detail = f"the deadline passed {late.total_seconds():.1f} s ago"
            raise Expired(detail)

    async def _run_once(self, mark: Answers, envelope: Envelope, user: str) -> Reply:
        """Run the handler; the repeat of a question that runs, or ran just now, waits for that one's answer."""
        if not issubclass(mark.message, Command):
            return await self._run(mark, envelope, user)
        self._forget_old()
        kept = self._answers.get(envelope.id)
        if kept is not None:
            return await asyncio.shield(kept[1])
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._answers[envelope.id] = (time.monotonic() + KEPT_S, answer)
        try:
            reply = await self._run(mark, envelope, user)
        except BaseException as error:
            # Not kept: nothing was decided, so a repeat may try.
            del self._answers[envelope.id]
            answer.set_exception(error if isinstance(error, Exception) else InvariantBroken("the handler was stopped"))
            answer.exception()
            raise
        answer.set_result(reply)
        return reply

    def _forget_old(self) -> None:
        now = time.monotonic()
        while self._answers:
            first = next(iter(self._answers))
            until, answer = self._answers[first]
            if not answer.done() or (until > now and len(self._answers) <= KEPT_ANSWERS):
                return
            del self._answers[first]

    async def _run(self, mark: Answers, envelope: Envelope, user: str) -> Reply:
        message = mark.message.decode(envelope.data)
        outcome = await mark.run(message, Context.of(envelope, user=user, consumer=self._service), self._deps)
        reply = outcome if isinstance(outcome, Reply) else Reply(200, encode(outcome))
        if len(reply.body) > MAX_MESSAGE_BYTES:
            detail = f"the answer to {mark.message.__name__} has {len(reply.body)} bytes, over {MAX_MESSAGE_BYTES}"
            raise TooLarge(detail)
        return reply

    def _problem(self, error: Exception, name: str, correlation: str | None) -> tuple[Reply, dict[str, str]]:
        told = public(error)
        if told is not error:
            _log.error("answer_failed", message=name, correlation_id=correlation, exc_info=error)
        elif told.status >= 500:
            _log.warning("answer_refused", message=name, code=told.code, detail=told.detail, correlation_id=correlation)
        reply = Reply(told.status, encoded(told, correlation))
        return reply, {STATUS_HEADER: str(told.status), PROBLEM_HEADER: told.code}

    async def _hear(self, mark: Hears) -> None:
        tick = mark.message

        async def take(message: Message) -> None:
            token = message.subject.rsplit(".", 1)[-1]
            await self._run_tick(mark, tick, token, message.data)

        queue = self._service if tick.queued else ""
        self._subscriptions.append(
            await self._bus.subscribe(tick.subject("*"), take, queue=queue, pending_limit=TICKS_PENDING)
        )

    async def _run_tick(self, mark: Hears, tick: type[Tick], token: str, raw: bytes) -> None:
        outcome = "heard"
        try:
            envelope = Envelope.decode(raw)
            with log.bound_to(envelope.correlation_id, envelope.id):
                await mark.run(tick.decode(envelope.data), token, self._deps)
        except Exception as error:  # noqa: BLE001 - a tick may be lost, its error may not end the listening
            outcome = error.code if isinstance(error, AppError) else "failed"
            _log.warning("tick_failed", tick=tick.__name__, exc_info=None if isinstance(error, AppError) else error)
        _HEARD.labels(tick.__name__, outcome).inc()
