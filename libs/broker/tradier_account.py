"""Tradier's positions, balances and profile as reports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from libs.broker import tradier_wire as wire
from libs.broker.reports import BalanceReport, PastTrade, PositionReport, Profile, ProfileAccount
from libs.common.http_call import Answer, Unreadable


def positions(answer: Answer) -> tuple[PositionReport, ...]:
    """Read every holding. Raises: Unreadable, UpstreamAuth."""
    data = wire.read_body(answer, "positions")
    if "positions" not in data:
        raise Unreadable("no positions in the answer")
    return tuple(_position(raw) for raw in wire.many(data["positions"], "position"))


def _position(raw: wire.Raw) -> PositionReport:
    qty = wire.decimal(raw.get("quantity"))
    if qty is None:
        raise Unreadable("a position has no quantity")
    return PositionReport(
        symbol=str(raw["symbol"]),
        qty=qty,
        cost_basis_usd=wire.decimal(raw.get("cost_basis")) or Decimal(0),
        acquired_at=wire.instant(raw.get("date_acquired")),
        id=wire.text(raw.get("id")),
    )


def past_trades(answer: Answer) -> tuple[tuple[PastTrade, ...], int]:
    """Read a page of the history's trades, and how many entries it held. Raises: Unreadable, UpstreamAuth."""
    data = wire.read_body(answer, "history")
    if "history" not in data:
        raise Unreadable("no history in the answer")
    entries = wire.many(data["history"], "event")
    return tuple(_past_trade(raw) for raw in entries if isinstance(raw.get("trade"), Mapping)), len(entries)


def _past_trade(raw: wire.Raw) -> PastTrade:
    trade, on = raw["trade"], wire.day(raw.get("date"))
    qty, price = wire.decimal(trade.get("quantity")), wire.decimal(trade.get("price"))
    amount = wire.decimal(raw.get("amount"))
    if on is None or qty is None or price is None:
        raise Unreadable("a trade of the history lacks its day, quantity or price")
    # Whose money moved which way is sure; whether a sale's quantity has a sign is not.
    is_sale = qty < 0 or (amount is not None and amount > 0)
    return PastTrade(
        day=on,
        symbol=str(trade["symbol"]),
        qty=-abs(qty) if is_sale else qty,
        price=price,
        # What was taken is a cost, whatever its sign.
        commission_usd=abs(wire.decimal(trade.get("commission")) or Decimal(0)),
    )


def balances(answer: Answer) -> BalanceReport:
    """Read the account's money, whatever the account's type. Raises: Unreadable, UpstreamAuth."""
    raw = wire.read_body(answer, "balances").get("balances")
    if not isinstance(raw, Mapping):
        raise Unreadable("no balances in the answer")
    by_type: wire.Raw = next(
        (raw[kind] for kind in ("margin", "pdt", "cash") if isinstance(raw.get(kind), Mapping)), {}
    )
    return BalanceReport(
        account_id=str(raw["account_number"]),
        account_type=wire.text(raw.get("account_type")) or "",
        total_equity_usd=wire.decimal(raw.get("total_equity", raw.get("equity"))),
        total_cash_usd=wire.decimal(raw.get("total_cash")),
        market_value_usd=wire.decimal(raw.get("market_value")),
        open_pl_usd=wire.decimal(raw.get("open_pl")),
        close_pl_usd=wire.decimal(raw.get("close_pl")),
        option_buying_power_usd=wire.decimal(by_type.get("option_buying_power", by_type.get("cash_available"))),
        stock_buying_power_usd=wire.decimal(by_type.get("stock_buying_power", by_type.get("cash_available"))),
        current_requirement_usd=wire.decimal(raw.get("current_requirement")),
        maintenance_call_usd=wire.decimal(by_type.get("maintenance_call")),
        pending_cash_usd=wire.decimal(raw.get("pending_cash")),
        uncleared_funds_usd=wire.decimal(raw.get("uncleared_funds")),
        pending_orders=wire.integer(raw.get("pending_orders_count")),
    )


def profile(answer: Answer) -> Profile:
    """Read whose token this is. Raises: UpstreamAuth."""
    raw = wire.read_body(answer, "profile").get("profile")
    if not isinstance(raw, Mapping):
        raise Unreadable("no profile in the answer")
    accounts = tuple(
        ProfileAccount(
            account_id=str(account["account_number"]),
            status=wire.text(account.get("status")) or "",
            type=wire.text(account.get("type")) or "",
            option_level=wire.integer(account.get("option_level")),
            classification=wire.text(account.get("classification")) or "",
        )
        for account in wire.many(raw, "account")
    )
    return Profile(id=wire.text(raw.get("id")) or "", name=wire.text(raw.get("name")) or "", accounts=accounts)
