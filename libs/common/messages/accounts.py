"""What orders is asked about a user's accounts at the venues, and about who changed their rules."""

from __future__ import annotations

from libs.common.messages.base import Command, Query
from libs.common.messages.vocabulary import BrokerMode


class RemoveCredentials(Command, service="orders", name="remove_credentials"):
    """Forget the token of an account. Refused while a trade of the account needs it. Answers the account."""

    broker_mode: BrokerMode
    account_id: str


class ListAudit(Query, service="orders", name="list_audit"):
    """List changes of settings, limits, modes, credentials and the kill switch, newest first. Answers {entries}.

    `cursor` names the entry after which to go on; there is more when `limit` entries come.
    """

    cursor: str | None = None
    limit: int = 50
