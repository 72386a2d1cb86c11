"""Whether a contract trades now, and how long until it does."""

from __future__ import annotations

from libs.common.messages.vocabulary import BrokerMode
from libs.market.clock import MarketClock, is_contract_open, next_open_at
from libs.market.options import OccSymbol
from services.orders.deps import Deps

LONGEST_PAUSE_S = 900.0


def is_open(deps: Deps, clock: MarketClock, mode: BrokerMode, contract: OccSymbol) -> bool:
    """Say whether orders in a contract can execute now."""
    forced = deps.settings.force_market_open and mode is BrokerMode.PAPER
    return forced or is_contract_open(clock, contract, deps.clock.now())


def until_open(deps: Deps, clock: MarketClock, contract: OccSymbol) -> float:
    """Return how long to wait for the session. Units: seconds."""
    opens_at = next_open_at(clock, contract.root, deps.clock.now())
    if opens_at is None:
        return deps.settings.order_waits.queue_poll_s
    wait_s = (opens_at - deps.clock.now()).total_seconds()
    return min(max(wait_s, deps.settings.order_waits.queue_poll_s), LONGEST_PAUSE_S)
