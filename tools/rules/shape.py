"""Rules about size and about tests: budgets, names, and waiting."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from tools.rules.source import Finding, Source, chain, own_nodes

PURE_LINES = 400
OTHER_LINES = 300
TEST_LINES = 500
FUNCTION_LINES = 60
PURE = re.compile(
    r"libs/market/.*|libs/broker/(base|reports|orders)\.py|libs/common/(errors|messages/.*|tables|ddl)\.py"
    r"|services/orders/(lifecycle|brackets|evidence|limits|plan|trade|protection|steps)\.py|services/pricing/(orats|context|indicators|quota)\.py"
    r"|services/monitor/(reconcile|incidents)\.py|services/forensics/(excursions|statistics|outcomes)\.py"
    r"|services/\w+/migrations/.*|simulator/(exchange|market)\.py|deploy/nats/.*"
)
GENERATED = frozenset({"libs/market/calendar.py"})
VAGUE = frozenset({"utils", "util", "helpers", "helper", "manager", "managers", "core", "misc", "common_utils"})
TODO = re.compile(r"#.*\bTODO\b(?!.*\bissue \d+)", re.I)


def budgets(source: Source) -> Iterator[Finding]:
    """Find files and functions too long to be read in one go."""
    if source.path in GENERATED:
        return
    lines = source.text.count("\n")
    most = TEST_LINES if source.is_test else PURE_LINES if PURE.fullmatch(source.path) else OTHER_LINES
    if lines > most:
        yield source.found(1, "budget", f"{lines} lines, {most} are the most: split by noun")
    for name, function in source.functions():
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > FUNCTION_LINES:
            yield source.found(function, "budget", f"{name} has {length} lines, {FUNCTION_LINES} are the most")


def no_vague_names(source: Source) -> Iterator[Finding]:
    """Find modules whose name says nothing."""
    parts = source.path.removesuffix(".py").split("/")
    if VAGUE & set(parts):
        yield source.found(1, "vague-name", f"{parts[-1]} says nothing; name it for its job")


def no_sleep_in_tests(source: Source) -> Iterator[Finding]:
    """Find tests that wait for time instead of for something."""
    if not source.is_test or "/bench/" in source.path:
        return
    for name, function in source.functions():
        if not name.rpartition(".")[2].startswith("test_"):
            continue
        for node in own_nodes(function):
            if isinstance(node, ast.Call) and chain(node.func)[-1:] == ["sleep"] and not _is_zero(node):
                yield source.found(node, "no-sleep", "wait with eventually(...), or move a ManualClock")


def todo_names_its_issue(source: Source) -> Iterator[Finding]:
    """Find work left to do that waits for nothing named."""
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT and TODO.search(token.string):
            yield source.found(token.start[0], "todo", "name the issue it waits for: `TODO(issue 7)`")


def _is_zero(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
