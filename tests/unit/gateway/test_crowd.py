"""Who counts as standing inside, and who knocks too often."""

from __future__ import annotations

from libs.common.knocks import Knocks
from services.gateway.crowd import SETTLES_S, Crowd
from services.gateway.names import sharers


def test_one_who_was_let_in_counts_before_the_server_tells_of_him_and_once_when_it_does() -> None:
    crowd = Crowd()
    crowd.let_in("ann", ("n", 1), now=10.0)
    crowd.let_in("ann", ("n", 2), now=10.0)
    assert (crowd.count("ann"), crowd.count("bob")) == (2, 0)
    crowd.told([("ann", ("n", 1)), ("bob", ("n", 3))], asked_at=10.1)
    assert (crowd.count("ann"), crowd.count("bob")) == (2, 1)


def test_one_who_went_counts_until_the_server_was_asked_again() -> None:
    crowd = Crowd()
    crowd.told([("ann", ("n", 1)), ("ann", ("n", 2))], asked_at=0.0)
    crowd.told([("ann", ("n", 2))], asked_at=1.0)
    assert crowd.count("ann") == 1


def test_one_of_whom_the_server_told_goes_when_it_tells_of_him_no_more() -> None:
    crowd = Crowd()
    crowd.let_in("ann", ("n", 1), now=10.0)
    crowd.told([("ann", ("n", 1))], asked_at=10.1)
    crowd.told([], asked_at=10.2)
    assert crowd.count("ann") == 0


def test_one_who_was_let_in_and_never_came_is_forgotten() -> None:
    crowd = Crowd()
    crowd.let_in("ann", ("n", 1), now=10.0)
    crowd.told([], asked_at=10.0 + SETTLES_S / 2)
    assert crowd.count("ann") == 1
    crowd.told([], asked_at=10.0 + SETTLES_S)
    assert crowd.count("ann") == 0


def test_the_same_number_at_another_server_is_another_connection() -> None:
    crowd = Crowd()
    crowd.let_in("ann", ("n", 1), now=1.0)
    crowd.told([("ann", ("m", 1))], asked_at=2.0)
    assert crowd.count("ann") == 2


def test_what_one_key_knocks_counts_for_no_other_and_not_in_the_next_window() -> None:
    knocks = Knocks(window_s=10.0)
    assert [knocks.count("a", now) for now in (0.0, 1.0, 2.0)] == [1, 2, 3]
    assert knocks.count("b", 3.0) == 1
    assert knocks.count("a", 10.0) == 1


def test_who_would_share_an_inbox_is_named() -> None:
    assert sharers("ann", "b_scan") == ["ann_b"]
    assert sharers("ann", "b_c_d") == ["ann_b", "ann_b_c"]
    assert sharers("ann_b", "scan") == []
