"""The operator's commands: `python -m services.gateway.admin users add NAME [--admin] [--password-stdin]`.

They use the gateway's own database login and work while the gateway runs or not; what they change is told to the other
services by the gateway's outbox.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import secrets
import sys

from libs.common.config import load_or_exit
from libs.common.db import Database, login_url
from libs.common.errors import AppError, InvalidInput
from services.gateway import accounts
from services.gateway.models_auth import MAX_PASSWORD, MIN_PASSWORD
from services.gateway.passwords import Passwords
from services.gateway.settings import GatewaySettings


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command and return the exit code."""
    options = _parser().parse_args(arguments)
    settings = load_or_exit(GatewaySettings)
    try:
        password, is_made_up = _password(from_stdin=options.password_stdin)
        asyncio.run(add_user(settings, options.name, password, is_admin=options.admin))
    except AppError as error:
        sys.stderr.write(f"{options.name}: {error.detail}\n")
        return 1
    sys.stdout.write(f"added {options.name}{' as administrator' if options.admin else ''}\n")
    if is_made_up:
        sys.stdout.write(f"password: {password}\n")
    return 0


async def add_user(settings: GatewaySettings, name: str, password: str, *, is_admin: bool) -> None:
    """Make a user, whatever REGISTRATION says. Raises: InvalidInput, Conflict, UpstreamUnavailable."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidInput(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    url = login_url(settings.database_url, "gateway_service", settings.database_password.get_secret_value())
    database = Database(url, service="gateway", pooled=settings.database_pooled)
    await database.open()
    try:
        hasher = Passwords(memory_kib=settings.argon2_memory_kib, rounds=settings.argon2_rounds)
        await accounts.create_user(database, hasher, name, password, is_admin=is_admin)
    finally:
        await database.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bookend")
    users = parser.add_subparsers(dest="group", required=True).add_parser("users", help="people's accounts")
    add = users.add_subparsers(dest="command", required=True).add_parser("add", help="make an account")
    add.add_argument("name")
    add.add_argument("--admin", action="store_true", help="make an administrator")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    return parser


def _password(*, from_stdin: bool) -> tuple[str, bool]:
    """Return a password and whether it was made up here: given, typed twice, or where nobody can type, random."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n"), False
    if not sys.stdin.isatty():
        return secrets.token_urlsafe(12), True
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise InvalidInput("the two passwords differ")
    return password, False


if __name__ == "__main__":
    sys.exit(main())
