"""What orders is asked about a user's accounts at the venues, and about who changed their rules."""

from __future__ import annotations

from libs.common.messages.base import Query


class ListAudit(Query, service="orders", name="list_audit"):
    """List changes of settings, limits, modes, credentials and the kill switch, newest first. Answers {entries}.

    `cursor` names the entry after which to go on; there is more when `limit` entries come.
    """

    cursor: str | None = None
    limit: int = 50
