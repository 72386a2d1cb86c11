"""Broker behaviour that no document settles, each with its default."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Milliseconds = Annotated[int, Field(ge=0, le=600_000)]


class Toggles(BaseModel):
    """Every switch of `/_control/toggles`; a request may carry any of them."""

    model_config = ConfigDict(extra="forbid")

    otoco_release: Literal["full_fill", "first_fill"] = "full_fill"
    oco_partial: Literal["cancel_sibling", "reduce", "leave"] = "cancel_sibling"
    null_tag: bool = False
    stop_trigger: Literal["bid", "last"] = "bid"
    latency_ms: Milliseconds = 0
    cancel_delay_ms: Milliseconds = 50
    fill_delay_ms: Milliseconds = 0
    sibling_cancel_ms: Milliseconds = 140
    parent_fill_ms: Milliseconds = 150
    wrong_side_ms: Milliseconds = 500
    late_price_ms: Milliseconds = 0
    heartbeat_ms: Milliseconds = 10_000
    refusal_form: Literal["string", "list"] = "string"
    tick_refusal: Literal["late", "now", "none"] = "late"
    opposite_side: Literal["market_only", "refuse", "allow"] = "market_only"
    modify_leg: Literal["refuse", "allow"] = "refuse"
    settlement: Literal["at_close", "overnight"] = "at_close"
    history: Literal["nightly", "at_once", "never"] = "nightly"
    commission_cents: Annotated[int, Field(ge=0, le=10_000)] = 0
    """For each contract traded; the history tells it."""
    pending_buys: bool = False
    otoco_market: bool = False
    gtc_listed: bool = False
    token_prefix: Annotated[str, Field(max_length=32)] = ""
    """Tokens that begin otherwise are another environment's."""
    rate_limit: bool = True
    rate_standard: Annotated[int, Field(ge=1)] = 600
    rate_market: Annotated[int, Field(ge=1)] = 600
    rate_trading: Annotated[int, Field(ge=1)] = 600
    rate_orats: Annotated[int, Field(ge=1)] = 10_000
