"""The streams and the durable consumers of the house: who reads which facts, by one wildcard filter each.

Stated here, not beside the handlers, because NATS permissions are generated from it.
"""

from __future__ import annotations

from dataclasses import dataclass

EVENTS = "EVENTS"
DEAD = "DEAD"
SIGNALS = "SIGNALS"
EVERY_FACT = "evt.>"
EVERY_SIGNAL = "signals.*.*"


@dataclass(frozen=True)
class Stream:
    """One JetStream stream. Units: `max_age_s` seconds, `duplicate_window_s` seconds.

    A `queue` is other people's: a message leaves it when it is acknowledged, and beyond `most_per_subject` waiting
    ones, or `max_message_bytes`, the sender is told no by the server itself.
    """

    name: str
    subjects: tuple[str, ...]
    max_age_s: int
    duplicate_window_s: float
    creators: tuple[str, ...]
    max_bytes: int | None = None
    """Beyond it the oldest go, and a queue takes no more: what others send never fills the room that facts need."""
    is_queue: bool = False
    most_per_subject: int | None = None
    max_message_bytes: int | None = None


DAY_S = 86_400
MIB = 1024 * 1024
SERVICES = ("gateway", "orders", "pricing", "monitor", "forensics")

STREAMS: dict[str, Stream] = {
    EVENTS: Stream(EVENTS, (EVERY_FACT,), 7 * DAY_S, 120, SERVICES),
    DEAD: Stream(DEAD, ("dead.>",), 30 * DAY_S, 120, SERVICES, max_bytes=1024 * MIB),
    # The smallest window the server takes: it spans every user's bots, so a message id would be one for all of them.
    SIGNALS: Stream(
        SIGNALS,
        (EVERY_SIGNAL,),
        DAY_S,
        0.1,
        ("orders",),
        max_bytes=256 * MIB,
        is_queue=True,
        most_per_subject=256,
        max_message_bytes=64 * 1024,
    ),
}


@dataclass(frozen=True)
class Durable:
    """A named pull consumer on a stream, shared by the replicas of one service."""

    name: str
    service: str
    filter: str
    stream: str = EVENTS


DURABLES: dict[str, Durable] = {
    durable.name: durable
    for durable in (
        Durable("orders-broker", "orders", "evt.*.monitor.order_changed"),
        Durable("orders-users", "orders", "evt.*.gateway.user_registered"),
        Durable("orders-signals", "orders", EVERY_SIGNAL, SIGNALS),
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
