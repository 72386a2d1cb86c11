"""What must hold whenever a stack is quiet, however it came there. Pure: two sides of the truth in, findings out.

1. One broker order per intent: no tag twice, none that nobody meant, none for what was settled as never placed.
2. No working leg without a position, no working entry beside exits, no position below zero.
3. No position of ours without the exits it asked for, unless an incident is open; none for long unnoticed.
4. Every order is what the broker says it is, and every trade what its orders say.
5. Results are the broker's money, to the cent; every dollar there is ours or somebody else's by name. Commissions come
   in a day later, or never where no history tells them: each is what the broker took, no more and never for nothing.
6. What the stream took of a bot is decided, and became one trade at most.
7. No entry reached the broker after its `send_by`; nothing was posted twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

from tests.campaign.elsewhere import EXPIRED, expired_apart, is_told, others_sales, told_usd, wrongly_told
from tests.campaign.picture import Picture, Row, flow_usd, held_qty, time_of

LATE = timedelta(seconds=0.5)
"""How much later than it left a request may be noted on a busy machine."""
NOTICED_S = 25
"""Longer without its exits, and somebody must have been told; a database killed on a busy machine is away for ten."""
TERMINAL = frozenset({"FILLED", "CANCELLED", "REJECTED", "EXPIRED"})
SAID = {
    "open": "WORKING", "pending": "WORKING", "partially_filled": "PARTIAL", "filled": "FILLED",
    "canceled": "CANCELLED", "rejected": "REJECTED", "expired": "EXPIRED",
}  # fmt: skip
NEVER_THERE = frozenset({"not_placed", "never sent"})
ELSEWHERE = frozenset({"CLOSED_AT_BROKER", "EXPIRED_ITM", "EXPIRED_OTM"})
"""Ends that our own orders need not explain."""
PASSING = frozenset({
    "naked", "unknown_order", "unsettled_order", "cancel_unconfirmed", "close_unfilled", "no_bid", "orphan",
    "exit_qty", "vanished", "mismatch",
})  # fmt: skip
"""Incidents that end with the trade they speak of."""
BARE = frozenset({"naked", "unknown_order", "unsettled_order", "cancel_unconfirmed", "close_unfilled", "no_bid"})
"""Incidents that say that a holding is without its exits, or why."""
CENT = Decimal("0.01")


def findings(picture: Picture) -> list[str]:
    """List what is wrong; empty when everything holds."""
    return [f"{rule.__name__.strip('_')}: {words}" for rule in RULES for words in rule(picture)]


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _one_order_per_intent(picture: Picture) -> Iterator[str]:
    ours = {row["tag"]: row for row in picture.orders}
    times = Counter(top["tag"] for top in picture.at_broker if top["tag"])
    yield from (f"tag {tag} stands at the broker {count} times" for tag, count in times.items() if count > 1)
    known = {str(row["broker_order_id"]) for row in picture.orders} | {str(r["group_order_id"]) for r in picture.orders}
    for top in picture.at_broker:
        if top["id"] in picture.theirs:
            continue
        row = ours.get(top["tag"] or "")
        if row is None:
            yield f"nobody meant order {top['id']} ({top['class']} {top['status']}, tag {top['tag']})"
        elif str(top["id"]) not in known:
            yield f"order {top['id']} of tag {top['tag']} ({top['status']}) is not known: {_brief(row)}"
    posted = Counter(one["tag"] for one in picture.placements if one["tag"])
    yield from (f"tag {tag} was posted {count} times" for tag, count in posted.items() if count > 1)
    yield from (
        f"tag {tag} was posted and nobody meant it" for tag in posted if tag.startswith("bk-") and tag not in ours
    )


def _orders_are_what_the_broker_says(picture: Picture) -> Iterator[str]:
    legs = {str(leg["id"]): leg for leg in picture.legs()}
    for row in (one for one in picture.orders if not is_told(one)):
        if row["status"] in ("INTENT", "SENT", "UNKNOWN"):
            yield f"still {row['status']}: {_brief(row)}"
            continue
        leg = legs.get(str(row["broker_order_id"]))
        if leg is None:
            if row["broker_order_id"] is not None:
                yield f"the broker has no order {row['broker_order_id']}: {_brief(row)}"
            elif row["status"] not in ("CANCELLED", "REJECTED"):
                yield f"no broker order is named: {_brief(row)}"
            continue
        same = [one for one in picture.orders if str(one["broker_order_id"]) == str(row["broker_order_id"])]
        taken = sum(int(one["filled_qty"]) for one in same)
        if is_theirs(row):
            # A trade takes of somebody else's order what explains its loss, at its price, and no more than there was.
            if leg["group"] not in picture.theirs or taken > int(leg["exec_quantity"]):
                yield f"{taken} taken of order {leg['id']}, which executed {leg['exec_quantity']}: {_brief(row)}"
            continue
        said = SAID[leg["status"]]
        if said == "WORKING" and leg["exec_quantity"]:
            said = "PARTIAL"
        if row["status"] != said and not (row["status"] == "FILLED" and leg["exec_quantity"] == row["qty"]):
            yield f"the broker says {leg['status']}: {_brief(row)}"
        # What one of our orders executed stands in one row, or in two where a part surfaced after its trade's end.
        if int(leg["exec_quantity"]) != taken:
            yield f"the broker executed {leg['exec_quantity']}: {_brief(row)}"
        elif row["filled_qty"] and abs(Decimal(str(leg["avg_fill_price"])) - row["avg_price"]) >= CENT / 100:
            yield f"the broker's average is {leg['avg_fill_price']}, not {row['avg_price']}: {_brief(row)}"


def is_theirs(row: Row) -> bool:
    """Say whether a row is somebody else's order, taken for what a trade lost by it."""
    return row.get("sent_as") == "foreign"


def _nothing_late(picture: Picture) -> Iterator[str]:
    came = {one["tag"]: time_of(one) for one in picture.placements if one["tag"]}
    for row in picture.orders:
        at = came.get(row["tag"])
        if at is not None and row["send_by"] is not None and at > row["send_by"] + LATE:
            yield f"sent {(at - row['send_by']).total_seconds():.1f} s too late: {_brief(row)}"


# ── positions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _no_leg_without_a_position(picture: Picture) -> Iterator[str]:
    for leg in _ours_working(picture, "sell"):
        if picture.held_at_broker(leg["account"], leg["option_symbol"]) <= 0:
            yield f"leg {leg['id']} of {leg['tag']} works and {leg['account']} holds no {leg['option_symbol']}"


def _no_entry_beside_exits(picture: Picture) -> Iterator[str]:
    exits = {(leg["account"], leg["option_symbol"]): leg["group"] for leg in _ours_working(picture, "sell")}
    for leg in _ours_working(picture, "buy_to_open"):
        group = exits.get((leg["account"], leg["option_symbol"]))
        if group is not None and group != leg["group"]:
            yield f"entry {leg['id']} works beside exits {group} in {leg['option_symbol']}"


def _ours_working(picture: Picture, side: str) -> list[Row]:
    return [
        leg
        for leg in picture.legs()
        if leg["group"] not in picture.theirs and leg["rests"] and str(leg["side"]).startswith(side)
    ]


def _no_position_below_zero(picture: Picture) -> Iterator[str]:
    for account, row in picture.cash.items():
        for symbol, quantity in row["positions"].items():
            about = [one for one in picture.incidents if (one["account_id"], one["occ_symbol"]) == (account, symbol)]
            if quantity < 0 and len(symbol) > 6 and not any(one["kind"] == "short" for one in about):
                yield f"{account} is short {quantity} {symbol}"


def _held_is_there(picture: Picture) -> Iterator[str]:
    held: Counter[tuple[str, str]] = Counter()
    for trade in picture.trades.values():
        if trade["status"] != "CLOSED" and trade["protection"] != "SETTLING":
            held[trade["account_id"], trade["occ_symbol"]] += held_qty(picture.of_trade(trade["id"]))
    for (account, symbol), quantity in held.items():
        there = picture.held_at_broker(account, symbol)
        about = [one for one in picture.incidents if (one["account_id"], one["occ_symbol"]) == (account, symbol)]
        doubted = any(one["account_id"] == account and one["kind"] == "doubtful" for one in picture.incidents)
        if there < quantity and not about and not doubted:
            yield f"{account} holds {there} {symbol}, our trades say {quantity}"


def _no_holding_is_naked(picture: Picture) -> Iterator[str]:
    cover: dict[tuple[str, str, str], int] = defaultdict(int)
    for leg in picture.legs():
        if leg["rests"] and leg["side"] == "sell_to_close":
            kind = "stop" if str(leg["type"]).startswith("stop") else "target"
            cover[leg["account"], leg["option_symbol"], kind] += int(leg["quantity"] - leg["exec_quantity"])
    for trade in picture.trades.values():
        held = held_qty(picture.of_trade(trade["id"]))
        if trade["status"] == "CLOSED" or held <= 0 or trade["protection"] == "SETTLING":
            continue
        place = (trade["account_id"], trade["occ_symbol"])
        for kind, price in (("stop", trade["sl_price"]), ("target", trade["tp_price"])):
            if price is not None and cover[*place, kind] < held and not picture.has_incident(trade):
                under = f"{cover[*place, kind]} under a {kind}"
                yield f"{held} are held, {under}, and no incident is open: {_trade(trade)}"


def _nobody_is_naked_unnoticed(picture: Picture) -> Iterator[str]:
    told = {row["trade_id"] for row in picture.all_incidents if row["kind"] in BARE}
    for trade in picture.trades.values():
        if (
            trade["naked_s"] > NOTICED_S
            and trade["id"] not in told
            and not _clock_was_set(picture.of_trade(trade["id"]))
        ):
            yield f"{trade['naked_s']} s naked, and nobody was told: {_trade(trade)}"


def _clock_was_set(orders: list[Row]) -> bool:
    """Say whether market time jumped while a trade lived: its seconds are then not ours."""
    pairs = [(row["filled_at"], row["fill_seen_at"]) for row in orders]
    pairs += [(row["rested_at"], row["confirmed_at"]) for row in orders]
    ahead = [market - real for market, real in pairs if market and real]
    return bool(ahead) and max(ahead) - min(ahead) > timedelta(seconds=NOTICED_S)


def _incidents_end(picture: Picture) -> Iterator[str]:
    for row in picture.incidents:
        trade = picture.trades.get(row["trade_id"])
        if trade is None or row["kind"] not in PASSING:
            continue
        orders = picture.of_trade(trade["id"])
        over = trade["status"] == "CLOSED" and all(one["status"] in TERMINAL for one in orders)
        if over or (row["kind"] == "naked" and trade["protection"] == "PROTECTED"):
            yield f"incident {row['kind']} goes on: {_trade(trade)}"


# ── trades and money ─────────────────────────────────────────────────────────────────────────────────────────────────


def _trades_are_what_their_orders_say(picture: Picture) -> Iterator[str]:
    acting = {row["trade_id"] for row in picture.actions}
    for trade in picture.trades.values():
        orders = picture.of_trade(trade["id"])
        entries = [row for row in orders if row["role"] == "ENTRY"]
        bought, over = sum(row["filled_qty"] for row in entries), all(row["status"] in TERMINAL for row in entries)
        held, status = held_qty(orders), trade["status"]
        if trade["filled_qty"] != bought:
            yield f"filled_qty is {trade['filled_qty']}, its entries say {bought}: {_trade(trade)}"
        wanted = _state_of(bought, held, over=over)
        if status == "CLOSING" and not picture.has_incident(trade) and trade["id"] not in acting:
            yield f"closing, and nobody closes it: {_trade(trade)}"
        elif status == "CLOSED" and wanted != "CLOSED" and trade["close_reason"] not in ELSEWHERE:
            yield f"closed, but its orders say {wanted}, {held} held: {_trade(trade)}"
        elif status not in (wanted, "CLOSED", "CLOSING"):
            yield f"its orders say {wanted}: {_trade(trade)}"
        if trade["id"] in acting and trade["status"] == "CLOSED":
            yield f"something is still asked of a trade that is over: {_trade(trade)}"


def _state_of(bought: int, held: int, *, over: bool) -> str:
    if not over:
        return "PARTIAL" if bought else "OPEN"
    return "FILLED" if held > 0 else "CLOSED"


def _results_are_the_brokers_money(picture: Picture) -> Iterator[str]:
    legs = {str(leg["id"]): leg for leg in picture.legs()}
    expired: dict[str, Decimal] = {}
    yield from wrongly_told(picture)
    for trade in picture.trades.values():
        if trade["status"] != "CLOSED":
            continue
        orders = picture.of_trade(trade["id"])
        flow = sum(
            (
                flow_usd({**legs[str(row["broker_order_id"])], "exec_quantity": row["filled_qty"]}, trade["multiplier"])
                for row in orders
                if str(row["broker_order_id"]) in legs and row["filled_qty"]
            ),
            told_usd(orders, trade["multiplier"]),
        )
        corrected = sum((row["amount_usd"] for row in picture.of_kind(trade["id"], is_fees=False)), Decimal(0))
        result = (trade["realized_pnl"] or Decimal(0)) + corrected
        held = held_qty(orders)
        if held > 0 and trade["close_reason"] in EXPIRED:
            expired[trade["id"]] = result - flow
        elif held > 0 and trade["close_reason"] in ELSEWHERE:
            explained = _sold_elsewhere(picture, trade, held)
            if not any(abs(result - flow - one) < CENT for one in explained):
                yield f"result {result}, own orders {flow}, elsewhere one of {explained}: {_trade(trade)}"
        elif held < 0 and picture.has_incident(trade, "short"):
            continue  # told once it is bought back, which waits for an open session
        elif abs(result - flow) >= CENT:
            yield f"result {result}, the broker's money {flow}: {_trade(trade)}"
    yield from expired_apart(picture, expired)


def _commissions_are_what_the_broker_took(picture: Picture) -> Iterator[str]:
    for trade in picture.trades.values():
        told = -sum((row["amount_usd"] for row in picture.of_kind(trade["id"], is_fees=True)), Decimal(0))
        own = [row for row in picture.of_trade(trade["id"]) if row["filled_qty"] and not is_theirs(row)]
        # What executed on a later day, as a purchase to cover, comes in a day later still.
        least = picture.commission_usd * sum(row["filled_qty"] for row in own if row["role"] == "ENTRY")
        most = picture.commission_usd * sum(row["filled_qty"] for row in own)
        if told and not least - CENT / 100 <= told <= most + CENT / 100:
            yield f"{told} of commissions are told, the broker took {least} to {most}: {_trade(trade)}"


def _sold_elsewhere(picture: Picture, trade: Row, held: int) -> list[Decimal]:
    """List what may have been got for what somebody else sold."""
    sales = others_sales(picture, trade["account_id"], trade["occ_symbol"])
    return [Decimal(str(leg["avg_fill_price"])) * held * trade["multiplier"] for leg in sales] or [Decimal(0)]


def _every_dollar_has_a_name(picture: Picture) -> Iterator[str]:
    known = {str(row["broker_order_id"]) for row in picture.orders}
    flows: dict[str, Decimal] = defaultdict(Decimal)
    for leg in picture.legs():
        if leg["exec_quantity"] and (str(leg["id"]) in known or leg["group"] in picture.theirs):
            taken = picture.commission_usd * Decimal(str(leg["exec_quantity"]))
            flows[leg["account"]] += flow_usd(leg, 100 if leg["option_symbol"] else 1) - taken
    for account, row in picture.cash.items():
        moved = Decimal(str(row["cash"])) - Decimal(str(row["deposited"]))
        has_shares = any(len(symbol) <= 6 for symbol in row["positions"])
        if abs(moved - flows[account]) >= CENT and not has_shares:
            yield f"{account}: the cash moved by {moved}, known orders by {flows[account]}"


# ── signals ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _what_bots_published_is_decided(picture: Picture) -> Iterator[str]:
    known = {(row["username"], row["name"]) for row in picture.signals}
    yield from (f"the stream has signal {name} of {user}, and nobody knows it" for user, name in picture.taken - known)
    for row in picture.signals:
        if row["state"] == "placing":
            yield f"signal {row['name']} of {row['username']} is still being placed"
    became = Counter(row["trade_id"] for row in picture.signals if row["state"] == "accepted")
    yield from (f"{count} signals became trade {trade_id}" for trade_id, count in became.items() if count > 1)
    yield from (f"a signal became {trade_id}, which is no trade" for trade_id in became.keys() - picture.trades.keys())


def _brief(row: Row) -> str:
    words = ("trade_id", "role", "status", "qty", "filled_qty", "tag", "broker_order_id", "reason")
    return " ".join(f"{word}={row[word]}" for word in words)


def _trade(trade: Row) -> str:
    words = ("id", "username", "account_id", "occ_symbol", "status", "protection", "qty", "filled_qty", "close_reason")
    return " ".join(f"{word}={trade[word]}" for word in words)


RULES: tuple[Callable[[Picture], Iterator[str]], ...] = (
    _one_order_per_intent,
    _orders_are_what_the_broker_says,
    _nothing_late,
    _no_leg_without_a_position,
    _no_entry_beside_exits,
    _no_position_below_zero,
    _held_is_there,
    _no_holding_is_naked,
    _nobody_is_naked_unnoticed,
    _incidents_end,
    _trades_are_what_their_orders_say,
    _results_are_the_brokers_money,
    _commissions_are_what_the_broker_took,
    _every_dollar_has_a_name,
    _what_bots_published_is_decided,
)
