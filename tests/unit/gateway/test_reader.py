"""A reader's buffer is bounded: ticks go first, then the reader."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from libs.common.testing import eventually
from services.gateway import reader as module
from services.gateway.reader import Reader


class Browser:
    """The other end, which may stop reading."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.is_reading = asyncio.Event()
        self.is_reading.set()
        self.has_left = asyncio.Event()
        self.is_complete = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await self.is_reading.wait()
            self.got.append(message["body"])
            self.is_complete = not message.get("more_body", False)

    async def receive(self) -> MutableMapping[str, Any]:
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    @property
    def text(self) -> bytes:
        return b"".join(self.got)


async def test_frames_given_together_are_written_together_in_order() -> None:
    reader, browser = Reader("alice", "s1"), Browser()
    for number in range(3):
        reader.give(b"%d " % number)
    writing = asyncio.create_task(reader.write(browser.receive, browser.send))
    await eventually(lambda: browser.text == b"0 1 2 ")
    assert len(browser.got) == 1
    browser.has_left.set()
    await writing
    assert not browser.is_complete


async def test_an_ended_reader_gets_what_was_buffered_and_a_complete_answer() -> None:
    reader, browser = Reader("alice", "s1"), Browser()
    reader.give(b"last")
    reader.end()
    await reader.write(browser.receive, browser.send)
    assert browser.text == b"last"
    assert browser.is_complete
    reader.give(b"late")
    assert browser.text == b"last"


async def test_a_slow_reader_loses_ticks_first_and_keeps_every_fact() -> None:
    reader, browser = Reader("alice", "s1"), Browser()
    browser.is_reading.clear()
    writing = asyncio.create_task(reader.write(browser.receive, browser.send))
    facts = [b"fact%03d " % number for number in range(100)]
    for fact in facts:
        reader.give(fact)
        reader.give(b"t" * 5000, may_drop=True)
    browser.is_reading.set()
    await eventually(lambda: facts[-1] in browser.text)
    assert [fact for fact in facts if fact not in browser.text] == []
    assert browser.text.count(b"t" * 5000) < 100
    browser.has_left.set()
    await writing


async def test_a_reader_too_slow_for_facts_is_told_to_load_again_and_closed() -> None:
    reader, browser = Reader("alice", "s1"), Browser()
    browser.is_reading.clear()
    writing = asyncio.create_task(reader.write(browser.receive, browser.send))
    for _ in range(module.MOST_BYTES // 10_000 + 2):
        reader.give(b"f" * 10_000)
    browser.is_reading.set()
    await writing
    assert browser.text.endswith(b'event: resync\ndata: {"reason":"slow"}\n\n')
    assert browser.is_complete
    assert len(browser.text) <= 2 * module.MOST_BYTES
