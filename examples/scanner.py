"""A scanner in plain nats-py: finds a contract, publishes a signal, waits for the ack, follows what becomes of it.

    .venv/bin/python examples/scanner.py SPY

Reads BOOKEND_URL, BOOKEND_NATS, BOOKEND_USER, BOOKEND_BOT and BOOKEND_KEY, as examples/key.py prints them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

import nats

USER, BOT, KEY = os.environ["BOOKEND_USER"], os.environ["BOOKEND_BOT"], os.environ["BOOKEND_KEY"]
OUTCOMES = ("signal_accepted", "signal_queued", "signal_rejected")


def ask(path: str) -> Any:
    """Read from Bookend's HTTP API with the same key."""
    asked = urllib.request.Request(os.environ["BOOKEND_URL"] + path, headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(asked, timeout=15) as answer:
        return json.load(answer)


def idea(ticker: str) -> dict[str, Any]:
    """Scan: the call nearest to the price, in the expiry after next. Put your own idea here."""
    expiry = ask(f"/api/market/expirations/{ticker}")["expirations"][2]
    chain = ask(f"/api/market/chain/{ticker}?expiry={expiry}")
    spot = Decimal(str(chain["underlying_price"]))
    calls = [one for one in chain["options"] if one["option_type"] == "CALL" and Decimal(str(one["bid"] or 0)) > 1]
    call = min(calls, key=lambda one: abs(Decimal(str(one["strike"])) - spot))
    bid, price = Decimal(str(call["bid"])), Decimal(str(call["ask"]))
    return {
        "ticker": ticker,
        "option_type": "CALL",
        "strike": str(call["strike"]),
        "expiry": expiry,
        "qty": 1,
        "entry": {"type": "market"},
        "sl_price": str((bid * Decimal("0.8")).quantize(Decimal("0.1"), ROUND_DOWN)),
        "tp_price": str((price * Decimal("1.4")).quantize(Decimal("0.1"), ROUND_DOWN)),
        "strategy": "example",
        "ref_price": str(price),
        "max_slippage_pct": 5,
    }


async def main(ticker: str) -> int:
    """Publish one signal and say what becomes of it; 0 when it became a trade."""
    signal = idea(ticker) | {
        "v": 1,
        "signal_id": str(uuid.uuid4()),
        "expires_at": (datetime.now(UTC) + timedelta(minutes=4)).isoformat(),
    }
    bus = await nats.connect(
        os.environ["BOOKEND_NATS"],
        user=f"{USER}.{BOT}",
        password=KEY,
        # A bot hears its own inbox only, so it must be told to use that one.
        inbox_prefix=f"_INBOX_{USER}_{BOT}".encode(),
    )
    outcome: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def heard(message: Any) -> None:
        said = json.loads(message.data).get("data", {})
        if said.get("signal_id") == signal["signal_id"]:
            await outcome.put((message.subject.rsplit(".", 1)[-1], said))

    # First listen, then speak.
    for name in OUTCOMES:
        await bus.subscribe(f"evt.{USER}.orders.{name}", cb=heard)
    await bus.flush()

    # Published again, whether the first try arrived or not: the same signal_id is the same signal.
    ack = json.loads((await bus.request(f"signals.{USER}.{BOT}", json.dumps(signal).encode(), timeout=5)).data)
    if "error" in ack:
        print("not taken:", ack["error"]["description"])
        return 1
    print(f"published {signal['signal_id']}: {ticker} {signal['expiry']} {signal['strike']} call")
    try:
        async with asyncio.timeout(5 * 60):
            while True:
                name, said = await outcome.get()
                match name:
                    case "signal_queued":
                        print(f"waits for approval until {said['expires_at']}: {os.environ['BOOKEND_URL']}")
                    case "signal_accepted":
                        print(f"accepted: trade {said['trade_id']}")
                        return 0
                    case _:
                        print(f"rejected: {said['code']}: {said['reason']}")
                        return 1
    finally:
        await bus.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "SPY")))
