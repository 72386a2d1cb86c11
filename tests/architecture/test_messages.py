"""Every message: its subject is its own, its golden file is readable, the documents about it are current."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from libs.common.errors import PoisonMessage
from libs.common.messages.base import COMMANDS, FACTS, QUERIES, TICKS, Asked, Envelope, Message, Tick
from libs.common.messages.durables import DURABLES, EVENTS, SERVICES, STREAMS
from tests.architecture.golden import FOLDER, all_messages, path_of
from tools import gen_messages

MESSAGES = all_messages()


def _golden(kind: type[Message]) -> tuple[Envelope, Message]:
    envelope = Envelope.decode(path_of(kind).read_bytes())
    return envelope, kind.decode(envelope.data)


def _recorded(recorded: Any, again: Any) -> Any:
    """Return of what was read again the part that was recorded: a nested field, too, may be added with a default."""
    if isinstance(recorded, dict) and isinstance(again, dict):
        return {name: _recorded(recorded[name], again[name]) for name in recorded}
    if isinstance(recorded, list) and isinstance(again, list) and len(recorded) == len(again):
        return [_recorded(old, new) for old, new in zip(recorded, again, strict=True)]
    return again


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_golden_message_is_still_readable_to_the_last_field(kind: type[Message]) -> None:
    envelope, message = _golden(kind)
    again = orjson.loads(message.model_dump_json())
    assert _recorded(envelope.data, again) == envelope.data
    assert set(envelope.data) <= set(kind.model_fields)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_field_this_edition_does_not_know_is_ignored_when_read_and_refused_when_made(kind: type[Message]) -> None:
    envelope, message = _golden(kind)
    newer = {**envelope.data, "invented_later": {"deep": [1]}}
    assert kind.decode(newer) == message
    with pytest.raises(ValueError, match="invented_later"):
        kind.model_validate(newer)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_message_without_a_required_field_is_poison_and_says_where(kind: type[Message]) -> None:
    envelope, _ = _golden(kind)
    for name, field in kind.model_fields.items():
        if field.is_required():
            without = {key: value for key, value in envelope.data.items() if key != name}
            with pytest.raises(PoisonMessage, match=f"{kind.__name__}.*{name}: missing"):
                kind.decode(without)


def test_a_poison_message_does_not_tell_the_values_it_found() -> None:
    kind = COMMANDS["orders.store_credentials"]
    with pytest.raises(PoisonMessage) as caught:
        kind.decode({"token": ["very-secret"], "broker_mode": "PAPER", "account_id": "a"})
    assert "very-secret" not in caught.value.detail


def test_every_golden_file_belongs_to_a_message() -> None:
    known = {path_of(kind) for kind in MESSAGES}
    assert {path for path in FOLDER.glob("*.json") if path not in known} == set()


def test_no_two_messages_share_a_subject() -> None:
    subjects = [gen_messages._subject(kind) for kind in MESSAGES]
    assert len(subjects) == len(set(subjects))
    assert len(MESSAGES) == len(COMMANDS) + len(QUERIES) + len(FACTS) + len(TICKS)


def test_subjects_have_the_tokens_that_permissions_count_on() -> None:
    shapes = {
        "cmd": r"cmd\.[a-z]+\.\*\.[a-z0-9_]+",
        "qry": r"qry\.[a-z]+\.\*\.[a-z0-9_]+",
        "evt": r"evt\.\*\.[a-z]+\.[a-z0-9_]+",
        "tick": r"tick\.[a-z0-9_]+\.\*",
    }
    for kind in MESSAGES:
        subject = gen_messages._subject(kind)
        assert re.fullmatch(shapes[subject.split(".")[0]], subject), subject


def test_owners_askers_publishers_and_listeners_are_services() -> None:
    for kind in MESSAGES:
        named = [kind.owner]
        if issubclass(kind, Asked):
            named += kind.askers
        if issubclass(kind, Tick):
            named += [*kind.publishers, *kind.listeners]
        assert set(named) <= set(SERVICES), kind


def test_an_imperative_asks_and_a_query_gets_or_lists() -> None:
    assert [kind for kind in QUERIES.values() if not re.match(r"(Get|List|Export|Check)[A-Z]", kind.__name__)] == []
    assert [kind for kind in COMMANDS.values() if re.match(r"(Get|List)[A-Z]", kind.__name__)] == []


def test_every_durable_reads_facts_that_somebody_says() -> None:
    for durable in DURABLES.values():
        assert durable.service in SERVICES
        if durable.stream != EVENTS:
            assert durable.filter in STREAMS[durable.stream].subjects
            continue
        pattern = re.compile(durable.filter.replace(".", r"\.").replace("*", r"[^.]+"))
        assert any(pattern.fullmatch(kind.subject("alice")) for kind in FACTS.values()), durable


def test_only_events_and_dead_letters_are_stored() -> None:
    assert STREAMS[EVENTS].subjects == ("evt.>",)
    for kind in MESSAGES:
        stored = gen_messages._subject(kind).startswith("evt.")
        assert stored == (kind in FACTS.values()), kind


def test_the_documents_about_messages_are_current() -> None:
    for path, text in gen_messages.rendered().items():
        assert path.read_text() == text, f"{path.name} is stale: run python -m tools.gen_messages"
