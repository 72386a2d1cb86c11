"""How bots get in: what the server asks the gateway of each, what a bot may then do, and how one is shown the door.

Source: NATS ADR-26 (auth callout) and the server's system services.
"""

from __future__ import annotations

from libs.common.messages.signals import SignalAccepted, SignalQueued, SignalRejected, signal_subject

ACCOUNT = "BOTS"
ASKED = "$SYS.REQ.USER.AUTH"
"""Where the server asks whether somebody may come in; nobody else can publish there."""
CONNECTIONS = f"$SYS.REQ.ACCOUNT.{ACCOUNT}.CONNZ"
"""Where the gateway asks which bots are connected."""


def kick(server_id: str) -> str:
    """Return where a connection is ended, by its number at a server ("*" for all)."""
    return f"$SYS.REQ.SERVER.{server_id}.KICK"


def inbox(user: str, bot: str) -> str:
    """Return the prefix of a bot's own inbox."""
    return f"_INBOX_{user}_{bot}"


def published(user: str, bot: str) -> list[str]:
    """List what a bot may publish to."""
    return [signal_subject(user, bot)]


def heard(user: str, bot: str) -> list[str]:
    """List what a bot may hear: its own inbox, and what becomes of its user's signals."""
    return [f"{inbox(user, bot)}.>", *(fact.subject(user) for fact in (SignalAccepted, SignalQueued, SignalRejected))]
