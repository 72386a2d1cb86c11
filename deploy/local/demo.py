"""The demo user: made once, in PAPER mode, with limits wide enough to try things."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from deploy.local.keyring import DEMO_USER
from deploy.local.layout import PROJECT, Layout
from deploy.local.probe import request_json
from deploy.local.problem import StackProblem
from deploy.local.services import python

WIDE_LIMITS: dict[str, Any] = {
    "broker_mode": "PAPER",
    "account_balance": "100000",
    "max_positions": 50,
    "daily_loss_limit": "10000",
    "heat_limit_pct": "50",
}


def add_user(name: str, password: str, environment: Mapping[str, str], *, admin: bool = False) -> str:
    """Make a user through the gateway's administration command; returns what it said.

    Raises: StackProblem in the command's own words.
    """
    command = [str(python()), "-m", "services.gateway.admin", "users", "add", name, "--password-stdin"]
    ran = subprocess.run(
        [*command, *(["--admin"] if admin else [])],
        check=False,
        input=f"{password}\n",
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=dict(environment),
    )
    if ran.returncode != 0:
        words = (ran.stderr or ran.stdout).strip().splitlines()
        why = words[-1] if words else f"exit code {ran.returncode}"
        raise StackProblem("users", f"{name} was not added: {why}", "choose another name or password")
    return ran.stdout.strip()


def ensure_demo_user(layout: Layout, password: str, environment: Mapping[str, str], gateway_port: int) -> bool:
    """Make the demo user and widen its limits, once per database; returns whether it had to."""
    marker = layout.postgres_dir / "demo-made"
    if marker.exists():
        return False
    status, cookie = _log_in(gateway_port, password)
    if status != 200:
        add_user(DEMO_USER, password, environment)
        status, cookie = _log_in(gateway_port, password)
    if status != 200:
        raise StackProblem("demo user", f"its login answered {status}", f"read {layout.log_of('gateway')}")
    _widen_limits(gateway_port, cookie)
    marker.touch()
    return True


def _log_in(port: int, password: str) -> tuple[int, str]:
    status, _, cookie = _ask(port, "POST", "/api/auth/login", {"username": DEMO_USER, "password": password})
    return status, cookie


def _widen_limits(port: int, cookie: str) -> None:
    status, answer, _ = _ask(port, "PUT", "/api/settings", WIDE_LIMITS, cookie=cookie)
    if status != 200:
        why = f"its settings were refused ({status}): {answer.get('detail') or answer.get('title') or answer}"
        raise StackProblem("demo user", why, "read the logs of gateway and orders")


def _ask(
    port: int, method: str, path: str, body: dict[str, Any], *, cookie: str = ""
) -> tuple[int, dict[str, Any], str]:
    try:
        return request_json(port, method, path, body, cookie=cookie)
    except (OSError, HTTPException) as error:
        raise StackProblem("demo user", f"{path}: {error}", "read the log of gateway") from None
