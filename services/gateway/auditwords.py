"""What a line of the gateway's audit says to its reader.

1. Every kind has its sentence; one that is not known here is shown by its name.
2. No password, session or key is in a line, so none can be in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SENTENCES = {
    "registered": "account made, signed in",
    "signed_in": "signed in",
    "sign_in_failed": "a sign-in with a wrong password was refused",
    "signed_out": "signed out",
    "password_changed": "password changed, {sessions_ended} other sessions ended",
    "key_made": "API key {name} made, for {scopes}",
    "key_revoked": "API key {name} revoked",
}


def sentence(kind: str, data: Mapping[str, Any]) -> str:
    """Put a line into words; lines of earlier versions may lack a detail."""
    template = SENTENCES.get(kind, kind.replace("_", " "))
    told = {name: ", ".join(value) if isinstance(value, list) else value for name, value in data.items()}
    return template.format_map({"name": data.get("key_id", "?"), "sessions_ended": "all", "scopes": "?"} | told)
