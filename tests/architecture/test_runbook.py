"""The runbook has an entry for every kind of incident, and names only series and events that the code has."""

from __future__ import annotations

import re
from pathlib import Path

from libs.common.messages.vocabulary import Finding

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for part in ("services", "libs") for path in (ROOT / part).rglob("*.py")
)
METRICS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def signs() -> list[str]:
    """List what stands in the first column."""
    return [line.split("|")[1] for line in RUNBOOK.splitlines() if line.startswith("| ")]


def test_every_kind_of_incident_says_what_to_do() -> None:
    concerns = (ROOT / "services" / "orders" / "concerns.py").read_text(encoding="utf-8")
    kinds = {*Finding, *re.findall(r"Found\(\s*\"([a-z_]+)\"", concerns)}
    assert len(kinds) > 15
    entries = " ".join(sign for sign in signs() if "incident" in sign)
    assert {kind for kind in kinds if f"`{kind}`" not in entries} == set()


def test_series_that_are_named_are_there() -> None:
    named = set(re.findall(r"`(bookend_[a-z_]+)", RUNBOOK))
    assert named
    assert {name for name in named if f"`{name}`" not in METRICS} == set()


def test_every_event_that_is_logged_as_an_error_says_what_to_do() -> None:
    errors = set(re.findall(r"_log\.(?:error|exception|critical)\(\s*\"([a-z_]+)\"", SOURCES))
    assert len(errors) > 10
    first = " ".join(signs())
    assert {event for event in errors if f"`{event}`" not in first} == set()


def test_events_that_are_named_are_logged_somewhere() -> None:
    logged = [sign for sign in signs() if "incident" not in sign and "audit" not in sign]
    events = {word for sign in logged for word in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", sign)}
    events = {event for event in events if not event.startswith("bookend_")}
    assert len(events) > 15
    assert {event for event in events if f'"{event}"' not in SOURCES} == set()
