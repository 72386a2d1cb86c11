"""What a campaign was, in figures: trades, requests, faults, unknowns, seconds naked, incidents."""

from __future__ import annotations

import asyncio
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from deploy.local.layout import Layout
from tests.campaign.asking import Ledger
from tests.faults.outage import state_of
from tests.journey.stack import Stack

MISTAKES = frozenset({"flow_failed", "job_failed", "request_failed", "answer_failed", "fact_failed"})
"""What the runbook calls a mistake of ours."""

_QUERIES = {
    "trades": "select coalesce(close_reason, status) as name, count(*) as n from orders.trades group by 1",
    "incidents": "select kind as name, count(*) as n from monitor.incidents group by 1",
    "open incidents": "select kind as name, count(*) as n from monitor.incidents where ended_at is null group by 1",
    "marks": "select kind as name, count(*) as n from orders.timeline group by 1",
    "orders": "select role as name, count(*) as n from orders.broker_orders group by 1",
}
_NAKED = "select naked_s from orders.trades where filled_qty > 0 and (sl_price is not null or tp_price is not null)"
_LONGEST = """
    select t.id, t.naked_s, string_agg(to_char(l.at, 'MI:SS.MS') || ' ' || l.text, ' | ' order by l.id) as story
    from (select id, naked_s from orders.trades order by naked_s desc limit 1) as t
    join orders.timeline l on l.trade_id = t.id group by t.id, t.naked_s
"""
_RECOVERED = "select count(*) from orders.trades where recovered_from is not null"


def figures(stack: Stack, ledger: Ledger, troubles: Counter[str], moves: Counter[str]) -> dict[str, Any]:
    """Count what there was, after the end."""
    found = asyncio.run(_counted(str(state_of(stack)["database_url"])))
    parts = state_of(stack)["parts"]
    found["requests"] = {"asked": len(ledger.asked), **dict(sorted(ledger.answers.items()))}
    found["moves"] = dict(sorted(moves.items()))
    found["troubles"] = {"made": troubles.total(), **dict(sorted(troubles.items()))}
    found["restarts"] = {name: part["restarts"] for name, part in parts.items() if part["restarts"]}
    found["errors logged"] = errors_logged(Layout(stack.data).logs_dir)
    return found


async def _counted(url: str) -> dict[str, Any]:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        found: dict[str, Any] = {}
        for name, query in _QUERIES.items():
            found[name] = {row["name"]: row["n"] for row in await connection.fetch(query)}
        naked = sorted(float(row["naked_s"]) for row in await connection.fetch(_NAKED))
        found["seconds naked"] = {
            "holdings": len(naked),
            "median": round(statistics.median(naked), 3) if naked else None,
            "max": naked[-1] if naked else None,
        }
        found["longest naked"] = [
            dict(row) | {"naked_s": float(row["naked_s"])} for row in await connection.fetch(_LONGEST)
        ]
        found["recovered trades"] = await connection.fetchval(_RECOVERED)
        return found
    finally:
        await connection.close()


def mistakes_logged(stack: Stack) -> list[str]:
    """List what the services logged as a mistake of their own: it may have ended well, the next time it need not."""
    logged = errors_logged(Layout(stack.data).logs_dir)
    return [f"{words} ×{times}" for words, times in logged.items() if words.split()[1] in MISTAKES]


def errors_logged(logs: Path) -> dict[str, int]:
    """Count what the services logged as an error, by service and event."""
    counted: Counter[str] = Counter()
    for path in sorted(logs.glob("*.log")):
        for line in path.read_bytes().splitlines():
            if b'"error"' not in line and b'"critical"' not in line:
                continue
            try:
                told = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if told.get("level") in ("error", "critical"):
                words = str(told.get("error") or told.get("reason") or "")
                counted[f"{path.stem} {told.get('event')} {words[:80]}".strip()] += 1
    return dict(counted.most_common(25))
