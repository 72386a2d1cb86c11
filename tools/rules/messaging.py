"""Rules about the bus: subjects belong to their classes, the library to two modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tools.rules.source import Finding, Source, chain, own_nodes

_SUBJECT = re.compile(r"^(cmd|qry|evt|tick|dead|wake|signals)\.(\{|\*|>|[a-z_]+(\.|$))")
SUBJECT_HOMES = ("libs/common/messages/", "deploy/nats/", "tests/", "tools/", "simulator/")

NATS_HOMES = frozenset({"libs/common/link.py", "libs/common/streams.py"})
SQLALCHEMY_HOMES = re.compile(
    r"libs/common/(db|unit|driver|pool|outbox|outbox_rows|inbox|jobs|job_rows|tables|ddl|migrate|db_errors|roles|testing)\.py"
    r"|libs/common/migration_env/.*|services/\w+/(tables\w*|store\w*|rows)\.py|services/\w+/migrations/.*"
)
TASK_MAKERS = frozenset({"create_task", "ensure_future"})
TASK_OWNERS = frozenset({"asyncio", "loop"})
TASK_HOMES = frozenset({"libs/common/waiting.py"})


def no_raw_subject(source: Source) -> Iterator[Finding]:
    """Find subjects written as strings: their classes know them."""
    if source.path.startswith(SUBJECT_HOMES):
        return
    for line, text in source.texts():
        if _SUBJECT.match(text):
            yield source.found(line, "no-raw-subject", f"{text!r} is a subject; ask the message class for it")


def libraries_at_home(source: Source) -> Iterator[Finding]:
    """Find `nats` outside link and streams, and `sqlalchemy` outside tables, stores and the chassis' storage."""
    if source.path.startswith(("tests/", "deploy/", "tools/", "simulator/")):
        return
    for node in ast.walk(source.tree):
        for module in _imported(node):
            root = module.split(".")[0]
            if root == "nats" and source.path not in NATS_HOMES:
                yield source.found(node, "library-home", "nats is imported by link.py and streams.py only")
            if root in {"sqlalchemy", "asyncpg"} and not SQLALCHEMY_HOMES.fullmatch(source.path):
                says = f"{root} belongs into tables, stores and the chassis' storage"
                yield source.found(node, "library-home", says)


def no_bare_task(source: Source) -> Iterator[Finding]:
    """Find tasks that neither a group waits for nor their maker ends: they die unseen."""
    if source.is_test or source.path in TASK_HOMES or source.path.startswith(("deploy/", "simulator/")):
        return
    for _, function in source.functions():
        nodes = list(own_nodes(function))
        ended = {chain(node.func)[0] for node in nodes if isinstance(node, ast.Call) and _cancels(node)}
        ended |= {node.value.id for node in nodes if isinstance(node, ast.Await) and isinstance(node.value, ast.Name)}
        held = {id(node.value) for node in nodes if isinstance(node, ast.Assign) and _name_of(node) in ended}
        for node in nodes:
            if isinstance(node, ast.Call) and id(node) not in held and _makes_task(node):
                yield source.found(node, "no-bare-task", "use a TaskGroup: a task made here outlives whoever made it")


def _makes_task(call: ast.Call) -> bool:
    names = chain(call.func)
    return len(names) > 1 and names[-1] in TASK_MAKERS and names[0] in TASK_OWNERS


def _cancels(call: ast.Call) -> bool:
    names = chain(call.func)
    return len(names) == 2 and names[1] == "cancel"


def _name_of(assignment: ast.Assign) -> str:
    target = assignment.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module]
        case _:
            return []
