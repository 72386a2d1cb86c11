"""The same seed writes the same script; what it holds is enough to be worth its minutes."""

from __future__ import annotations

from tests.campaign.hands import MOVES as CARRIED_OUT
from tests.campaign.hours import STEPS
from tests.campaign.script import HOURS, MOVES, TERMS, TROUBLES, write_script
from tests.campaign.troubles import DOERS


def test_one_seed_is_one_script_and_another_seed_another() -> None:
    assert write_script(7, 3) == write_script(7, 3)
    assert write_script(7, 3) != write_script(8, 3)


def test_a_longer_campaign_begins_like_a_shorter_one() -> None:
    assert write_script(7, 10)[:3] == write_script(7, 3)


def test_everything_that_can_be_written_can_be_carried_out() -> None:
    assert MOVES.keys() == CARRIED_OUT.keys()
    assert TROUBLES.keys() == TERMS.keys() == DOERS.keys() - {"clock"}
    assert {step for hours in HOURS for _, step in hours} == STEPS.keys()


def test_ten_minutes_hold_every_kind_of_trouble_and_move() -> None:
    script = write_script(7, 10)
    assert {one.kind for chapter in script for one in chapter.troubles} == TROUBLES.keys()
    lives = [life for chapter in script for hand in chapter.hands for life in hand]
    assert {move.kind for life in lives for move in life.moves} == MOVES.keys()
