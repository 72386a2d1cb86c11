"""Whether a trade's sender meant the mode it would be placed in.

1. A trade is placed in the mode that the settings name, never in another.
2. Real money moves only where somebody said so: the settings were switched with a typed word, and a program names the
   account with each order: one that places, one whose signal nobody approves, one that approves a signal.
"""

from __future__ import annotations

from libs.common.errors import InvalidInput, LiveNotEnabled
from libs.common.messages.orders import PlaceTrade
from libs.common.messages.safety import CheckTrade
from libs.common.messages.vocabulary import BrokerMode


def refuse_unspoken(command: PlaceTrade | CheckTrade, mode: BrokerMode) -> None:
    """Refuse a trade whose sender meant another mode, or did not say that real money is meant.

    Raises: InvalidInput, LiveNotEnabled.
    """
    if command.broker_mode not in (None, mode):
        raise InvalidInput(f"this asks for {command.broker_mode}, and the settings say {mode}")
    if command.by_program:
        refuse_unnamed(command.account_id, mode)


def refuse_unnamed(account_id: str | None, mode: BrokerMode | None) -> None:
    """Refuse a program's trade with real money that leaves its account to the settings. Raises: LiveNotEnabled."""
    if mode is BrokerMode.TRADIER_LIVE and not account_id:
        raise LiveNotEnabled("a program that trades real money names the account: account_id")
