"""`./bookend dead list | replay ID`: messages that no reader could handle, with the reason, and handing one out again.

Replaying publishes the fact, or a bot's signal, where it was before. Its readers drop what they know, so doing it
twice, or being stopped in between, changes nothing. The stream lets nobody delete, so what became of a letter is a
message of its own in it: a letter whose reader took it is off the list by that, one that failed again is there anew.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from deploy.local.layout import Layout
from deploy.local.problem import StackProblem
from deploy.local.state import alive, load_state
from libs.common.messages.durables import DEAD, DURABLES, STREAMS, dead_subject

TAKEN_WITHIN_S = 20.0
LOOK_EVERY_S = 0.1
SETTLED = "Bookend-Settled"
"""The header that names the letter of which a later message says what became."""


@dataclass(frozen=True)
class Letter:
    """One message that was put aside."""

    id: int
    buried_at: datetime | None
    durable: str
    subject: str
    reason: str
    detail: str
    sequence: int
    data: bytes
    settles: int | None
    """The letter that this one is about, where it is none itself."""

    @classmethod
    def of(cls, found: RawStreamMsg) -> Letter:
        """Read a message of the stream."""
        about = found.headers or {}
        sequence = about.get("Bookend-Sequence", "")
        return cls(
            id=found.seq or 0,
            buried_at=found.time,
            durable=about.get("Bookend-Durable", ""),
            subject=about.get("Bookend-Subject", ""),
            reason=about.get("Bookend-Reason", "?"),
            detail=about.get("Bookend-Detail", ""),
            sequence=int(sequence) if sequence.isdigit() else 0,
            data=found.data or b"",
            settles=int(about[SETTLED]) if SETTLED in about else None,
        )

    @property
    def is_readable(self) -> bool:
        """Whether it came from a stream that a durable of ours reads."""
        durable = DURABLES.get(self.durable)
        tops = {subject.partition(".")[0] for subject in STREAMS[durable.stream].subjects} if durable else set()
        return self.subject.partition(".")[0] in tops

    def line(self) -> str:
        """Tell it in one line, without its content."""
        when = self.buried_at.strftime("%Y-%m-%d %H:%M:%S") if self.buried_at else "?"
        return f"{self.id:>6}  {when}  {self.durable:<18} {self.subject}  {self.reason}: {self.detail}"


def show_or_replay(layout: Layout, letter_id: int | None, say: Callable[[str], None]) -> int:
    """List the letters of the stack that runs with this data, or replay one; returns the exit code."""
    state = load_state(layout)
    if state is None or not alive(state.launcher):
        raise StackProblem("dead", "the stack is not running", "start it first with ./bookend up --detach")
    return asyncio.run(_with_bus(state.nats_url, letter_id, say))


async def _with_bus(url: str, letter_id: int | None, say: Callable[[str], None]) -> int:
    try:
        client = await nats.connect(url, connect_timeout=5, allow_reconnect=False)
    except (OSError, nats.errors.Error) as error:
        raise StackProblem("dead", f"NATS does not answer: {error}", "see ./bookend status") from None
    try:
        return await (show(client, say) if letter_id is None else replay(client, letter_id, say))
    finally:
        await client.close()


async def show(client: Client, say: Callable[[str], None]) -> int:
    """List every letter, the oldest first."""
    found = await letters(client.jetstream())
    for letter in found:
        say(letter.line())
    say(f"{len(found)} dead letters" if found else "no dead letters")
    return 0


async def replay(client: Client, letter_id: int, say: Callable[[str], None]) -> int:
    """Publish a letter's fact again and wait until its reader took it or put it aside anew. Idempotent: yes."""
    stream = client.jetstream()
    letter = next((one for one in await letters(stream) if one.id == letter_id), None)
    if letter is None:
        raise StackProblem("dead", f"there is no dead letter {letter_id}", "see ./bookend dead list")
    if not letter.is_readable:
        raise StackProblem("dead", f"{letter_id} is no fact and no signal: {letter.subject}", "only those are replayed")
    # An id of its own each time: the stream would drop the second of two replays that came close together.
    named = {"Nats-Msg-Id": f"replay-{uuid.uuid4().hex}"}
    try:
        ack = await stream.publish(letter.subject, letter.data, headers=named)
    except nats.js.errors.APIError as error:
        told = f"the stream did not take it: {error.description}"
        raise StackProblem("dead", told, f"look later; {letter_id} stays listed") from None
    say(f"published {letter.subject} again as {ack.seq}, for {letter.durable}")
    again = await _outcome(stream, letter, ack.seq)
    if again is None:
        raise StackProblem("dead", f"{letter.durable} has not taken it yet", f"look later; {letter_id} stays listed")
    said = {SETTLED: str(letter_id), "Nats-Msg-Id": f"settled-{letter_id}"}
    await stream.publish(dead_subject("operator", "settled"), headers=said)
    if again:
        say(f"{letter.durable} put it aside again, as {again[0].id}: {again[0].reason}: {again[0].detail}")
        return 1
    say(f"{letter.durable} took it; {letter_id} left the list")
    return 0


async def letters(stream: JetStreamContext) -> list[Letter]:
    """Return every letter that is not settled, the oldest first."""
    try:
        state = (await stream.stream_info(DEAD)).state
    except nats.js.errors.NotFoundError:
        return []
    found = [await _letter(stream, number) for number in range(max(state.first_seq, 1), state.last_seq + 1)]
    settled = {one.settles for one in found if one is not None}
    return [one for one in found if one is not None and one.settles is None and one.id not in settled]


async def _letter(stream: JetStreamContext, number: int) -> Letter | None:
    with suppress(nats.js.errors.NotFoundError):
        return Letter.of(await stream.get_msg(DEAD, number))
    return None


async def _outcome(stream: JetStreamContext, letter: Letter, sequence: int) -> list[Letter] | None:
    """Wait until the reader is past `sequence`: the letter it became again, or none; None when that takes too long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(TAKEN_WITHIN_S):
            while True:
                reader = await stream.consumer_info(DURABLES[letter.durable].stream, letter.durable)
                if reader.ack_floor is not None and reader.ack_floor.stream_seq >= sequence:
                    found = await letters(stream)
                    return [one for one in found if (one.durable, one.sequence) == (letter.durable, sequence)]
                await asyncio.sleep(LOOK_EVERY_S)
    return None
