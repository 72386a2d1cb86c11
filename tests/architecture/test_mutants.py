"""The deliberate breaks still fit the code: each text is there once, and the tests that must notice exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.__main__ import mutated
from tests.mutants.breaks import BREAKS, Break

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name)
def test_a_break_still_changes_the_code_it_is_meant_for(one: Break) -> None:
    whole = (ROOT / one.path).read_text()
    broken = mutated(one, whole)
    assert broken != whole
    ast.parse(broken)


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.name)
def test_the_tests_that_must_notice_a_break_exist(one: Break) -> None:
    assert one.tests
    for test in one.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).exists()
        assert not name or f"def {name.partition('[')[0]}(" in (ROOT / path).read_text()


def test_there_are_ten_breaks_at_least_each_with_a_name_of_its_own() -> None:
    assert len({one.name for one in BREAKS}) == len(BREAKS) >= 10
