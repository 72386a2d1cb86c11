"""Tradier's market side: quotes, chains, expirations, strikes, bars, clock, calendar."""

from datetime import date, datetime, timedelta

from simulator import calendar, universe, wire
from simulator.bars import daily_bars, minute_bars
from simulator.edge import Ask, Reply, Route, json_reply, route, text_reply
from simulator.feed import Feed
from simulator.quotes import Days, Json, contract_quote, option_rows, share_quote, wording
from simulator.rules import is_true
from simulator.universe import TICKERS, parse_occ
from simulator.world import World

_DAYS: dict[int, tuple[Feed, Days]] = {}
DESCRIPTIONS = {"open": "Market is open", "closed": "Market is closed"}


def _days(feed: Feed) -> Days:
    known = _DAYS.get(id(feed))
    if known is None or known[0] is not feed:
        _DAYS.clear()
        known = _DAYS[id(feed)] = (feed, Days(feed))
    return known[1]


def _invalid(name: str) -> Reply:
    return text_reply(400, f"Invalid parameter, {name}: is not valid.")


def quotes(world: World, ask: Ask) -> Reply:
    """Quote any mix of symbols; the unknown ones are named apart."""
    feed, with_greeks = world.feed, is_true(ask.params.get("greeks"))
    found: list[Json] = []
    unmatched: list[str] = []
    for symbol in filter(None, (part.strip().upper() for part in ask.params.get("symbols", "").split(","))):
        contract = parse_occ(symbol)
        listed = contract is not None and feed.is_listed(symbol)
        quote = contract_quote(feed, contract, with_greeks=with_greeks) if contract and listed else None
        if contract is None:
            quote = share_quote(feed, _days(feed), symbol)
        if quote is None:
            unmatched.append(symbol)
        else:
            found.append(quote)
    body: Json = {}
    if found:
        body["quote"] = found[0] if len(found) == 1 else found
    if unmatched:
        body["unmatched_symbols"] = {"symbol": unmatched[0] if len(unmatched) == 1 else unmatched}
    return json_reply({"quotes": body or None})


def _symbol(ask: Ask, name: str = "symbol") -> str | None:
    symbol = ask.params.get(name, "").upper()
    return symbol if symbol in TICKERS else None


def _expiry(world: World, ask: Ask, symbol: str) -> date | None:
    try:
        wanted = date.fromisoformat(ask.params.get("expiration", ""))
    except ValueError:
        return None
    return wanted if wanted in world.feed.expiries(symbol) else None


def chains(world: World, ask: Ask) -> Reply:
    """Quote every strike of one expiry, calls and puts."""
    symbol = _symbol(ask)
    expiry = _expiry(world, ask, symbol) if symbol else None
    if symbol is None or expiry is None:
        return json_reply({"options": None})
    words = wording(world.feed, world.feed.slice(symbol, expiry), with_greeks=is_true(ask.params.get("greeks")))
    calls, puts = (option_rows(world.feed, words, right) for right in "CP")
    return json_reply({"options": {"option": [row for pair in zip(calls, puts, strict=True) for row in pair]}})


def expirations(world: World, ask: Ask) -> Reply:
    """List the expiries of an underlying, with details when any are asked for."""
    symbol = _symbol(ask)
    if symbol is None:
        return json_reply({"expirations": None})
    days = world.feed.expiries(symbol)
    if not any(is_true(ask.params.get(flag)) for flag in ("strikes", "contractSize", "expirationType")):
        return json_reply({"expirations": {"date": [day.isoformat() for day in days]}})
    strikes = world.feed.strikes(symbol).tolist()
    rows = [
        {
            "date": day.isoformat(),
            "contract_size": 100,
            "expiration_type": "standard" if calendar.is_monthly(day) else "weeklys",
            "strikes": {"strike": strikes},
        }
        for day in days
    ]
    return json_reply({"expirations": {"expiration": rows}})


def strikes(world: World, ask: Ask) -> Reply:
    """List the strikes of one expiry."""
    symbol = _symbol(ask)
    if symbol is None or _expiry(world, ask, symbol) is None:
        return json_reply({"strikes": None})
    return json_reply({"strikes": {"strike": world.feed.strikes(symbol).tolist()}})


def lookup(world: World, ask: Ask) -> Reply:
    """List every option symbol of an underlying."""
    symbol = _symbol(ask, "underlying")
    if symbol is None:
        return json_reply({"symbols": None})
    listed = [
        universe.occ(symbol, day, right, strike)
        for day in world.feed.expiries(symbol)
        for right in "CP"
        for strike in world.feed.strikes(symbol).tolist()
    ]
    return json_reply({"symbols": [{"rootSymbol": symbol, "options": listed}]})


def _eastern_time(text: str | None, fallback: datetime) -> datetime | None:
    if not text:
        return fallback
    try:
        wanted = datetime.fromisoformat(text)
    except ValueError:
        return None
    return wanted if wanted.tzinfo else wanted.replace(tzinfo=calendar.NEW_YORK)


def timesales(world: World, ask: Ask) -> Reply:
    """List intraday bars of an underlying."""
    symbol = _symbol(ask)
    minutes = {"1min": 1, "5min": 5, "15min": 15}.get(ask.params.get("interval", "1min"))
    if minutes is None:
        return _invalid("interval")
    now = world.feed.now()
    midnight = calendar.at_eastern(calendar.eastern(now).date(), datetime.min.time())
    start, end = _eastern_time(ask.params.get("start"), midnight), _eastern_time(ask.params.get("end"), now)
    if start is None or end is None:
        return _invalid("start" if start is None else "end")
    earliest = now - timedelta(days=30 if minutes == 1 else 60)
    if start < earliest:
        words = f"{calendar.eastern(earliest):%Y-%m-%d} 00:00:00"
        return text_reply(400, f"Invalid parameter, start: must be on or after {words}.")
    if symbol is None:
        return json_reply({"series": None})
    only_open = ask.params.get("session_filter", "all") == "open"
    bars = minute_bars(world.feed, symbol, (start, min(end, now)), minutes, only_open=only_open)
    return json_reply({"series": {"data": bars[0] if len(bars) == 1 else bars} if bars else None})


def daily_history(world: World, ask: Ask) -> Reply:
    """List daily, weekly or monthly bars of an underlying."""
    symbol, interval = _symbol(ask), ask.params.get("interval", "daily")
    if interval not in ("daily", "weekly", "monthly"):
        return _invalid("interval")
    today = calendar.eastern(world.feed.now()).date()
    try:
        start = date.fromisoformat(ask.params.get("start") or f"{today.year}-01-01")
        end = date.fromisoformat(ask.params.get("end") or today.isoformat())
    except ValueError:
        return _invalid("start")
    bars = daily_bars(world.feed, symbol, start, min(end, today), interval) if symbol else []
    return json_reply({"history": {"day": bars[0] if len(bars) == 1 else bars} if bars else None})


def clock(world: World, ask: Ask) -> Reply:
    """Tell the market's date, time and state. `session`, `speed` and `now` are this simulator's own additions."""
    _ = ask
    world.tell_time()
    state, changes_at, following = world.feed.clock.state(world.exchange.real_s)
    now = world.exchange.now
    body = {
        "date": calendar.eastern(now).date().isoformat(),
        "description": DESCRIPTIONS.get(state, f"Market is in {state}"),
        "state": state,
        "timestamp": int(now.timestamp()),
        "next_change": f"{calendar.eastern(changes_at):%H:%M}",
        "next_state": following,
        "session": world.feed.clock.session,
        "speed": world.feed.clock.speed,
        "now": wire.iso_instant(now),
    }
    return json_reply({"clock": body})


def market_calendar(world: World, ask: Ask) -> Reply:
    """List the days of a month, open or closed."""
    today = calendar.eastern(world.feed.now()).date()
    try:
        first = date(int(ask.params.get("year") or today.year), int(ask.params.get("month") or today.month), 1)
    except ValueError:
        return _invalid("month")
    days = []
    day = first
    while day.month == first.month:
        row: Json = {"date": day.isoformat(), "status": "closed", "description": "Market is closed"}
        if calendar.is_trading_day(day):
            close = f"{calendar.closing_time(day):%H:%M}"
            row |= {
                "status": "open",
                "description": "Market is open",
                "premarket": {"start": "04:00", "end": "09:30"},
                "open": {"start": "09:30", "end": close},
                "postmarket": {"start": close, "end": "20:00"},
            }
        days.append(row)
        day += timedelta(days=1)
    return json_reply({"calendar": {"month": first.month, "year": first.year, "days": {"day": days}}})


def market_session(world: World, ask: Ask) -> Reply:
    """Refuse the market stream: the paper environment has none."""
    _ = world, ask
    return text_reply(404, "Market streaming is not available here.")


ROUTES: list[Route] = [
    route("GET", "/v1/markets/quotes", "market", quotes),
    route("POST", "/v1/markets/quotes", "market", quotes),
    route("GET", "/v1/markets/options/chains", "market", chains),
    route("GET", "/v1/markets/options/expirations", "market", expirations),
    route("GET", "/v1/markets/options/strikes", "market", strikes),
    route("GET", "/v1/markets/options/lookup", "market", lookup),
    route("GET", "/v1/markets/timesales", "market", timesales),
    route("GET", "/v1/markets/history", "market", daily_history),
    route("GET", "/v1/markets/clock", "market", clock),
    route("GET", "/v1/markets/calendar", "market", market_calendar),
    route("POST", "/v1/markets/events/session", "market", market_session),
]
