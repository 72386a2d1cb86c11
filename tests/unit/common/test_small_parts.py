"""Clock, ids, vault, beats and metrics."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.beats import Crash, CrashAt, NoBeats
from libs.common.clock import ManualClock, SystemClock
from libs.common.errors import InvariantBroken
from libs.common.ids import new_id, new_tag
from libs.common.metrics import Metrics
from libs.common.vault import Vault, new_key


def test_ids_are_version_seven_and_sort_by_the_moment_they_were_made() -> None:
    made = [new_id() for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in made} == {(7, uuid.RFC_4122)}
    moments = [uuid.UUID(one).int >> 80 for one in made]
    assert moments == sorted(moments)
    assert abs(moments[0] / 1000 - datetime.now(UTC).timestamp()) < 60


def test_tags_are_ours_and_fit_the_brokers_rule() -> None:
    tag = new_tag()
    assert tag.startswith("bk-")
    assert len(tag) == 35
    assert tag.replace("-", "").isalnum()


def test_the_systems_clock_is_aware_and_in_utc() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert clock.monotonic() <= clock.monotonic()


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no clock that counts its sleep")
def test_a_machine_that_slept_has_let_time_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    # A claim taken before a laptop was closed is over when it is opened.
    before, asked = SystemClock().monotonic(), time.clock_gettime
    slept_s = {time.CLOCK_BOOTTIME: 3600.0}
    monkeypatch.setattr(time, "clock_gettime", lambda which: asked(which) + slept_s.get(which, 0.0))
    assert SystemClock().monotonic() >= before + 3600


def test_a_manual_clock_moves_only_when_moved_and_never_back() -> None:
    clock = ManualClock(datetime(2026, 11, 20, 15, tzinfo=UTC))
    began, ticks = clock.now(), clock.monotonic()
    clock.advance(2.5)
    clock.advance(timedelta(minutes=1))
    assert clock.now() - began == timedelta(seconds=62.5)
    assert clock.monotonic() - ticks == 62.5
    with pytest.raises(ValueError, match="time does not go back"):
        clock.advance(-1)
    clock.set(began)
    assert (clock.now(), clock.monotonic() - ticks) == (began, 62.5)


def test_a_secret_opens_only_in_the_row_it_was_sealed_for() -> None:
    vault = Vault(new_key())
    sealed = vault.seal("broker token", "PAPER:VA00000001")
    assert vault.open(sealed, "PAPER:VA00000001") == "broker token"
    with pytest.raises(InvariantBroken, match="sealed for another row"):
        vault.open(sealed, "PAPER:VA00000002")


def test_an_altered_or_foreign_ciphertext_does_not_open_and_tells_nothing() -> None:
    vault = Vault(new_key())
    sealed = vault.seal("broker token", "r")
    for broken in (sealed[:-4] + "AAAA", "", "not a token", Vault(new_key()).seal("x", "r")):
        with pytest.raises(InvariantBroken) as caught:
            vault.open(broken, "r")
        assert "broker token" not in caught.value.detail


def test_keys_rotate_without_losing_what_the_old_one_sealed() -> None:
    old, new = new_key(), new_key()
    sealed = Vault(old).seal("broker token", "r")
    both = Vault(f"{new}, {old}")
    again = both.rotate(sealed, "r")
    assert Vault([new]).open(again, "r") == "broker token"
    with pytest.raises(InvariantBroken):
        Vault([new]).open(sealed, "r")
    with pytest.raises(InvariantBroken, match="another row"):
        both.rotate(sealed, "other")


@pytest.mark.parametrize("keys", ["", " , ", "not-a-key"])
def test_a_vault_needs_real_keys(keys: str) -> None:
    with pytest.raises(ValueError, match=r"key|Fernet"):
        Vault(keys)


async def test_beats_crash_once_at_the_place_that_was_named() -> None:
    await NoBeats().at("orders.place.sent")
    beats = CrashAt(2)
    await beats.at("orders.place.intent")
    with pytest.raises(Crash, match=r"orders\.place\.sent"):
        await beats.at("orders.place.sent")
    await beats.at("orders.place.sent")
    assert beats.heard == ["orders.place.intent", "orders.place.sent", "orders.place.sent"]
    named = CrashAt(name="x")
    await named.at("y")
    with pytest.raises(Crash):
        await named.at("x")


def test_a_crash_is_caught_by_nobody_who_catches_errors() -> None:
    assert not issubclass(Crash, Exception)


def test_metrics_are_stated_once_and_exposed_under_our_prefix() -> None:
    metrics = Metrics()
    metrics.counter("asked_total", "Questions", ["message"]).labels("GetTrade").inc()
    assert metrics.counter("asked_total", "Questions", ["message"]) is metrics.counter("asked_total", "", ["message"])
    metrics.gauge("age_seconds", "Age").set(2)
    metrics.histogram("took_seconds", "Time").observe(0.01)
    text = metrics.expose().decode()
    assert 'bookend_asked_total{message="GetTrade"} 1.0' in text
    assert 'bookend_took_seconds_bucket{le="0.01"} 1.0' in text
    assert metrics.rows() == [
        ("`bookend_age_seconds`", "gauge", "", "Age"),
        ("`bookend_asked_total`", "counter", "message", "Questions"),
        ("`bookend_took_seconds`", "histogram", "", "Time"),
    ]
    with pytest.raises(TypeError, match="exists as Counter"):
        metrics.gauge("asked_total", "again")
