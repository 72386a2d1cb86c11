"""Tradier's request windows: per token and bucket, a minute from the first request. Pure: time is handed in."""

from dataclasses import dataclass

WINDOW_S = 60.0


@dataclass(slots=True)
class Window:
    """One minute of one token in one bucket."""

    ends_s: float
    used: int = 0


class Windows:
    """Every window that is running."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], Window] = {}

    def clear(self) -> None:
        """Forget all of them."""
        self._windows.clear()

    def take(self, token: str, bucket: str, allowed: int, now_s: float) -> tuple[bool, list[tuple[bytes, bytes]]]:
        """Count a request; say whether it fits, and the headers to answer with. Units: expiry in milliseconds."""
        window = self._windows.get((token, bucket))
        if window is None or window.ends_s <= now_s:
            if len(self._windows) > 10_000:
                self._windows = {key: one for key, one in self._windows.items() if one.ends_s > now_s}
            window = self._windows[token, bucket] = Window(now_s + WINDOW_S)
        fits = window.used < allowed
        window.used += fits
        figures = {
            "allowed": allowed,
            "used": window.used,
            "available": max(allowed - window.used, 0),
            "expiry": int(window.ends_s * 1000),
        }
        return fits, [(f"x-ratelimit-{name}".encode(), str(value).encode()) for name, value in figures.items()]
