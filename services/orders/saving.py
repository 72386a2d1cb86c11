"""Storing a changed trade: versions, facts and concerns follow from the difference, in the same transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from libs.common.db import Unit
from libs.common.messages.orders import ConcernEnded, ConcernRaised
from libs.common.messages.vocabulary import Severity
from services.orders import concerns, publishing, store
from services.orders.steps import Moment
from services.orders.trade import View


async def save(unit: Unit, before: View | None, after: View, moment: Moment, *, lease_s: float | None = None) -> View:
    """Store what changed and tell it; returns the view as stored. The trade's row is locked by this unit."""
    if before is None:
        await store.write(unit, None, after, lease_s=lease_s)
        return replace(after, events=())
    after = publishing.raised(before, after)
    wrong = concerns.changes(after, moment)
    facts = publishing.facts_of(before, after)
    after = replace(after, key_version=before.key_version + len(facts))
    if after == before and not wrong and lease_s is None:
        return after
    await store.write(unit, before, after, concerns=wrong, lease_s=lease_s)
    unit.emit(*facts)
    for change in wrong:
        _tell(unit, after, change)
    known = {one.kind: one for one in after.concerns}
    for change in wrong:
        known.pop(change.concern.kind, None)
        if change.ended_at is None:
            known[change.concern.kind] = change.concern
    active = tuple(action for action in after.actions if action.is_active)
    return replace(after, events=(), concerns=tuple(known.values()), actions=active)


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
