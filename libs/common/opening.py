"""The first words of a unit to the server: begin and open a door, in one message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Manner:
    """How a unit begins and ends."""

    waits_for_disk: bool = True
    ends_later: bool = False
    """Nobody waits for its end: it only reads, or what it stores may be forgotten."""


USUAL = Manner()


def opening(door: str, user: str, manner: Manner) -> str:
    """Return the message.

    Only the simple protocol carries two statements at once and it binds no values, so the user goes as hexadecimal
    digits: no name, however odd, can become SQL. The door is one of our own two names. No third statement: without
    values of its own it is planned anew each time, which costs more than the round trip of one that is prepared.
    """
    digits = user.encode(errors="surrogateescape").hex()
    return (
        f"BEGIN; SELECT set_config('role', '{door}', true), "
        f"set_config('app.current_user', convert_from('\\x{digits}', 'UTF8'), true)"
        + ("" if manner.waits_for_disk else ", set_config('synchronous_commit', 'off', true)")
    )
