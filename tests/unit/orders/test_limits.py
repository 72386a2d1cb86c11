"""Limits: each by itself, what counts towards it, and that nothing is let in that would pass one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import LimitExceeded
from services.orders import limits
from services.orders.limits import Exposure, Freshness, OpenRisk, Wanted
from services.orders.preferences import TradingSettings
from tests.unit.orders.views import NOW

FRESH = Freshness(NOW, timedelta(minutes=2))
HELD = OpenRisk(qty=1, multiplier=100, entry_price=Decimal(4), stop=Decimal(3), marked_at=NOW, open_pnl=Decimal(0))
WIDE = TradingSettings(
    account_balance=Decimal(100_000), daily_loss_limit=Decimal(50_000), heat_limit_pct=Decimal(100), max_positions=100
)


def wanted(**changes: object) -> Wanted:
    values: dict[str, object] = {
        "qty": 1,
        "multiplier": 100,
        "entry_price": Decimal("4.20"),
        "stop": Decimal("3.20"),
        "bid": Decimal("4.00"),
        "ask": Decimal("4.20"),
        "is_limit": True,
        "quote_age_s": 1.0,
        "minutes_to_last_trade": 10_000.0,
    }
    return Wanted(**values | changes)  # type: ignore[arg-type]


def refusal(settings: TradingSettings, exposure: Exposure, trade: Wanted) -> dict[str, str]:
    with pytest.raises(LimitExceeded) as caught:
        limits.check(settings, exposure, trade)
    assert (
        caught.value.detail
        == f"{caught.value.extra['limit']} is {caught.value.extra['value']}; this would be "
        + (caught.value.extra["found"])
    )
    return caught.value.extra


@pytest.mark.parametrize(
    ("settings", "trade", "limit", "value", "found"),
    [
        ({"max_contracts": 2}, {"qty": 3}, "max_contracts", "2", "3 contracts"),
        ({"max_premium": Decimal(400)}, {}, "max_premium", "400", "420.00"),
        ({"max_spread_pct": Decimal(4)}, {}, "max_spread_pct", "4", "4.88 %"),
        ({"max_spread_pct": Decimal(4)}, {"bid": Decimal(0)}, "max_spread_pct", "4", "200.00 %"),
        ({"max_spread_pct": Decimal(4)}, {"ask": Decimal(0)}, "max_spread_pct", "4", "a quote without two sides"),
        (
            {"collar_pct": Decimal(5)},
            {"entry_price": Decimal("5.00")},
            "collar_pct",
            "5",
            "21.95 % above the middle 4.10",
        ),
        ({"max_quote_age_s": 5}, {"quote_age_s": 6.0}, "max_quote_age_s", "5", "6 s"),
        ({"max_quote_age_s": 5}, {"quote_age_s": None}, "max_quote_age_s", "5", "a quote of unknown age"),
        (
            {},
            {"minutes_to_last_trade": 59.0},
            "no_entry_before_expiry_min",
            "60",
            "59 min to the last trade",
        ),
        ({}, {"is_am_settled": True}, "allow_am_settled", "off", "a contract that settles at the open"),
        (
            {},
            {"is_standard": False, "multiplier": 133},
            "allow_non_standard",
            "off",
            "a contract of 133, not a standard one of 100",
        ),
        ({}, {"buying_power": Decimal("419.99")}, "buying_power", "419.99", "420.00"),
    ],
)
def test_each_refusal_names_the_limit_its_value_and_the_trades(
    settings: dict[str, object], trade: dict[str, object], limit: str, value: str, found: str
) -> None:
    told = refusal(WIDE.model_copy(update=settings), Exposure(fresh=FRESH), wanted(**trade))
    assert told == {"limit": limit, "value": value, "found": found}


def test_what_is_allowed_by_a_setting_is_let_in() -> None:
    allowing = WIDE.model_copy(update={"allow_am_settled": True, "allow_non_standard": True})
    limits.check(allowing, Exposure(fresh=FRESH), wanted(is_am_settled=True, is_standard=False))


def test_no_entry_while_the_account_is_short() -> None:
    assert refusal(WIDE, Exposure(fresh=FRESH, short_in="X"), wanted())["limit"] == "short_position"


def test_heat_is_measured_by_the_smaller_of_the_users_balance_and_the_brokers_equity() -> None:
    settings = WIDE.model_copy(update={"heat_limit_pct": Decimal(1)})
    limits.check(settings, Exposure(fresh=FRESH), wanted(equity=Decimal(200_000)))
    told = refusal(settings, Exposure(fresh=FRESH), wanted(equity=Decimal(9_999)))
    assert told == {"limit": "heat_limit_pct", "value": "1 % = 99.99", "found": "100.00 with this trade's 100.00"}


@pytest.mark.parametrize(
    ("trade", "change"),
    [
        (HELD, "0"),
        (replace(HELD, open_pnl=Decimal(30), pnl_before=Decimal(80)), "-50"),
        # Nobody has marked it for too long: as if the stop had been reached, and from where the day began.
        (replace(HELD, marked_at=NOW - timedelta(minutes=3), open_pnl=Decimal(30)), "-100"),
        (replace(HELD, marked_at=None, open_pnl=None, pnl_before=Decimal(20)), "-120"),
        # No stop that works: nothing may be left of it.
        (replace(HELD, marked_at=None, stop=None), "-400"),
        # A stop above the entry secures a gain, even unseen.
        (replace(HELD, marked_at=None, stop=Decimal("4.50")), "50"),
        (replace(HELD, is_pending=True), "-100"),
        (replace(HELD, is_pending=True, is_unknown=True), "-400"),
    ],
)
def test_a_day_changes_what_is_open_by_the_mark_or_by_the_worst(trade: OpenRisk, change: str) -> None:
    assert trade.change_usd(FRESH) == Decimal(change)


def test_a_gain_of_the_day_does_not_lower_what_the_next_trade_puts_at_stake() -> None:
    gained = Exposure(realized_today=Decimal(1000), fresh=FRESH)
    settings = WIDE.model_copy(update={"daily_loss_limit": Decimal(99)})
    assert refusal(settings, gained, wanted())["found"] == "100.00 with this trade's risk 100.00"


def test_a_check_tells_of_every_limit_what_is_used_and_what_would_be() -> None:
    exposure = Exposure(open=(HELD,), realized_today=Decimal(-40), fresh=FRESH)
    told = {use.limit: use.shown() for use in limits.uses(WIDE, exposure, wanted(buying_power=Decimal(5000)))}
    assert (told["max_positions"].used, told["max_positions"].would_be, told["max_positions"].value) == (
        "1",
        "2",
        "100",
    )
    assert (told["heat_limit_pct"].used, told["heat_limit_pct"].would_be) == ("0.10", "0.20")
    assert (told["daily_loss_limit"].used, told["daily_loss_limit"].would_be) == ("40", "140.00")
    assert (told["buying_power"].value, told["buying_power"].would_be) == ("5000", "420.00")
    assert (told["max_contracts"].value, told["max_contracts"].used) == (None, None)
    assert not any(use.exceeded for use in told.values())


# ── sequences ────────────────────────────────────────────────────────────────────────────────────────────────────────

PRICES = st.decimals("0.05", "20", places=2)
TRADES = st.builds(
    lambda qty, price, share: wanted(qty=qty, entry_price=price, stop=None if share is None else price * share / 10),
    st.integers(1, 10),
    PRICES,
    st.one_of(st.none(), st.integers(1, 9)),
)
STEPS = st.lists(
    st.one_of(
        TRADES,
        st.tuples(st.sampled_from(("fill", "lose", "bare", "forget", "sell")), st.integers(0, 20)),
    ),
    max_size=40,
)


class Book:
    """An account as a person with pencil and paper would keep it, in his own sums."""

    def __init__(self) -> None:
        self.open: list[OpenRisk] = []
        self.realized = Decimal(0)

    def exposure(self) -> Exposure:
        return Exposure(open=tuple(self.open), realized_today=self.realized, fresh=FRESH)

    def enter(self, trade: Wanted) -> None:
        self.open.append(
            OpenRisk(
                qty=trade.qty,
                multiplier=100,
                entry_price=trade.entry_price,
                stop=trade.stop,
                is_pending=True,
            )
        )

    def happen(self, what: str, number: int) -> None:
        if not self.open:
            return
        at = number % len(self.open)
        one = self.open[at]
        match what:
            case "fill":
                self.open[at] = replace(one, is_pending=False, is_unknown=False, marked_at=NOW, open_pnl=Decimal(0))
            case "lose":
                self.open[at] = replace(one, is_unknown=one.is_pending)
            case "bare":
                self.open[at] = replace(one, stop=None)
            case "forget":
                self.open[at] = replace(one, marked_at=NOW - timedelta(hours=1))
            case _:
                del self.open[at]
                self.realized -= Decimal(number)

    def may_lose(self) -> Decimal:
        """Sum what all of it may lose, from the outside in: what was paid less what a working stop brings back."""
        total = Decimal(0)
        for one in self.open:
            back = Decimal(0) if one.is_unknown or one.stop is None else min(one.stop, one.entry_price)
            total += (one.entry_price - back) * one.qty * 100
        return total

    def lost_if_pending_fail(self) -> Decimal:
        lost = -self.realized
        for one in self.open:
            known = not one.is_pending and one.marked_at == NOW
            if not known:
                back = Decimal(0) if one.is_unknown or one.stop is None else one.stop
                lost += (one.entry_price - back) * one.qty * 100
        return lost


@given(STEPS)
def test_whatever_happens_nothing_is_let_in_that_would_pass_a_limit(steps: list[Wanted | tuple[str, int]]) -> None:
    settings = TradingSettings(
        account_balance=Decimal(20_000), heat_limit_pct=Decimal(20), daily_loss_limit=Decimal(3000), max_positions=6
    )
    book = Book()
    for step in steps:
        if isinstance(step, tuple):
            book.happen(*step)
            continue
        is_let_in = not any(use.exceeded for use in limits.uses(settings, book.exposure(), step))
        book.enter(step)
        fits = len(book.open) <= 6 and book.may_lose() <= 4000 and book.lost_if_pending_fail() <= 3000
        assert fits if is_let_in else not fits or _lost_before(book, step) > 3000
        if not is_let_in:
            book.open.pop()


def _lost_before(book: Book, step: Wanted) -> Decimal:
    """Sum the day's loss as 0 while it has gained, and the trade's own risk."""
    own = (step.entry_price - (step.stop or Decimal(0))) * step.qty * 100
    return max(book.lost_if_pending_fail() - own, Decimal(0)) + own
