"""What orders is told by its environment."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, Field

from libs.broker.breaker import BreakerSettings
from libs.broker.budget_settings import BudgetSettings
from libs.broker.tradier_session import Deadlines
from libs.broker.venue_settings import VenueSettings
from libs.common.messages.durables import DAY_S, DEAD, SIGNALS, STREAMS
from services.orders.steps import Waits

SIGNALS_LEAST_DAYS = (STREAMS[SIGNALS].max_age_s + STREAMS[DEAD].max_age_s) // DAY_S + 1
"""As long as a signal can be handed out again: from its queue, and later from among the dead letters."""


def _parsed(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


class Settings(BudgetSettings, BreakerSettings, VenueSettings):
    """Addresses of the brokers by mode, deadlines and waits in real seconds."""

    force_market_open: bool = Field(default=False, description="place in PAPER outside the session too")
    broker_read_s: float = Field(default=4.0, gt=0, description="deadline of a read at the broker")
    broker_write_s: float = Field(default=4.0, gt=0, description="deadline of an order or cancel at the broker")
    place_answer_s: float = Field(default=2.0, gt=0, description="how long placing waits for the entry's confirmation")
    action_answer_s: float = Field(default=8.0, gt=0, description="how long close and adjust wait for their end")
    counterpart_s: float = Field(
        default=3.0, gt=0, description="how long the other environment is asked whether a refused token is its own"
    )
    lease_s: float = Field(default=10.0, gt=0, description="how long a claim on a trade's flow holds between its marks")
    recovery_s: float = Field(default=15.0, gt=0, description="how often interrupted flows are looked for")
    signals_per_min: int = Field(default=60, ge=1, description="signals one bot may publish a minute")
    signals_per_user_min: int = Field(default=300, ge=1, description="signals all bots of one user may")
    signals_kept_days: int = Field(default=40, ge=SIGNALS_LEAST_DAYS, description="how long decided signals are kept")
    order_waits: Annotated[Waits, BeforeValidator(_parsed)] = Field(
        default=Waits(), description='waits of the order path as JSON, such as {"look_gap_entry_s": 30}'
    )

    @property
    def deadlines(self) -> Deadlines:
        """Return how long a broker call may take."""
        return Deadlines(read_s=self.broker_read_s, write_s=self.broker_write_s)
