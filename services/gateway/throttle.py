"""How long a failed sign-in makes the next one wait.

1. Waiting doubles and is capped: nobody is ever locked out, guessing is slow for ever.
2. A try refused for being too early counts as nothing, so waiting cannot be prolonged from outside.
3. Three counts: this account from this address, this address, this account. The last one binds only addresses
   from which the account's owner never signed in, so strangers cannot make the owner wait.
4. A count is forgotten after `FORGOTTEN_AFTER_S` without a failure.
"""

from __future__ import annotations

from dataclasses import dataclass

FORGOTTEN_AFTER_S = 900.0


@dataclass(frozen=True)
class Allowance:
    """How many failures are free, and how long the wait may grow. Units: seconds."""

    free: int
    cap_s: float


PAIR = Allowance(free=5, cap_s=60.0)
ADDRESS = Allowance(free=50, cap_s=60.0)
ACCOUNT = Allowance(free=50, cap_s=30.0)


def wait_s(allowance: Allowance, failures: int, since_last_s: float) -> float:
    """Return how long to wait still; 0 when a try is due. Units: seconds."""
    if failures < allowance.free or since_last_s >= FORGOTTEN_AFTER_S:
        return 0.0
    pause = min(2.0 ** min(failures - allowance.free, 16), allowance.cap_s)
    return max(0.0, pause - since_last_s)
