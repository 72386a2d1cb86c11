"""Rules about money and about a trade's state."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tools.rules.source import Finding, Source, calls, chain

MONEY = frozenset(
    {
        "price", "prices", "cost", "pnl", "premium", "cash", "balance", "usd", "amount", "fee", "fees", "commission",
        "strike", "bid", "ask", "mark", "equity", "liquidation", "proceeds", "basis",
    }
)  # fmt: skip
"""Words that make a name money."""

GREEKS = frozenset({"iv", "delta", "gamma", "theta", "vega"})

FLOAT_HOMES = re.compile(
    r"simulator/.*|tests/.*|tools/.*|deploy/.*|services/pricing/(indicators|greeks|smile)\.py|libs/market/greeks\.py"
)
"""Where numbers are physics, not money: the simulated market, Greeks and indicators."""

STATE_WORDS = frozenset({"status", "protection", "close_reason"})
STATE_HOMES = frozenset(f"services/orders/{name}.py" for name in ("lifecycle", "merging", "protection"))


def no_float_money(source: Source) -> Iterator[Finding]:
    """Find money that is a float: it is Decimal from end to end."""
    if FLOAT_HOMES.fullmatch(source.path):
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.AnnAssign(target=target, annotation=annotation):
                name = (chain(target) or [""])[-1]
            case ast.arg(arg=name, annotation=annotation):
                pass
            case ast.FunctionDef(name=name, returns=annotation) | ast.AsyncFunctionDef(name=name, returns=annotation):
                pass
            case ast.Call(func=ast.Name(id="float"), args=[argument]):
                name, annotation = (chain(argument) or [""])[-1], ast.Name("float")
            case _:
                continue
        if annotation is not None and _is_money(name) and _says_float(annotation):
            yield source.found(node, "no-float-money", f"{name} is money and may not be a float")


def state_only_in_the_lifecycle(source: Source) -> Iterator[Finding]:
    """Find a trade's state being changed outside the lifecycle."""
    if source.path in STATE_HOMES or not source.path.startswith("services/orders/"):
        return
    if source.name.startswith("store") or "migrations" in source.path:
        return
    for names, call in calls(source.tree):
        if names[-1:] in (["replace"], ["_replace"]):
            for keyword in call.keywords:
                if keyword.arg in STATE_WORDS:
                    yield source.found(call, "state-home", f"{keyword.arg} is set by lifecycle.py only")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in STATE_WORDS:
                    yield source.found(node, "state-home", f"{target.attr} is set by lifecycle.py only")


def _is_money(name: str) -> bool:
    words = name.lower().split("_")
    # `bid_count` or `price_age_s` counts something else than money.
    return bool(MONEY & set(words)) and words[-1] not in {"s", "count", "pct", "ratio", "age", "at", "id", *GREEKS}


def _says_float(annotation: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "float" for node in ast.walk(annotation))
