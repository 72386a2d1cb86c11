"""Storing a changed trade: versions, facts and concerns follow from the difference, in the same transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from libs.common.db import Unit
from libs.common.ids import new_id
from libs.common.messages.orders import ConcernEnded, ConcernRaised
from libs.common.messages.vocabulary import Protection, Severity
from libs.common.metrics import METRICS
from services.orders import concerns, publishing, recovering, store, store_contract
from services.orders.steps import Moment
from services.orders.trade import Trade, View

NAKED_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_NAKED = METRICS.histogram(
    "naked_seconds", "Time held without every exit asked for, by how it ended", ["end"], buckets=NAKED_S
)

ADVANCE = "advance"
"""The job that drives one trade."""
KILL = "kill"
"""The job of one user's kill switch."""


async def save(unit: Unit, before: View, after: View, moment: Moment, *, lease_s: float | None = None) -> View:
    """Store what changed and tell it; returns the view as stored. The trade's row is locked by this unit."""
    while (order := recovering.surfaced(before, after)) is not None:
        after = await _recovered(unit, recovering.parted(before, after, order, new_id=new_id, now=moment.now), moment)
    after = publishing.raised(before, after)
    wrong = concerns.changes(after, moment)
    facts = publishing.facts_of(before, after)
    after = replace(after, key_version=before.key_version + len(facts))
    if after == before and not wrong and lease_s is None:
        return after
    unit.emit(*facts)
    for change in wrong:
        _tell(unit, after, change)
    await store.write(unit, before, after, concerns=wrong, lease_s=lease_s)
    _measure(before.trade, after)
    known = {one.kind: one for one in after.concerns}
    for change in wrong:
        known.pop(change.concern.kind, None)
        if change.ended_at is None:
            known[change.concern.kind] = change.concern
    active = tuple(action for action in after.actions if action.is_active)
    return replace(after, events=(), concerns=tuple(known.values()), actions=active)


def _measure(old: Trade, after: View) -> None:
    """Count each stretch without cover once, by the broker's times: at its end, and as 0 where there was none."""
    new = after.trade
    is_covered = new.protection is Protection.PROTECTED and old.protection is not Protection.PROTECTED
    is_over = old.naked_since is not None and new.naked_since is None
    if is_covered or is_over:
        end = "protected" if is_covered else "sold" if after.held_qty <= 0 else "settling"
        _NAKED.labels(end).observe(float(new.naked_s - old.naked_s))


async def _recovered(unit: Unit, found: recovering.Recovered, moment: Moment) -> View:
    """Store the trade that holds what surfaced, with whatever must make room for its sale."""
    held, trade = found.held, found.held.trade
    await store.insert_trade(unit, found.born, {}, key=None, lease_s=0.0)
    if await store_contract.is_in_use(unit, trade):
        held = recovering.to_be_sold(held, action_id=new_id(), now=moment.now)
        for other_id in await store_contract.ask_entries_away(unit, trade):
            await unit.schedule(ADVANCE, other_id, None, user=trade.username, replace=False)
    await save(unit, found.born, held, moment)
    # What a kill switch took up may surface long after it was released: it is ended all the same.
    await unit.schedule(KILL, trade.username, None, user=trade.username, replace=False)
    await unit.schedule(ADVANCE, trade.id, None, user=trade.username, replace=False)
    return found.old


def _tell(unit: Unit, view: View, change: concerns.Change) -> None:
    trade, one = view.trade, change.concern
    unit.lock_taken(one.concern_key)
    values: dict[str, Any] = {
        "concern_key": one.concern_key,
        "kind": one.kind,
        "severity": Severity(one.severity),
        "text": one.text,
        "trade_id": trade.id,
        "occ_symbol": trade.occ_symbol,
        "broker_mode": trade.broker_mode,
        "account_id": trade.account_id,
        "since_at": one.since_at,
    }
    if change.ended_at is None:
        unit.emit(ConcernRaised(**values), key_version=one.key_version)
    else:
        unit.emit(ConcernEnded(**values, ended_at=change.ended_at), key_version=one.key_version)
