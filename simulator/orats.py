"""ORATS's data API over the same prices: strikes, expirations, summaries, options by contract."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import orjson

from simulator import calendar, market, wire
from simulator.edge import Ask, Reply, Route, Scope, json_reply, route
from simulator.feed import Feed
from simulator.market import Slice
from simulator.universe import TICKERS, Contract, parse_occ
from simulator.world import World

Json = dict[str, Any]
MOST_TICKERS = 10


def check(world: World, scope: Scope, ask: Ask, token: str) -> Reply | None:
    """Turn away who has no token."""
    _ = world, scope, ask
    if not token or token.startswith("bad"):
        return json_reply({"message": "Invalid token."}, 403)
    return None


def _columns(feed: Feed, piece: Slice) -> dict[str, list[Any]]:
    """Lay a slice out as ORATS's columns, rounded as ORATS rounds."""
    greeks = market.greeks(piece)
    call_volume, call_interest = market.interest(feed.seed, piece, "C")
    put_volume, put_interest = market.interest(feed.seed, piece, "P")
    iv, vega = piece.iv, np.maximum(greeks.vega * 100.0, 1e-4)
    call_width = np.minimum((piece.call_ask - piece.call_bid) / 200.0 / vega, iv)
    put_width = np.minimum((piece.put_ask - piece.put_bid) / 200.0 / vega, iv)
    size = np.full(len(iv), 25)
    columns = {
        "strike": piece.strikes, "callVolume": call_volume, "callOpenInterest": call_interest, "callBidSize": size,
        "callAskSize": size, "putVolume": put_volume, "putOpenInterest": put_interest, "putBidSize": size,
        "putAskSize": size, "callBidPrice": piece.call_bid / 100.0, "callValue": piece.call_value,
        "callAskPrice": piece.call_ask / 100.0, "putBidPrice": piece.put_bid / 100.0, "putValue": piece.put_value,
        "putAskPrice": piece.put_ask / 100.0, "callBidIv": iv - call_width, "callMidIv": iv,
        "callAskIv": iv + call_width, "smvVol": iv, "putBidIv": iv - put_width, "putMidIv": iv,
        "putAskIv": iv + put_width, "delta": greeks.delta, "gamma": greeks.gamma, "theta": greeks.theta,
        "vega": greeks.vega, "rho": greeks.rho, "phi": greeks.phi, "driftlessTheta": greeks.theta, "callSmvVol": iv,
        "putSmvVol": iv, "extSmvVol": iv, "extCallValue": piece.call_value, "extPutValue": piece.put_value,
    }  # fmt: skip
    return {name: (np.round(one, 6) if one.dtype.kind == "f" else one).tolist() for name, one in columns.items()}


def strikes_rows(feed: Feed, symbol: str, piece: Slice) -> list[Json]:
    """Word a slice as strikes rows: a call and its put on each."""
    now = feed.now()
    today = calendar.eastern(now).date()
    stamp = wire.iso_instant(now.replace(microsecond=0)).replace(".000Z", "Z")
    shared = {
        "ticker": symbol, "tradeDate": today.isoformat(), "expirDate": piece.expiry.isoformat(),
        "dte": (piece.expiry - today).days + 1, "stockPrice": piece.spot, "spotPrice": piece.spot, "residualRate": 0.0,
        "quoteDate": stamp, "updatedAt": stamp, "snapShotEstTime": f"{calendar.eastern(now):%H%M}",
        "snapShotDate": stamp, "expiryTod": "am" if TICKERS[symbol].is_index else "pm",
    }  # fmt: skip
    columns = _columns(feed, piece)
    names = list(columns)
    return [shared | dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _tickers(ask: Ask) -> list[str] | None:
    names = [part.strip().upper() for part in ask.params.get("ticker", "").split(",") if part.strip()]
    return names if 1 <= len(names) <= MOST_TICKERS else None


def _bounds(text: str | None) -> tuple[float, float]:
    """Read `low,high`, where a blank is open."""
    low, _, high = (text or "").partition(",")
    return (float(low) if low else float("-inf"), float(high) if high else float("inf"))


def _data(rows: Iterable[Json], fields: str | None = None) -> Reply:
    if fields:
        wanted = fields.split(",")
        rows = [{name: row[name] for name in wanted if name in row} for row in rows]
    return json_reply({"data": list(rows)})


def _strikes(world: World, ask: Ask, expiries: set[date] | None) -> Reply:
    names = _tickers(ask)
    if names is None:
        return json_reply({"message": "ticker is required, ten at most."}, 400)
    unknown = [name for name in names if name not in TICKERS]
    if unknown:
        return json_reply({"message": "Not Found."}, 404)
    try:
        dte, delta = _bounds(ask.params.get("dte")), _bounds(ask.params.get("delta"))
    except ValueError:
        return json_reply({"message": "dte and delta are two numbers."}, 400)
    rows = [
        row
        for name in names
        for expiry in world.feed.expiries(name)
        if expiries is None or expiry in expiries
        for row in strikes_rows(world.feed, name, world.feed.slice(name, expiry))
        if dte[0] <= row["dte"] <= dte[1] and delta[0] <= row["delta"] <= delta[1]
    ]
    return _data(rows, ask.params.get("fields"))


def strikes(world: World, ask: Ask) -> Reply:
    """List every strike of every expiry."""
    return _strikes(world, ask, None)


def strikes_monthly(world: World, ask: Ask) -> Reply:
    """List the strikes of some expiries: the call a monitor polls."""
    try:
        wanted = {date.fromisoformat(part.strip()) for part in ask.params.get("expiry", "").split(",") if part.strip()}
    except ValueError:
        return json_reply({"message": "expiry is YYYY-MM-DD."}, 400)
    if not wanted:
        return json_reply({"message": "expiry is required."}, 400)
    return _strikes(world, ask, wanted)


def expirations(world: World, ask: Ask) -> Reply:
    """List the expiries of an underlying."""
    names = _tickers(ask)
    if names is None or names[0] not in TICKERS:
        return json_reply({"message": "Not Found."}, 404 if names else 400)
    return json_reply({"data": [day.isoformat() for day in world.feed.expiries(names[0])]})


def summaries(world: World, ask: Ask) -> Reply:
    """Sum an underlying up in one row."""
    rows = []
    feed = world.feed
    now = feed.now()
    stamp = wire.iso_instant(now.replace(microsecond=0)).replace(".000Z", "Z")
    for name in _tickers(ask) or []:
        if name not in TICKERS:
            continue
        ticker, price = TICKERS[name], feed.spot(name)
        terms = {"iv10d": 10, "iv20d": 20, "iv30d": 30, "iv60d": 60, "iv90d": 90, "iv6m": 182, "iv1y": 365}
        row: Json = {"ticker": name, "tradeDate": calendar.eastern(now).date().isoformat(), "stockPrice": price}
        for field, days in terms.items():
            iv = market.implied_volatility(ticker, price, np.array([price]), days / 365)
            row[field] = row["exErn" + field.capitalize()] = round(float(iv[0]), 6)
        row |= {
            "annActDiv": 0.0, "annIdiv": 0.0, "borrow30": 0.0, "borrow2y": 0.0, "confidence": 1.0, "nextDiv": 0.0,
            "contango": round(row["iv90d"] - row["iv30d"], 6), "rDrv30": market.SMILE, "rSlp30": market.SKEW,
            "rVol30": ticker.volatility, "riskFree30": 0.0, "riskFree2y": 0.0, "skewing": market.SKEW,
            "impliedMove": round(row["iv30d"] / 252**0.5, 6), "totalErrorConf": 0.0, "quoteDate": stamp,
            "updatedAt": stamp,
        }  # fmt: skip
        rows.append(row)
    return _data(rows, ask.params.get("fields"))


def _contract_row(feed: Feed, symbol: str, contract: Contract) -> Json | None:
    if not feed.is_listed(symbol):
        return None
    piece, n = feed.contract_slice(contract)
    whole = strikes_rows(feed, contract.underlying, piece)[n]
    side = "call" if contract.is_call else "put"
    delta = whole["delta"] if contract.is_call else round(whole["delta"] - 1.0, 6)
    shared = ("ticker", "tradeDate", "expirDate", "dte", "strike", "stockPrice", "gamma", "theta", "vega",
              "quoteDate", "updatedAt")  # fmt: skip
    return {name: whole[name] for name in shared} | {
        "optionSymbol": symbol, "bidPrice": whole[f"{side}BidPrice"], "askPrice": whole[f"{side}AskPrice"],
        "optValue": whole[f"{side}Value"], "volume": whole[f"{side}Volume"],
        "openInterest": whole[f"{side}OpenInterest"],
        "bidSize": whole[f"{side}BidSize"], "askSize": whole[f"{side}AskSize"], "bidIv": whole[f"{side}BidIv"],
        "midIv": whole[f"{side}MidIv"], "askIv": whole[f"{side}AskIv"], "delta": delta, "rho": whole["rho"],
        "phi": whole["phi"],
    }  # fmt: skip


def _underlying_row(feed: Feed, symbol: str) -> Json | None:
    quote = feed.quote(symbol)
    if quote is None:
        return None
    now = feed.now()
    return {
        "ticker": symbol, "stockPrice": float(quote.last), "bid": float(quote.bid), "ask": float(quote.ask),
        "bidSize": 5, "askSize": 7, "volume": 3_000_000,
        "quoteDate": wire.iso_instant(now.replace(microsecond=0)).replace(".000Z", "Z"),
        "updatedAt": f"{now:%Y-%m-%d %H:%M:%S}",
    }  # fmt: skip


def _by_terms(feed: Feed, terms: Json) -> list[Json]:
    symbol = str(terms.get("ticker", "")).upper()
    try:
        expiry, strike = date.fromisoformat(str(terms.get("expirDate"))), float(str(terms.get("strike")))
    except ValueError:
        return []
    if symbol not in TICKERS or expiry not in feed.expiries(symbol):
        return []
    return [row for row in strikes_rows(feed, symbol, feed.slice(symbol, expiry)) if row["strike"] == strike]


def options(world: World, ask: Ask) -> Reply:
    """List options by OPRA symbols (`tickers`), or strikes rows by their terms. Unknown ones just have no row."""
    feed = world.feed
    if ask.method == "POST":
        try:
            wanted = orjson.loads(ask.body)
        except orjson.JSONDecodeError:
            return json_reply({"message": "The body is a JSON array."}, 400)
        return _data([row for terms in wanted if isinstance(terms, dict) for row in _by_terms(feed, terms)])
    if "expirDate" in ask.params:
        return _data(_by_terms(feed, ask.params))
    names = (ask.params.get("tickers") or ask.params.get("ticker") or "").upper().split(",")
    if len(names) > MOST_TICKERS:
        return json_reply({"message": "ten tickers at most."}, 400)
    rows = []
    for name in names:
        contract = parse_occ(name)
        row = _contract_row(feed, name, contract) if contract else _underlying_row(feed, name)
        if row is not None:
            rows.append(row)
    return _data(rows)


ROUTES: list[Route] = [
    route(method, f"/datav2/{prefix}{path}{suffix}", "orats", answer)
    for prefix in ("live/", "")
    for suffix in ("", ".json")
    for method, path, answer in (
        ("GET", "strikes", strikes),
        ("GET", "strikes/monthly", strikes_monthly),
        ("GET", "strikes/options", options),
        ("POST", "strikes/options", options),
        ("GET", "expirations", expirations),
        ("GET", "summaries", summaries),
    )
]
