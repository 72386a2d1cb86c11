"""What a bot published and what became of it: the states of a signal, and what of it is refused at once. Pure.

1. pending → placing → accepted | rejected; pending and placing → rejected | expired. What is decided stays decided.
2. Once a trade carries the signal's key, the outcome follows from that trade and from nothing else.
3. A body that cannot be believed in full is not believed in part.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from pydantic import ValidationError

from libs.broker.reports import Quote
from libs.common.errors import (
    BY_CODE,
    AppError,
    Expired,
    Forbidden,
    InvalidInput,
    LimitExceeded,
    MarketClosed,
    UpstreamError,
)
from libs.common.messages.orders import PlaceTrade
from libs.common.messages.signals import (
    DECIDED,
    MAX_SIGNAL_BYTES,
    SignalAccepted,
    SignalBody,
    SignalFact,
    SignalQueued,
    SignalRejected,
    SignalRow,
    SignalState,
)
from libs.common.messages.vocabulary import BrokerMode
from libs.market import products
from libs.market.clock import MarketClock, market_date
from libs.market.options import OccSymbol

AUTO_AHEAD = timedelta(minutes=5)
"""How far ahead a signal that nobody approves may expire."""
WITHOUT_SESSION = timedelta(hours=24)
"""How far ahead one may that waits for approval at a venue held open, whose session has no end."""
CLOCKS_APART = timedelta(seconds=2)
"""How far a bot's clock may be ahead of ours."""

_OF_BODY = ("ticker", "option_type", "strike", "expiry", "qty", "entry", "sl_price", "tp_price", "strategy")
_OF_SIGNAL = frozenset({"signal_id", "v", "expires_at", "ref_price", "max_slippage_pct", "broker_mode"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A stored signal. `signal_id` is null where only its refusal is kept, so that the name stays free."""

    id: str
    username: str
    bot: str
    signal_id: str | None
    state: SignalState
    body: dict[str, Any] | None
    body_hash: str
    code: str | None = None
    reason: str | None = None
    trade_id: str | None = None
    broker_mode: BrokerMode | None = None
    account_id: str | None = None
    via: str | None = None
    received_at: datetime
    expires_at: datetime | None = None
    decided_at: datetime | None = None
    key_version: int = 1

    @property
    def is_decided(self) -> bool:
        """Whether nothing more can become of it."""
        return self.state in DECIDED

    @property
    def bound(self) -> Bound:
        """Return what its entry must keep to."""
        body = self.body or {}
        price, slippage = body.get("ref_price"), body.get("max_slippage_pct")
        return Bound(
            self.id,
            self.expires_at,
            None if price is None else Decimal(price),
            None if slippage is None else Decimal(slippage),
            is_approved=self.decided_at is not None,
        )


@dataclass(frozen=True, slots=True)
class Bound:
    """What the entry of a signal keeps to besides its user's limits. Units: USD per share, percent."""

    signal_id: str
    expires_at: datetime | None
    ref_price: Decimal | None
    max_slippage_pct: Decimal | None
    is_approved: bool = True
    """Somebody let it become a trade; else it does by itself."""


def key_of(signal: Signal) -> str:
    """Name the trade's idempotency key. Source: public API, §4."""
    return f"sig.{signal.username}.{signal.bot}.{signal.signal_id}"


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_body(raw: bytes) -> SignalBody:
    """Read what a bot sent. Raises: InvalidInput, which tells places and rules and none of the values."""
    if len(raw) > MAX_SIGNAL_BYTES:
        raise InvalidInput(f"a signal has at most {MAX_SIGNAL_BYTES} bytes, this one {len(raw)}")
    try:
        return SignalBody.model_validate(orjson.loads(raw))
    except orjson.JSONDecodeError:
        raise InvalidInput("the signal is not JSON, or nested too deep") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"][:6])
        raise InvalidInput(f"{where}: {first['msg'].lower()}" if where else first["msg"]) from None


def name_in(raw: bytes) -> str | None:
    """Return the signal's name where it can be told from a body that is wrong otherwise, to answer by it."""
    try:
        found = orjson.loads(raw) if len(raw) <= MAX_SIGNAL_BYTES else None
    except orjson.JSONDecodeError:
        return None
    name = found.get("signal_id") if isinstance(found, dict) else None
    return name[:64] if isinstance(name, str) and name.isascii() and name.isprintable() else None


def plain(body: SignalBody) -> dict[str, Any]:
    """Return the body as it is kept: JSON, money as text."""
    found: dict[str, Any] = body.model_dump(mode="json", exclude_none=True)
    return found


def hash_of(raw: bytes) -> str:
    """Name a body without keeping it."""
    return hashlib.sha256(raw).hexdigest()


def canonical(body: SignalBody) -> bytes:
    """Write a body so that equal bodies are equal bytes, however their sender wrote them."""
    return orjson.dumps(plain(body), option=orjson.OPT_SORT_KEYS)


def placing(signal: Signal) -> PlaceTrade:
    """Return the command that a person would have given. Idempotent: its key is the signal's."""
    wanted = {name: value for name, value in (signal.body or {}).items() if name not in _OF_SIGNAL}
    wanted["account_id"] = signal.account_id
    wanted["broker_mode"] = signal.broker_mode
    return PlaceTrade(idempotency_key=key_of(signal), **wanted)


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_mode(body: SignalBody, signal_mode: str, broker_mode: BrokerMode, now: datetime) -> None:
    """Refuse what needs no market to be refused. Raises: Expired, Forbidden, InvalidInput."""
    if body.expires_at <= now:
        raise Expired(f"the signal's time was over at {_at(body.expires_at)}; it came at {_at(now)}")
    if signal_mode == "off":
        raise Forbidden("signals are off: signal_mode is off")
    if body.broker_mode is not None and body.broker_mode is not broker_mode:
        raise InvalidInput(f"the signal is for {body.broker_mode}, the account in use is {broker_mode}")
    latest = now + AUTO_AHEAD + CLOCKS_APART
    if signal_mode == "auto" and body.expires_at > latest:
        raise InvalidInput(f"expires_at is at most {AUTO_AHEAD.seconds // 60} min ahead, was {_at(body.expires_at)}")


def check_session(body: SignalBody, contract: OccSymbol, clock: MarketClock, now: datetime, *, is_open: bool) -> None:
    """Refuse what cannot be traded while somebody makes up his mind. Raises: InvalidInput, MarketClosed."""
    market_at = clock.market_at(now)
    last_at = products.last_trade_at(contract)
    if market_at >= last_at:
        raise InvalidInput(f"{contract} has expired; it traded last {last_at:%Y-%m-%d %H:%MZ}")
    if not is_open:
        raise MarketClosed(f"{contract.root} options do not trade now")
    latest = now + WITHOUT_SESSION
    if clock.held is None and products.is_trading(contract, market_at):
        closes_at = min(products.session_on(contract.root, market_date(clock, now))[1], last_at)
        latest = clock.real_at_of(closes_at) or latest
    if body.expires_at > latest + CLOCKS_APART:
        raise InvalidInput(f"expires_at is at most the session's end, {_at(latest)}; was {_at(body.expires_at)}")


def check_unapproved(bound: Bound | None, signal_mode: str) -> None:
    """Refuse a trade by itself where its user does not let signals do that any more. Raises: Forbidden."""
    if bound is not None and not bound.is_approved and signal_mode != "auto":
        raise Forbidden(f"signals do not trade by themselves any more: signal_mode is {signal_mode}")


def check_price(bound: Bound | None, quote: Quote, limit: Decimal | None) -> None:
    """Refuse an entry that would cost more than the signal allows. Raises: LimitExceeded."""
    if bound is None or bound.ref_price is None or bound.max_slippage_pct is None:
        return
    ask = quote.ask or Decimal(0)
    cost = ask if limit is None else min(limit, ask) if ask else limit
    most = bound.ref_price * (1 + bound.max_slippage_pct / 100)
    if cost > most:
        words = f"max_slippage_pct is {bound.max_slippage_pct} % of {bound.ref_price}; the entry would cost {cost}"
        raise LimitExceeded(
            words, limit="max_slippage_pct", value=str(bound.max_slippage_pct), found=f"{cost} over {bound.ref_price}"
        )


def send_by(planned: datetime, bound: Bound | None, price_holds_until: datetime) -> datetime:
    """Return until when the entry may be sent: no later than its signal says, or than its price was looked at.

    So the price that was checked is the price it is sent at, also by whoever goes on after a crash.
    """
    if bound is None:
        return planned
    until = planned if bound.expires_at is None else min(planned, bound.expires_at)
    return until if bound.max_slippage_pct is None else min(until, price_holds_until)


def ended(signal: Signal, error: AppError, now: datetime) -> Signal:
    """Refuse a signal in the words of what refused it."""
    trade_id = error.extra.get("trade_id")
    return replace(
        signal,
        state=SignalState.EXPIRED if isinstance(error, Expired) else SignalState.REJECTED,
        code=error.code,
        reason=error.detail[:1000],
        trade_id=trade_id if isinstance(trade_id, str) else signal.trade_id,
        decided_at=now,
        key_version=signal.key_version + 1,
    )


def moved(signal: Signal, state: SignalState, now: datetime, **changes: Any) -> Signal:
    """Bring a signal into its next state."""
    return replace(signal, state=state, decided_at=now, key_version=signal.key_version + 1, **changes)


# ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def row_values(signal: Signal) -> dict[str, Any]:
    """Return a signal as outsiders see it."""
    body = signal.body or {}
    return {name: body.get(name) for name in (*_OF_BODY, "ref_price", "max_slippage_pct")} | {
        "id": signal.id,
        "signal_id": signal.signal_id or body.get("signal_id"),
        "bot": signal.bot,
        "state": signal.state,
        "code": signal.code,
        "reason": signal.reason,
        "trade_id": signal.trade_id,
        "broker_mode": signal.broker_mode,
        "account_id": signal.account_id,
        "received_at": signal.received_at,
        "expires_at": signal.expires_at,
        "decided_at": signal.decided_at,
        "key_version": signal.key_version,
    }


def row_of(signal: Signal) -> SignalRow:
    """Return a signal as outsiders see it."""
    return SignalRow.model_validate(row_values(signal))


def fact_of(signal: Signal) -> SignalFact | None:
    """Return what is said of a signal in its state; nothing while its entry is being placed."""
    kind = {
        SignalState.PENDING: SignalQueued,
        SignalState.ACCEPTED: SignalAccepted,
        SignalState.REJECTED: SignalRejected,
        SignalState.EXPIRED: SignalRejected,
    }.get(signal.state)
    return None if kind is None else kind.model_validate(row_values(signal))


def refusal_of(signal: Signal) -> AppError:
    """Make the error again that refused a signal."""
    kind = BY_CODE.get(signal.code or "", UpstreamError)
    extra = {"id": signal.id, "signal_id": signal.signal_id, "trade_id": signal.trade_id}
    return kind(signal.reason or "the signal was refused", **{name: v for name, v in extra.items() if v is not None})


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"
