"""An account's money, holdings and fills from what the broker reports, purely.

1. A fill is (order id, cumulative executed quantity): reading it again yields nothing new.
2. Its price is the change of average × quantity over the change of quantity, so all fills sum to the order's average.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.broker.orders import OrderReport
from libs.broker.reports import BalanceReport, PositionReport
from libs.market import products
from libs.market.options import OccSymbol, is_option_symbol

PRICE_STEP = Decimal("0.00000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill. Units: contracts or shares, USD per share."""

    broker_execution_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    commission: Decimal | None
    execution_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One position. `avg_price` in USD per share, `dte` in calendar days."""

    symbol: str
    quantity: Decimal
    avg_price: Decimal | None
    market_value: Decimal | None
    dte: int | None
    instrument_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """An account's money in USD; None is what the broker did not say."""

    net_liquidation: Decimal | None
    buying_power: Decimal | None
    excess_liquidity: Decimal | None
    maint_margin: Decimal | None
    unrealized_pnl: Decimal | None
    realized_pnl: Decimal | None


Filled = Mapping[str, tuple[Decimal, Decimal]]
"""By order id: the quantity already known as executed, and its cost (quantity × price)."""


def new_executions(known: Filled, reports: Iterable[OrderReport], now: datetime) -> tuple[Execution, ...]:
    """List what was executed since `known`, whoever's order it was. Time: the broker's, `now` where it says none."""
    found = []
    for report in reports:
        for order in report.flat():
            if order.exec_qty == 0 or order.avg_fill_price is None or not order.is_priced:
                continue
            had_qty, had_cost = known.get(order.id, (Decimal(0), Decimal(0)))
            total = Decimal(order.exec_qty)
            if total <= had_qty:
                continue
            quantity = total - had_qty
            found.append(
                Execution(
                    broker_execution_id=f"{order.id}-{order.exec_qty}",
                    symbol=order.occ_symbol or order.symbol or report.symbol or "",
                    side=order.side.value if order.side is not None else "",
                    quantity=quantity,
                    price=((total * order.avg_fill_price - had_cost) / quantity).quantize(PRICE_STEP).normalize() + 0,
                    commission=None,
                    execution_time=order.transaction_at or now,
                )
            )
    return tuple(found)


def holdings(positions: Iterable[PositionReport], now: datetime) -> tuple[Holding, ...]:
    """Describe every position. Time: days to expiry count from `now`'s New York date."""
    return tuple(_holding(position, now) for position in positions)


def _holding(position: PositionReport, now: datetime) -> Holding:
    if is_option_symbol(position.symbol):
        contract = OccSymbol.parse(position.symbol)
        size, dte, kind = products.STANDARD_SIZE, products.days_to_expiry(contract, now), "option"
    else:
        size, dte, kind = 1, None, "equity"
    return Holding(
        symbol=position.symbol,
        quantity=position.qty,
        avg_price=(position.cost_basis_usd / (position.qty * size)).quantize(PRICE_STEP).normalize() + 0
        if position.qty
        else None,
        market_value=None,
        dte=dte,
        instrument_type=kind,
    )


def status_of(balance: BalanceReport) -> AccountStatus:
    """Describe the account's money. Excess liquidity is equity beyond the current requirement."""
    equity, requirement = balance.total_equity_usd, balance.current_requirement_usd
    return AccountStatus(
        net_liquidation=equity,
        buying_power=balance.option_buying_power_usd
        if balance.option_buying_power_usd is not None
        else balance.total_cash_usd,
        excess_liquidity=equity - requirement if equity is not None and requirement is not None else None,
        maint_margin=requirement,
        unrealized_pnl=balance.open_pl_usd,
        realized_pnl=balance.close_pl_usd,
    )
