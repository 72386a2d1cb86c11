"""The campaign itself: `./bookend test -m campaign --seed N --minutes M`; in CI a short one with a fixed seed."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import orjson
import pytest

from tests.campaign.asking import Ledger
from tests.campaign.campaign import ENVIRONMENT, Campaign
from tests.campaign.script import write_script
from tests.journey.stack import Stack

pytestmark = pytest.mark.campaign

LAST_WORDS = 60


def test_nothing_is_lost_doubled_or_left_whatever_goes_wrong(request: pytest.FixtureRequest) -> None:
    seed, minutes = request.config.getoption("--seed"), request.config.getoption("--minutes")
    home = Path(tempfile.mkdtemp(prefix=f"bookend-campaign-{seed}-"))
    stack = Stack(home / "data", options=("--replicas", "orders=2,monitor=2"), environment=ENVIRONMENT).up()
    campaign = Campaign(stack, seed, Ledger(home / "story.txt"))
    try:
        told = campaign.run(write_script(seed, minutes))
    except BaseException as error:  # noqa: BLE001 - whatever it was, its story is kept
        last = "\n".join(campaign.ledger.said[-LAST_WORDS:])
        pytest.fail(f"seed {seed}, {minutes} minutes; data, logs and story stay in {home}\n{last}\n\n{error}")
    finally:
        stack.down()
    sys.stdout.write(f"seed {seed}: {orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()}\n")
    shutil.rmtree(home)
