"""What trades ended by others' hands or by expiry may have brought, as the broker's books say. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from libs.common.messages.vocabulary import NOT_OURS
from libs.market.options import OccSymbol, OptionType
from tests.campaign.picture import Picture, Row

HISTORY, GONE = "history-", "gone-"
"""How orders that no list shows are named: by the account's history, by a person."""
EXPIRED = frozenset({"EXPIRED_ITM", "EXPIRED_OTM"})
CENT = Decimal("0.01")


def is_told(row: Row) -> bool:
    """Say whether an order of a trade stands for what a history or a person told, or for whose lots a sale took."""
    is_nobodys = row["broker_order_id"] is None and row["tag"].startswith(NOT_OURS) and row.get("sent_as") == "foreign"
    return is_nobodys or str(row["broker_order_id"]).startswith((HISTORY, GONE))


def told_usd(orders: list[Row], multiplier: int) -> Decimal:
    """Sum what such orders of a trade brought, less what they cost."""
    told = (row for row in orders if is_told(row))
    parts = (row["avg_price"] * row["filled_qty"] * (-1 if row["role"] == "COVER" else 1) for row in told)
    return sum(parts, Decimal(0)) * multiplier


def others_sales(picture: Picture, account: str, symbol: str) -> list[Row]:
    """List what somebody else sold of a contract."""
    return [
        leg
        for leg in picture.legs()
        if leg["group"] in picture.theirs
        and (leg["account"], leg["option_symbol"]) == (account, symbol)
        and str(leg["side"]).startswith("sell")
        and leg["exec_quantity"]
    ]


def wrongly_told(picture: Picture) -> Iterator[str]:
    """Find what a history is said to have told and the broker's books do not: too many, or at no price of theirs."""
    taken: dict[tuple[str, str], int] = defaultdict(int)
    for row in picture.orders:
        if not str(row["broker_order_id"]).startswith(HISTORY):
            continue
        trade = picture.trades[row["trade_id"]]
        place = (trade["account_id"], trade["occ_symbol"])
        prices = [Decimal(str(leg["avg_fill_price"])) for leg in others_sales(picture, *place)]
        taken[place] += row["filled_qty"]
        if not prices or not min(prices) - CENT <= row["avg_price"] <= max(prices) + CENT:
            yield f"{row['filled_qty']} at {row['avg_price']} of {place[1]} by history, theirs were {prices}"
    for place, qty in taken.items():
        sold = sum(int(leg["exec_quantity"]) for leg in others_sales(picture, *place))
        if qty > sold:
            yield f"{qty} of {place[1]} taken from the history of {place[0]}, others sold {sold}"


def expired_apart(picture: Picture, worth_usd: dict[str, Decimal]) -> Iterator[str]:
    """Find contracts of one underlying and expiry that ended at different prices of it. `worth_usd`: by trade."""
    prices: dict[tuple[str, str], set[Decimal]] = defaultdict(set)
    for trade_id, worth in worth_usd.items():
        trade = picture.trades[trade_id]
        contract = OccSymbol.parse(trade["occ_symbol"])
        if trade["close_reason"] == "EXPIRED_OTM" and worth:
            yield f"worthless, and it brought {worth}: {trade['id']} {trade['occ_symbol']}"
        elif trade["close_reason"] == "EXPIRED_ITM":
            share = worth / trade["settled_qty"] / trade["multiplier"]
            price = contract.strike + (share if contract.option_type is OptionType.CALL else -share)
            prices[contract.root, str(contract.expiry)].add(price.quantize(CENT))
    for (root, expiry), found in prices.items():
        if len(found) > 1:
            yield f"{root} closed at {sorted(found)} on {expiry}"
