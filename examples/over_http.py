"""A signal over HTTP with an API key, in nothing but the standard library: the answer is what became of it.

    .venv/bin/python examples/over_http.py QQQ

Reads BOOKEND_URL, BOOKEND_BOT and BOOKEND_KEY, as examples/key.py prints them.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

HEADERS = {"Authorization": f"Bearer {os.environ['BOOKEND_KEY']}", "Content-Type": "application/json"}


def call(path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Ask Bookend; a refusal is an answer too."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(os.environ["BOOKEND_URL"] + path, data, HEADERS), timeout=30
        ) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


def main(ticker: str) -> int:
    """Publish one signal and say what becomes of it; 0 when it became a trade."""
    expiry = call(f"/api/market/expirations/{ticker}")[1]["expirations"][2]
    chain = call(f"/api/market/chain/{ticker}?expiry={expiry}")[1]
    puts = [one for one in chain["options"] if one["option_type"] == "PUT" and float(one["bid"] or 0) > 1]
    put = min(puts, key=lambda one: abs(float(one["strike"]) - float(chain["underlying_price"])))
    signal = {
        "v": 1,
        "signal_id": str(uuid.uuid4()),
        "expires_at": (datetime.now(UTC) + timedelta(minutes=4)).isoformat(),
        "ticker": ticker,
        "option_type": "PUT",
        "strike": put["strike"],
        "expiry": expiry,
        "qty": 1,
        "entry": {"type": "market"},
        "sl_price": round(float(put["bid"]) * 0.8, 1),
        "tp_price": round(float(put["ask"]) * 1.4, 1),
    }
    path = f"/api/signals?bot={os.environ['BOOKEND_BOT']}"
    status, said = call(path, signal)
    while status == 202:
        print(f"{said['state']}: it waits until {said['expires_at']}; approve it on {os.environ['BOOKEND_URL']}")
        time.sleep(2)
        # The same signal again: nothing is published twice, it is told what became of it.
        status, said = call(path, signal)
    print(
        f"accepted: trade {said['trade_id']}" if status in {200, 201} else f"rejected: {said['code']}: {said['detail']}"
    )
    return 0 if status in {200, 201} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "QQQ"))
