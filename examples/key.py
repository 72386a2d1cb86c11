"""Makes an API key for a bot and prints what the examples want to know, as lines for a shell.

    eval "$(.venv/bin/python examples/key.py)"

Without options: the demo user of the stack that `./bookend up` started here, and a bot called `scanner`. The key may
publish signals and read; it can neither trade nor change anything. It is shown this once: keep it like a password.
"""

from __future__ import annotations

import argparse
import http.cookiejar
import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parents[1]


def stack(data: str) -> dict[str, Any]:
    """Ask the launcher where everything is."""
    told = subprocess.run(
        [HERE / "bookend", "status", "--json", "--data", data], capture_output=True, check=True, text=True
    )
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def main() -> None:
    """Sign in, make the key, print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=".bookend", help="the stack's directory")
    parser.add_argument("--url", help="where Bookend is, when it is not the stack of --data")
    parser.add_argument("--nats", help="where its NATS server is: nats://host:port")
    parser.add_argument("--user", help="whose bot this is")
    parser.add_argument("--password", help="that user's password")
    parser.add_argument("--bot", default="scanner", help="what the bot is called: written like a username")
    given = parser.parse_args()
    here = {} if given.url else stack(given.data)
    url = given.url or here["gateway_url"]
    user = given.user or here["demo"]["username"]
    password = given.password or here["demo"]["password"]
    nats = given.nats or f"nats://{urlsplit(here['nats_url']).hostname}:{urlsplit(here['nats_url']).port}"

    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "X-Bookend": "1"}
        asked = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
        with browser.open(asked, timeout=15) as answer:
            made: dict[str, Any] = json.load(answer)
            return made

    post("/api/auth/login", {"username": user, "password": password})
    key = post("/api/keys", {"name": f"bot {given.bot}", "scopes": ["read", "signal"]})
    for name, value in {"URL": url, "NATS": nats, "USER": user, "BOT": given.bot, "KEY": key["secret"]}.items():
        print(f"export BOOKEND_{name}='{value}'")


if __name__ == "__main__":
    main()
