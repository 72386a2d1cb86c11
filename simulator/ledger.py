"""What an account's entries say in Tradier's history and gain/loss lists. Pure."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from simulator.calendar import eastern
from simulator.wire import iso_instant

Entry = dict[str, Any]


def _stamp(instant: str) -> str:
    return iso_instant(datetime.fromisoformat(instant))


def _day(entry: Entry) -> date:
    return eastern(datetime.fromisoformat(entry["at"])).date()


def between(entries: list[Entry], first: date, last: date) -> list[Entry]:
    """Leave only what happened on these New York days."""
    return [entry for entry in entries if first <= _day(entry) <= last]


def history(entries: list[Entry], kind: str | None, symbol: str | None) -> list[Entry]:
    """Word the trades and option events, newest first; of when it tells the day alone."""
    found = []
    for entry in reversed(entries):
        if entry["kind"] not in ("trade", "option") or kind not in (None, "", entry["kind"]):
            continue
        if symbol and entry["symbol"] != symbol:
            continue
        body: Entry = {"description": entry["symbol"], "quantity": float(entry["quantity"])}
        if entry["kind"] == "trade":
            shape = "Option" if len(entry["symbol"]) > 6 else "Equity"
            commission = float(entry.get("commission", 0))
            body |= {"commission": commission, "price": float(entry["price"]), "symbol": entry["symbol"]}
            body["trade_type"] = shape
        else:
            body["option_type"] = entry["option_type"]
        row = {
            "amount": float(entry["amount"]),
            "date": f"{_day(entry)}T00:00:00Z",
            "type": entry["kind"],
            entry["kind"]: body,
        }
        found.append(row)
    return found


def gain_and_loss(entries: list[Entry], symbol: str | None) -> list[Entry]:
    """Word the closed positions, newest first."""
    found = []
    for entry in reversed(entries):
        if entry["kind"] != "closed" or (symbol and entry["symbol"] != symbol):
            continue
        cost, proceeds = Decimal(entry["cost"]), Decimal(entry["proceeds"])
        gain = proceeds - cost
        opened, closed = datetime.fromisoformat(entry["opened_at"]), datetime.fromisoformat(entry["at"])
        found.append({
            "close_date": _stamp(entry["at"]),
            "cost": float(round(cost, 2)),
            "gain_loss": float(round(gain, 2)),
            "gain_loss_percent": float(round(gain / abs(cost) * 100, 2)) if cost else 0.0,
            "open_date": _stamp(entry["opened_at"]),
            "proceeds": float(round(proceeds, 2)),
            "quantity": float(entry["quantity"]),
            "symbol": entry["symbol"],
            "term": (closed - opened).days,
        })  # fmt: skip
    return found
