"""The one ratio cheap enough for every run: the list beside the driver alone, with room for a busy machine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import asyncpg
import pytest

from tests.bench import trade_rows
from tests.bench.report import Line, Report, percentile, timed
from tests.bench.trade_list import compare, holder
from tests.journey.stack import Stack

pytestmark = pytest.mark.bench

GENEROUS_RATIO = 12.0
"""`bookend bench` asks for 3; a policy that loses the index of its user costs about 50."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack of our own."""
    running = Stack(tmp_path_factory.mktemp("bench") / "data")
    try:
        yield running.up()
    finally:
        running.down()


async def test_the_list_stays_near_the_driver_alone_among_many_trades(stack: Stack) -> None:
    admin = await asyncpg.connect(stack.status()["database_url"])
    try:
        async with holder(admin) as headers:
            await trade_rows.grow(admin, 0, 20_000)
            found = await compare(stack, admin, headers, rounds=6)
    finally:
        await trade_rows.clear(admin)
        await admin.close()
    assert found.list_quiet_ms < GENEROUS_RATIO * found.bare_quiet_ms, found


def test_only_a_ratio_past_its_bound_fails_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.add(Line("slow, but nobody asked", 900.0, "ms", target="<= 1 ms"))
    report.add(Line("within", 2.9, "ms", 1.0, "one", bound=3.0))
    assert report.exit_code == 0
    report.add(Line("past", 3.1, "ms", 1.0, "one", bound=3.0))
    assert report.exit_code == 1
    assert capsys.readouterr().out.count("PAST ITS BOUND") == 1


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0], 0.99) == 1.0
    assert all(took >= 0 for took in timed(time.perf_counter, 3))
