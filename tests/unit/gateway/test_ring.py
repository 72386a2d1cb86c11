"""The ring gives a reader all he missed, in order, or says that it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.ring import Bounds, Ring

USERS = ("alice", "bob", None)


def filled(facts: list[str | None], bounds: Bounds | None = None, floor: int = 0) -> Ring:
    ring = Ring(bounds)
    ring.begin("e1", floor)
    for sequence, user in enumerate(facts, floor + 1):
        if user is None:
            ring.skip(sequence, float(sequence))
        else:
            ring.keep(sequence, float(sequence), user=user, fact_id=f"f{sequence}", frame=f"{sequence}".encode())
    return ring


@given(st.lists(st.sampled_from(USERS), max_size=60), st.integers(1, 20), st.integers(0, 5))
def test_what_a_reader_gets_is_complete_or_nothing(facts: list[str | None], most: int, floor: int) -> None:
    ring = filled(facts, Bounds(most=most), floor)
    for cursor in range(floor + len(facts) + 3):
        got = ring.after("alice", f"e1-{cursor}")
        wanted = [f"{floor + n}".encode() for n, user in enumerate(facts, 1) if user == "alice" and floor + n > cursor]
        if got is None:
            # Only what was forgotten, was before our time or is yet to come cannot be told.
            assert cursor < ring.floor or cursor > ring.last
        else:
            assert got == wanted


@given(st.lists(st.sampled_from(USERS), max_size=80), st.integers(1, 10), st.integers(1, 30))
def test_the_ring_stays_within_its_bounds_and_counts_right(facts: list[str | None], most: int, largest: int) -> None:
    ring = filled(facts, Bounds(most=most, largest=largest))
    assert len(ring) <= most
    assert ring.size <= largest
    kept = [ring.after(user, ring.cursor(ring.floor)) or [] for user in ("alice", "bob")]
    assert sum(map(len, kept)) == len(ring)
    assert sum(len(frame) for frames in kept for frame in frames) == ring.size


def test_facts_older_than_the_time_kept_are_forgotten() -> None:
    ring = Ring(Bounds(oldest_s=10))
    ring.begin("e1", 0)
    ring.keep(1, 100.0, user="alice", fact_id="f1", frame=b"old")
    ring.keep(2, 111.0, user="alice", fact_id="f2", frame=b"new")
    assert ring.fact_ids() == {"f2"}
    assert ring.after("alice", "e1-0") is None
    assert ring.after("alice", "e1-1") == [b"new"]


def test_another_epoch_forgets_everything() -> None:
    ring = filled(["alice"])
    ring.begin("e2", 7)
    assert ring.after("alice", "e1-0") is None
    assert ring.after("alice", "e2-7") == []
    assert ring.cursor() == "e2-7"


@pytest.mark.parametrize(
    "cursor", ["", "e1", "e1-", "-1", "e1-x", "e1--1", "e1-1-1", "e1-1\n", " e1-1", "E1-1", "e1-²"]
)
def test_a_cursor_of_another_shape_means_nothing(cursor: str) -> None:
    assert filled(["alice", "alice"]).after("alice", cursor) is None
