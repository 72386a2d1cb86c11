"""The pure count: ceilings, reserves, the broker's own figures, and N processes that share one stored window."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.broker.base import Priority
from libs.broker.budget import RateClass
from libs.broker.budget_window import (
    BLOCK,
    WINDOW_MS,
    Limits,
    Window,
    decoded,
    encoded,
    merged,
    observed,
    planned,
    running,
    taken,
)
from libs.common.http_limits import RateReading

NOW = 1_795_000_000_000
LIMITS = Limits()

classes = st.sampled_from(RateClass)
priorities = st.sampled_from(Priority)
allowances = st.integers(0, 2000)
windows = st.builds(
    Window,
    opened_ms=st.integers(NOW - WINDOW_MS, NOW),
    used=st.integers(0, 200),
    expires_ms=st.integers(NOW - 5_000, NOW + WINDOW_MS),
    allowed=st.integers(0, 200),
    told=st.booleans(),
)


def reading(used: int, *, allowed: int = 60, expires_ms: int | None = NOW + 30_000) -> RateReading:
    ends = None if expires_ms is None else datetime.fromtimestamp(expires_ms / 1000, UTC)
    return RateReading(allowed, used, allowed - used, ends)


@pytest.mark.parametrize(
    ("rate_class", "priority", "allowed", "limit"),
    [
        (RateClass.TRADING, Priority.EXIT, 60, 50),
        (RateClass.TRADING, Priority.ENTRY, 60, 30),
        (RateClass.TRADING, Priority.POLL, 60, 30),
        (RateClass.STANDARD, Priority.EXIT, 120, 100),
        (RateClass.STANDARD, Priority.ENTRY, 120, 100),
        (RateClass.STANDARD, Priority.POLL, 120, 80),
        (RateClass.MARKET, Priority.POLL, 120, 100),
        (RateClass.TRADING, Priority.EXIT, 0, 50),
        (RateClass.STANDARD, Priority.POLL, 600, 480),
    ],
)
def test_ceilings_and_reserves_are_the_stated_ones(
    rate_class: RateClass, priority: Priority, allowed: int, limit: int
) -> None:
    assert LIMITS.limit(rate_class, priority, allowed) == limit


@given(classes, priorities, allowances)
def test_nobody_may_use_more_than_an_exit_and_everybody_may_use_something(
    rate_class: RateClass, priority: Priority, allowed: int
) -> None:
    limit = LIMITS.limit(rate_class, priority, allowed)
    assert 1 <= limit <= LIMITS.limit(rate_class, Priority.EXIT, allowed)
    assert allowed == 0 or limit <= max(1, allowed * 5 // 6)
    assert LIMITS.alone(rate_class, allowed) <= max(1, LIMITS.ceiling(rate_class, allowed) // 4)


@given(windows, st.lists(priorities, max_size=12), classes)
def test_a_plan_never_passes_the_limit_of_whom_it_serves(
    window: Window, waiting: list[Priority], rate_class: RateClass
) -> None:
    waiting.sort()
    tags = planned(window, waiting, rate_class, LIMITS)
    assert len(tags) <= BLOCK
    for count, tag in enumerate(tags, start=1):
        assert window.used + count <= LIMITS.limit(rate_class, tag, window.allowed)
    assert list(tags[: len(waiting)]) == waiting[: len(tags)]


def test_an_exit_takes_what_its_flow_needs_next_only_while_there_is_plenty() -> None:
    fresh = Window(NOW, 0, NOW + WINDOW_MS)
    ahead = (Priority.ENTRY,) * (BLOCK - 1)
    assert planned(fresh, [Priority.EXIT], RateClass.TRADING, LIMITS) == (Priority.EXIT, *ahead)
    assert planned(taken(fresh, 12), [Priority.EXIT], RateClass.TRADING, LIMITS) == (
        Priority.EXIT,
        *(Priority.ENTRY, Priority.ENTRY),
        *(Priority.EXIT, Priority.EXIT),
    )
    assert planned(taken(fresh, 40), [Priority.EXIT], RateClass.TRADING, LIMITS) == (Priority.EXIT,)
    assert planned(fresh, [Priority.POLL], RateClass.STANDARD, LIMITS) == (Priority.POLL,)


def test_what_is_missing_of_a_block_is_taken_for_who_will_ask_soon_only_while_there_is_plenty() -> None:
    fresh = Window(NOW, 0, NOW + WINDOW_MS)

    def soon(window: Window, in_hand: int, priority: Priority = Priority.EXIT) -> tuple[Priority, ...]:
        return planned(window, [], RateClass.TRADING, LIMITS, soon=priority, in_hand=in_hand)

    assert soon(fresh, 1) == soon(fresh, 1, Priority.ENTRY) == (Priority.ENTRY,) * (BLOCK - 1)
    assert soon(fresh, BLOCK) == soon(fresh, 0, Priority.POLL) == soon(taken(fresh, 25), 0) == ()
    assert soon(taken(fresh, 23), 0) == (Priority.EXIT,) * 2
    assert planned(fresh, [Priority.POLL], RateClass.STANDARD, LIMITS, soon=Priority.EXIT) == (Priority.POLL,)


def test_a_window_ends_when_the_broker_says_and_the_next_begins_unused() -> None:
    window = observed(taken(running(None, NOW), 3), reading(7), NOW)
    assert (window.used, window.expires_ms, window.allowed) == (7, NOW + 30_000, 60)
    assert running(window, NOW + 29_999) == window
    following = running(window, NOW + 30_000)
    assert (following.used, following.opened_ms, following.allowed) == (0, NOW + 30_000, 60)


@given(windows.filter(lambda one: one.expires_ms > NOW), st.integers(0, 200), st.integers(-60_000, 600_000))
def test_used_never_falls_and_a_window_never_lasts_longer_than_a_minute(window: Window, used: int, ends: int) -> None:
    learned = observed(window, reading(used, expires_ms=NOW + ends), NOW)
    assert learned.used >= window.used
    assert learned.expires_ms <= NOW + WINDOW_MS
    assert learned.expires_ms > NOW


def test_a_late_answer_of_the_last_minute_says_nothing_about_this_one() -> None:
    fresh = taken(running(None, NOW), 1)
    learned = observed(fresh, reading(50, expires_ms=NOW - 1), NOW)
    assert (learned.used, learned.expires_ms) == (1, fresh.expires_ms)


@given(windows, windows)
def test_putting_two_accounts_of_one_minute_together_forgets_no_request(ours: Window, theirs: Window) -> None:
    together = merged(ours, theirs, NOW)
    assert together is not None
    alive = [one for one in (ours, theirs) if one.expires_ms > NOW]
    if len(alive) == 1:
        assert together.used == alive[0].used
    if len(alive) == 2 and together.opened_ms == min(ours.opened_ms, theirs.opened_ms) != max(
        ours.opened_ms, theirs.opened_ms
    ):
        assert together.used == max(ours.used, theirs.used)
    assert together.allowed == (theirs.allowed or ours.allowed)


def test_a_forgotten_window_is_remembered_by_whoever_knew_it() -> None:
    known = Window(NOW - 20_000, 45, NOW + 40_000, 60, told=True)
    begun_again = Window(NOW - 100, 2, NOW + 59_900, 60)
    assert merged(known, begun_again, NOW) == known


def test_a_window_that_others_opened_at_the_end_of_ours_is_the_next() -> None:
    ours = Window(NOW - 59_800, 50, NOW + 200, 60, told=True)
    next_one = Window(NOW - 50, 1, NOW + 59_950, 60)
    assert merged(ours, next_one, NOW) == next_one


@given(windows)
def test_what_is_stored_reads_back(window: Window) -> None:
    assert decoded(encoded(window)) == window


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"window": "x", "used": 1, "expires_ms": 2}', b"null"])
def test_an_entry_that_is_not_one_counts_as_none(data: bytes) -> None:
    assert decoded(data) is None
