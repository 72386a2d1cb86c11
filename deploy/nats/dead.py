"""`./bookend dead list | replay ID`: messages that no reader could handle, with the reason, and handing one out again.

Without a launcher: `python -m deploy.nats.dead list | replay ID`, with NATS_URL and NATS_ADMIN_PASSWORD.

Replaying publishes the fact, or a bot's signal, where it was before. Its readers drop what they know, so doing it
twice, or being stopped in between, changes nothing. The stream lets nobody delete, so what became of a letter is a
message of its own in it: a letter whose reader took it is off the list by that, one that failed again is there anew.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from deploy.nats.config import ADMINISTRATOR
from libs.common.messages.durables import DEAD, DURABLES, STREAMS, dead_subject

TAKEN_WITHIN_S = 20.0
LOOK_EVERY_S = 0.1
SETTLED = "Bookend-Settled"
"""The header that names the letter of which a later message says what became."""


class LetterProblem(Exception):
    """Why letters cannot be listed or handed out again, and what to do about it."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(f"{why}; {advice}")
        self.why = why
        self.advice = advice


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


async def show_or_replay(
    url: str, letter_id: int | None, say: Callable[[str], None], *, password: str | None = None
) -> int:
    """List the letters, or replay one, as the administrator; returns the exit code. Raises: LetterProblem."""
    login = {} if password is None else {"user": ADMINISTRATOR, "password": password}
    # The library would knock for two minutes, also where it may not come back.
    patience: dict[str, Any] = {"max_reconnect_attempts": 2, "reconnect_time_wait": 0.2}
    try:
        client = await nats.connect(url, connect_timeout=5, allow_reconnect=False, **patience, **login)
    except (OSError, nats.errors.Error) as error:
        raise LetterProblem(f"NATS does not answer: {error}", "see whether it runs, and its password") from None
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
        raise LetterProblem(f"there is no dead letter {letter_id}", "see ./bookend dead list")
    if not letter.is_readable:
        raise LetterProblem(f"{letter_id} is no fact and no signal: {letter.subject}", "only those are replayed")
    # An id of its own each time: the stream would drop the second of two replays that came close together.
    named = {"Nats-Msg-Id": f"replay-{uuid.uuid4().hex}"}
    try:
        ack = await stream.publish(letter.subject, letter.data, headers=named)
    except nats.js.errors.APIError as error:
        told = f"the stream did not take it: {error.description}"
        raise LetterProblem(told, f"look later; {letter_id} stays listed") from None
    say(f"published {letter.subject} again as {ack.seq}, for {letter.durable}")
    again = await _outcome(stream, letter, ack.seq)
    if again is None:
        raise LetterProblem(f"{letter.durable} has not taken it yet", f"look later; {letter_id} stays listed")
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


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Read the command line and the environment, and do it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="dead", description="messages that could not be handled")
    letters_of = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    letters_of.add_parser("list", help="list them, the oldest first")
    letters_of.add_parser("replay", help="hand one to its readers again").add_argument("id", type=int)
    chosen = parser.parse_args(arguments)
    missing = [name for name in ("NATS_URL", "NATS_ADMIN_PASSWORD") if not environment.get(name)]
    if missing:
        sys.stderr.write(f"{', '.join(missing)} not set\n")
        return 2
    url, password = environment["NATS_URL"], environment["NATS_ADMIN_PASSWORD"]

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")

    try:
        return asyncio.run(show_or_replay(url, getattr(chosen, "id", None), say, password=password))
    except LetterProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
