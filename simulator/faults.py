"""Faults waiting to happen: which request they meet, how often. Pure."""

import re
from dataclasses import dataclass

STREAM_KINDS = frozenset({"duplicate_event", "lost_event", "reordered_event", "drop_stream"})
LIST_KINDS = frozenset({"empty_list", "stale_list", "half_page"})
ORDER_KINDS = frozenset({"reject_later", "partial_fill", "no_fill"})
TRANSPORT_KINDS = frozenset({
    "drop_before", "drop_after", "hang", "slow", "status_500", "status_500_after", "status_502_html", "status_503",
    "status_400", "status_401", "status_403", "status_429", "datastore_500", "html_200",
})  # fmt: skip
KINDS = STREAM_KINDS | LIST_KINDS | ORDER_KINDS | TRANSPORT_KINDS
DEFAULT_DELAY_MS = {"hang": 60_000, "slow": 3_000, "reject_later": 1_000}


@dataclass(slots=True)
class Fault:
    """One rule: what it matches, what it does, how many times it still does it."""

    kind: str
    times: int
    method: str | None = None
    path: re.Pattern[str] | None = None
    account: str | None = None
    delay_ms: int | None = None
    quantity: int | None = None

    @property
    def delay_s(self) -> float:
        """Tell how long it takes. Units: seconds."""
        given = DEFAULT_DELAY_MS.get(self.kind, 0) if self.delay_ms is None else self.delay_ms
        return given / 1000

    def meets(self, method: str, path: str, account: str | None) -> bool:
        """Say whether a request is one of those meant."""
        return (
            self.times > 0
            and self.method in (None, method)
            and (self.path is None or self.path.search(path) is not None)
            and self.account in (None, account)
        )


class Faults:
    """The faults still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def _spend(self, fault: Fault) -> Fault:
        fault.times -= 1
        self.waiting = [one for one in self.waiting if one.times > 0]
        return fault

    def for_request(self, method: str, path: str, account: str | None) -> Fault | None:
        """Take the first fault that meets a request."""
        for fault in self.waiting:
            if fault.kind not in STREAM_KINDS and fault.meets(method, path, account):
                return self._spend(fault)
        return None

    def for_event(self, account: str) -> Fault | None:
        """Take the first fault that meets an event of an account."""
        for fault in self.waiting:
            if fault.kind in STREAM_KINDS and fault.account in (None, account):
                return self._spend(fault)
        return None
