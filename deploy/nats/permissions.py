"""Who may say and hear what on the bus, worked out from the message classes. Pure.

Invariants:
1. A service publishes only its own facts, ticks and wake-ups, what it asks, and its own dead letters.
2. A service hears only what it is asked (in its own queue group), its ticks, its wake-ups and its own inbox.
3. JetStream: it makes and reads its own durables; no login may delete, purge or update anything.
4. Only the gateway reads all facts as they come, for the live feed, and answers for bots.
"""

from __future__ import annotations

from deploy.nats.config import Permissions
from libs.common.messages import base, bots, durables

API = "$JS.API"
BUDGET_STREAM = "KV_budget"
BUDGET_SERVICES = frozenset({"orders", "monitor", "pricing"})
FEED_SERVICE = "gateway"
DOOR_SERVICE = "gateway"
"""Who answers for bots, sees their connections and ends them."""
RESPONSES_EXPIRE_S = 15


def permissions_for(service: str) -> Permissions:
    """Return what the login of one service may do."""
    return Permissions(
        publish=tuple(sorted(_published(service))),
        subscribe=tuple(sorted(_subscribed(service))),
        responses_expire_s=RESPONSES_EXPIRE_S,
    )


def inbox_of(service: str) -> str:
    """Return the prefix of the service's own inbox: the only one it can hear."""
    return f"_INBOX_{service}"


def _published(service: str) -> set[str]:
    asked = [*base.COMMANDS.values(), *base.QUERIES.values()]
    subjects = {one.subject("*") for one in asked if service in one.askers}
    subjects |= {fact.subject("*") for fact in base.FACTS.values() if fact.owner == service}
    subjects |= {tick.subject("*") for tick in base.TICKS.values() if service in tick.publishers}
    subjects |= {f"wake.{service}", durables.dead_subject(service, "*")}
    if service == DOOR_SERVICE:
        subjects |= {bots.CONNECTIONS, bots.kick("*")}
    return subjects | _stream_requests(service) | _durable_requests(service) | _budget_requests(service)


def _subscribed(service: str) -> set[str]:
    answered = [*base.COMMANDS.values(), *base.QUERIES.values()]
    subjects = {f"{one.prefix}.{service}.*.* {service}" for one in answered if one.owner == service}
    for tick in base.TICKS.values():
        if service in tick.listeners:
            subjects.add(f"{tick.subject('*')} {service}" if tick.queued else tick.subject("*"))
    if service == DOOR_SERVICE:
        subjects.add(f"{bots.ASKED} {service}")
    return subjects | {f"wake.{service}", f"{inbox_of(service)}.>"}


def _stream_requests(service: str) -> set[str]:
    made = [stream.name for stream in durables.STREAMS.values() if service in stream.creators]
    return {f"{API}.STREAM.{verb}.{name}" for name in made for verb in ("CREATE", "INFO")}


def _durable_requests(service: str) -> set[str]:
    subjects: set[str] = set()
    for durable in durables.DURABLES.values():
        if durable.service == service:
            place = f"{durable.stream}.{durable.name}"
            # The filter is part of the subject, so the server holds the consumer to it.
            subjects |= {f"{API}.CONSUMER.CREATE.{place}.{durable.filter}", f"{API}.CONSUMER.INFO.{place}"}
            subjects |= {f"{API}.CONSUMER.MSG.NEXT.{place}", f"$JS.ACK.{place}.>"}
    if service == FEED_SERVICE:
        # The form without a name makes only short-lived consumers: it cannot touch anybody's durable.
        subjects |= {f"{API}.CONSUMER.CREATE.{durables.EVENTS}", f"{API}.CONSUMER.INFO.{durables.EVENTS}.*"}
        subjects.add(f"$JS.FC.{durables.EVENTS}.>")
    return subjects


def _budget_requests(service: str) -> set[str]:
    if service not in BUDGET_SERVICES:
        return set()
    requests = {f"{API}.STREAM.{verb}.{BUDGET_STREAM}" for verb in ("CREATE", "INFO")}
    return requests | {f"{API}.DIRECT.GET.{BUDGET_STREAM}.>", "$KV.budget.>"}
