"""Market time: an affine image of real time, and whether the session is open. Pure: real time is handed in."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from simulator import calendar

SESSIONS = ("open", "closed", "calendar")


@dataclass(frozen=True, slots=True)
class MarketClock:
    """Maps real seconds to market seconds; both count from 1970."""

    real_anchor_s: float
    market_anchor_s: float
    speed: float
    session: str

    def second(self, real_s: float) -> float:
        """Tell market time. Units: seconds since 1970."""
        return self.market_anchor_s + (real_s - self.real_anchor_s) * self.speed

    def now(self, real_s: float) -> datetime:
        """Tell market time as an instant."""
        return datetime.fromtimestamp(self.second(real_s), UTC)

    def changed(
        self, real_s: float, *, now_s: float | None = None, speed: float | None = None, session: str | None = None
    ) -> "MarketClock":
        """Move the hands, the speed or the session from this moment on."""
        return replace(
            self,
            real_anchor_s=real_s,
            market_anchor_s=self.second(real_s) if now_s is None else now_s,
            speed=self.speed if speed is None else speed,
            session=session or self.session,
        )

    def state(self, real_s: float) -> tuple[str, datetime, str]:
        """Tell the session's state, its next change and what follows. A forced session lasts until midnight."""
        now = self.now(real_s)
        if self.session == "calendar":
            return calendar.state_at(now)
        midnight = calendar.at_eastern(calendar.eastern(now).date() + timedelta(days=1), time(0))
        return self.session, midnight, self.session

    def session_date(self, real_s: float) -> date:
        """Tell the day an order placed now belongs to: the next trading day once this one's session is over."""
        now = self.now(real_s)
        today = calendar.eastern(now).date()
        if self.session != "calendar":
            return today
        if calendar.is_trading_day(today) and now < calendar.at_eastern(today, calendar.closing_time(today)):
            return today
        return calendar.next_trading_day(today)
