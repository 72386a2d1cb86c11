"""The first words of a unit to the server: begin, open a door, and where one is named lock its row. One message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TheRow:
    """A row to be locked as a unit begins, by our own names for table and column."""

    table: str
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class Manner:
    """How a unit begins and ends."""

    waits_for_disk: bool = True
    ends_later: bool = False
    """Nobody waits for its end: it only reads, or what it stores may be forgotten."""
    locks: TheRow | None = None


USUAL = Manner()


def opening(door: str, user: str, *, waits_for_disk: bool, locks: TheRow | None) -> str:
    """Return the message; with `locks`, its status ends in how many rows were found and locked.

    Only the simple protocol carries several statements at once and it binds no values, so values go as hexadecimal
    digits: no name, however odd, can become SQL. The door is one of our own two names.
    """
    begin = f"BEGIN; SELECT set_config('role', '{door}', true), set_config('app.current_user', {_text(user)}, true)"
    disk = "" if waits_for_disk else ", set_config('synchronous_commit', 'off', true)"
    if locks is None:
        return begin + disk
    # No key of ours ever changes: who writes a row that only names this one need not wait, or they might stand against
    # each other.
    lock = f"SELECT FROM {locks.table} WHERE {locks.column} = {_text(locks.value)} FOR NO KEY UPDATE"
    return f"{begin}{disk}; {lock}"


def _text(value: str) -> str:
    digits = value.encode(errors="surrogateescape").hex()
    return f"convert_from('\\x{digits}', 'UTF8')"
