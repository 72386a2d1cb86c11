"""The smallest HTTP client: is a process of ours ready, and a few JSON requests to the gateway."""

from __future__ import annotations

import asyncio
import json
from http.client import HTTPConnection, HTTPException
from typing import Any

from deploy.local.ports import LOOPBACK


async def http_status(port: int, path: str, *, timeout_s: float = 2.0) -> int | None:
    """Return the status code of a GET, None when nobody answers."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode())
                head = (await reader.readline()).split()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    return int(head[1]) if len(head) > 1 and head[1].isdigit() else None


def request_json(
    port: int, method: str, path: str, body: dict[str, Any], *, cookie: str = "", timeout_s: float = 15.0
) -> tuple[int, dict[str, Any], str]:
    """Send a JSON body to the gateway; returns the status, the answer and the session cookie it set.

    Raises: OSError, HTTPException when nobody answers.
    """
    connection = HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    headers = {"Content-Type": "application/json", "X-Bookend": "1", **({"Cookie": cookie} if cookie else {})}
    try:
        connection.request(method, path, json.dumps(body), headers)
        answer = connection.getresponse()
        raw = answer.read()
        set_cookie = (answer.getheader("Set-Cookie") or "").split(";")[0]
        try:
            document = json.loads(raw) if raw else {}
        except ValueError:
            raise HTTPException(f"{method} {path} answered {answer.status} without JSON") from None
        return answer.status, document, set_cookie
    finally:
        connection.close()
