"""The streams and the durable consumers of the house: who reads which facts, by one wildcard filter each.

Stated here, not beside the handlers, because NATS permissions are generated from it.
"""

from __future__ import annotations

from dataclasses import dataclass

EVENTS = "EVENTS"
DEAD = "DEAD"
EVERY_FACT = "evt.>"


@dataclass(frozen=True)
class Stream:
    """One JetStream stream. Units: `max_age_s` seconds, `duplicate_window_s` seconds."""

    name: str
    subjects: tuple[str, ...]
    max_age_s: int
    duplicate_window_s: int
    creators: tuple[str, ...]


DAY_S = 86_400
SERVICES = ("gateway", "orders", "pricing", "monitor", "forensics")

STREAMS: dict[str, Stream] = {
    EVENTS: Stream(EVENTS, (EVERY_FACT,), 7 * DAY_S, 120, SERVICES),
    DEAD: Stream(DEAD, ("dead.>",), 30 * DAY_S, 120, SERVICES),
}


@dataclass(frozen=True)
class Durable:
    """A named pull consumer on EVENTS, shared by the replicas of one service."""

    name: str
    service: str
    filter: str


DURABLES: dict[str, Durable] = {
    durable.name: durable
    for durable in (
        Durable("orders-broker", "orders", "evt.*.monitor.order_changed"),
        Durable("orders-users", "orders", "evt.*.gateway.user_registered"),
        Durable("monitor-orders", "monitor", "evt.*.orders.*"),
        Durable("pricing-orders", "pricing", "evt.*.orders.*"),
        Durable("forensics-orders", "forensics", "evt.*.orders.*"),
        Durable("gateway-orders", "gateway", "evt.*.orders.*"),
        Durable("gateway-monitor", "gateway", "evt.*.monitor.*"),
    )
}


def wake_subject(service: str) -> str:
    """Return the core subject that makes the relays of a service look at once."""
    return f"wake.{service}"


def dead_subject(service: str, durable: str) -> str:
    """Return where a durable's facts go that cannot be handled."""
    return f"dead.{service}.{durable}"
