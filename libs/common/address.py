"""The address of the database: whose login it carries, and which of its options our driver understands. Pure."""

from __future__ import annotations

from urllib.parse import quote, urlsplit, urlunsplit

LIBPQ_ONLY = frozenset(
    {
        *("channel_binding", "client_encoding", "connect_timeout", "fallback_application_name", "gssdelegation"),
        *("gssencmode", "hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval"),
        *("load_balance_hosts", "max_protocol_version", "min_protocol_version", "require_auth", "requirepeer"),
        *("requiressl", "scram_client_key", "scram_server_key", "sslcertmode", "sslcompression", "sslcrldir"),
        *("sslkeylogfile", "sslsni", "tcp_user_timeout"),
    }
)
"""Options of an address that mean something to libpq's own end of a connection, and nothing to a server.

Source: PostgreSQL 18, libpq "Parameter Key Words". The driver would send each of them as a setting, which fails.
"""


def login_url(url: str, login: str, password: str) -> str:
    """Return `url` with another login; host, port, database and options such as sslmode stay."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    netloc = f"{quote(login, safe='')}:{quote(password, safe='')}@{address}"
    return urlunsplit(parts._replace(netloc=netloc))


def driver_url(url: str) -> str:
    """Return `url` without what only libpq understands, such as the `channel_binding=require` of some managed servers.

    The driver has no channel binding; who relies on it says `sslmode=verify-full` with `sslrootcert` instead.
    """
    parts = urlsplit(url)
    kept = [option for option in parts.query.split("&") if option.partition("=")[0] not in LIBPQ_ONLY]
    return urlunsplit(parts._replace(query="&".join(kept)))
