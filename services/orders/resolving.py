"""What a person says of a write that evidence could not settle, held against what the broker shows. Pure.

1. A named order counts only when it can be the one: of this account and contract, the same sides and quantities, not
   older than the write, nobody else's by its tag or by our own rows.
2. "None" counts only against a list that is to be trusted, and positions in which nothing is left that it could have
   bought. What expired since leaves nothing to see, nor does a day that is over where nobody knows what was held
   before it: of those a person's word counts alone.
3. Where contracts are missing, and nothing shown says how, two looks must agree on it. The write is then settled and
   they are noted as missing: nothing is sold in their place before everything is looked at again.
4. A refusal says what was found, so that the next answer can be right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from libs.broker.orders import OrderReport
from libs.common.errors import IllegalTransition, InvalidInput
from libs.common.messages.vocabulary import OrderRole, OrderStatus
from libs.market import calendar
from libs.market.options import OccSymbol
from services.orders import evidence, lifecycle
from services.orders.evidence import Seen
from services.orders.steps import Moment, evidence_gap_s
from services.orders.trade import Event, Order, View


@dataclass(frozen=True, slots=True)
class Asker:
    """Who says it, and from where."""

    name: str
    via: str | None = None


def unknown_tags(view: View) -> tuple[str, ...]:
    """List the writes nobody knows the outcome of. Raises: IllegalTransition when there is none."""
    tags = tuple(dict.fromkeys(order.tag for order in view.orders if order.status is OrderStatus.UNKNOWN))
    if not tags:
        raise IllegalTransition("no order of this trade is unknown")
    return tags


def named(view: View, report: OrderReport, owner: tuple[str, str] | None, moment: Moment) -> str:
    """Return the tag of the write that a named order is. `owner`: whose it is by our rows. Raises: InvalidInput."""
    tags = unknown_tags(view)
    name = f"order {report.id}"
    if report.parent_id is not None:
        raise InvalidInput(f"{name} is a leg of order {report.parent_id}; name that one")
    if owner is not None and (owner[0] != view.trade.id or owner[1] not in tags):
        whose = "another write of this trade" if owner[0] == view.trade.id else "another trade"
        raise InvalidInput(f"{name} belongs to {whose}")
    if report.tag is not None and report.tag not in tags:
        raise InvalidInput(f"{name} carries the tag {report.tag}, which is not this one's")
    for tag in tags:
        orders = view.by_tag(tag)
        if report.tag not in (None, tag) or not evidence.is_like(view, orders, report):
            continue
        if evidence.is_older(orders[0], report, moment):
            raise InvalidInput(f"{name} was there before ours was sent")
        return tag
    raise InvalidInput(f"{name} is {_shape(report)}; ours is {_wanted(view, view.by_tag(tags[0]))}")


def is_short_of(view: View, seen: Seen, moment: Moment) -> bool:
    """Say whether contracts are missing in a look, so that a second one is to agree."""
    return any(_missing(view, tag, seen, moment) is not None for tag in unknown_tags(view))


def check_none(view: View, looks: tuple[Seen, ...], moment: Moment) -> int:
    """Check that nothing at the broker speaks for the unknown writes; return how many contracts are missing.

    The last of the looks counts, the ones before it only where something is missing. Raises: InvalidInput.
    """
    seen, missing = looks[-1], 0
    for tag in unknown_tags(view):
        first = view.by_tag(tag)[0]
        found = next((report for report in seen.orders if report.tag == tag), None)
        if found is not None:
            raise InvalidInput(f"order {found.id} at the broker carries its tag; it is this one")
        due_at = moment.at(first.sent_at, evidence_gap_s(first, moment.waits))
        if due_at is not None:
            left_s = (due_at - moment.now).total_seconds()
            raise InvalidInput(f"it was sent just now and may still arrive; ask again in {left_s:.0f} s")
        doubt = evidence.list_doubt(seen)
        if doubt is not None:
            raise InvalidInput(f"{doubt}; ask again when the broker shows everything")
        change = evidence.beyond_others(view, first, seen, moment)
        can_tell = not _went_with_its_contract(view, seen, change) and not _has_nothing_to_compare(first, seen)
        if change > 0 and _buys(view, tag) and can_tell:
            words = f"the account holds {change:f} of {view.trade.occ_symbol} more than is explained"
            raise InvalidInput(f"{words}; name the order that bought them")
        found_missing = _missing(view, tag, seen, moment)
        if found_missing is not None:
            words, qty = found_missing
            if len(looks) < 2 or any(_missing(view, tag, look, moment) != found_missing for look in looks):
                raise InvalidInput(f"{words}; name the order that sold them, or ask again: two looks must agree on it")
            missing = max(missing, qty)
    return missing


def as_named(view: View, tag: str, report: OrderReport, by: Asker, moment: Moment) -> View:
    """Take the named order for ours."""
    text = f"{by.name} says that order {report.id} is it; checked at the broker"
    event = Event(kind="resolved", actor="user", text=text, data={"via": by.via, "tag": tag, "id": report.id})
    return evidence.adopted(view.noting(event), tag, report, moment.now)


def _went_with_its_contract(view: View, seen: Seen, change: Decimal) -> bool:
    """Say whether all that was sold beyond the holding expired: then no position tells whether it was bought back."""
    contract = OccSymbol.parse(view.trade.occ_symbol)
    is_gone = seen.today is not None and contract.expiry < seen.today and not seen.holding(str(contract)).qty
    return is_gone and change == -view.held_qty


def _has_nothing_to_compare(order: Order, seen: Seen) -> bool:
    """Say whether nobody knows what was held before a write, and no list can show it any more."""
    at = order.venue_at or order.sent_at
    is_over = at is not None and seen.today is not None and calendar.new_york_date(at) < seen.today
    return order.base_qty is None and is_over


def _buys(view: View, tag: str) -> bool:
    return any(order.role in (OrderRole.ENTRY, OrderRole.COVER) for order in view.by_tag(tag))


def _missing(view: View, tag: str, seen: Seen, moment: Moment) -> tuple[str, int] | None:
    """Say what is missing in a look, and how much of this trade's contract."""
    change = evidence.beyond_others(view, view.by_tag(tag)[0], seen, moment)
    if change < 0 and not _buys(view, tag):
        return f"the account holds {-change:f} of {view.trade.occ_symbol} less than is explained", int(-change)
    doubt = evidence.positions_doubt(seen)
    return None if doubt is None else (doubt, 0)


def as_none(view: View, by: Asker, moment: Moment, *, missing: int = 0) -> View:
    """Settle every unknown write as never placed, and note how many contracts are missing."""
    for tag in unknown_tags(view):
        text = f"{by.name} says that there is no such order at the broker; checked against its list and positions"
        event = Event(kind="resolved", actor="user", text=text, data={"via": by.via, "tag": tag})
        view = lifecycle.never_placed(view.noting(event), tag, moment.now)
    if missing:
        shown_qty = max(view.held_qty - missing, 0)
        view = replace(view, trade=replace(view.trade, shown_qty=shown_qty))
    return view


def _shape(report: OrderReport) -> str:
    return " with ".join(f"{leg.side or 'no side'} {leg.qty} {leg.occ_symbol or leg.symbol}" for leg in report.flat())


def _wanted(view: View, orders: tuple[Order, ...]) -> str:
    return " with ".join(f"{order.side} {order.qty} {view.trade.occ_symbol}" for order in orders)
