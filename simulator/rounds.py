"""Rounds in which all working orders meet the market: one a market second, in chunks, never most of the time."""

import time

from simulator.exchange import Exchange

REST_RATIO = 9.0


class Rounds:
    """Where the present round stands. Units: real seconds, but for the market second it belongs to."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._market_s = -1
        self._spent_s = 0.0
        self._not_before_s = 0.0

    @property
    def is_running(self) -> bool:
        """Say whether securities of this round are still waiting."""
        return bool(self._waiting)

    def start_over(self) -> None:
        """Make the next call begin a round whatever the time."""
        self._market_s, self._not_before_s = -1, 0.0
        self._waiting.clear()

    def go(self, exchange: Exchange, market_s: int, real_s: float, budget_s: float) -> None:
        """Continue the round, or begin one when the market second is a new one, for as long as the budget goes."""
        if not self._waiting and market_s != self._market_s and real_s >= self._not_before_s:
            self._market_s, self._spent_s = market_s, 0.0
            self._waiting = sorted(exchange.working, reverse=True)
        started = time.perf_counter()
        spent = 0.0
        while self._waiting and spent < budget_s:
            exchange.evaluate([self._waiting.pop()])
            spent = time.perf_counter() - started
        if spent:
            self._spent_s += spent
            self._not_before_s = real_s + REST_RATIO * self._spent_s
