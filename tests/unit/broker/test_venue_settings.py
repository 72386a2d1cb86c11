"""What a service that reaches accounts is told: wrong keys are named at the start, a mode can be turned off."""

from __future__ import annotations

import pytest

from libs.broker.venue_settings import VenueSettings
from libs.common.config import SettingsProblem
from libs.common.messages.vocabulary import BrokerMode
from libs.common.vault import new_key


class Told(VenueSettings):
    """The settings of no service."""

    service = "orders"


def told(**changes: str) -> Told:
    given = {"DATABASE_URL": "postgresql://h/d", "NATS_URL": "nats://h", "ENCRYPTION_KEY": new_key()}
    secrets = {"ORDERS_DATABASE_PASSWORD": "p", "ORDERS_NATS_PASSWORD": "p"}
    return Told.read({**given, **secrets, **changes})


@pytest.mark.parametrize(
    "key", ["", "not-a-key", f"{new_key()},short", "A" * 44], ids=["missing", "no key", "one of two", "no bytes"]
)
def test_a_missing_or_wrong_key_is_named_at_the_start_and_not_repeated(key: str) -> None:
    with pytest.raises(SettingsProblem) as refused:
        told(ENCRYPTION_KEY=key)
    (words,) = refused.value.problems
    assert words.startswith("ENCRYPTION_KEY: ")
    assert not key or key not in words


def test_several_keys_are_read() -> None:
    assert told(ENCRYPTION_KEY=f"{new_key()}, {new_key()}").encryption_key


def test_modes_are_offered_where_they_have_an_address() -> None:
    usual = set(told().base_urls)
    assert usual == {BrokerMode.TRADIER_SANDBOX, BrokerMode.TRADIER_LIVE}
    paper = told(SIMULATOR_URL="http://s", TRADIER_LIVE_URL="off", TRADIER_SANDBOX_URL="OFF")
    assert paper.base_urls == {BrokerMode.PAPER: "http://s"}
