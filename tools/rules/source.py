"""A Python file under inspection and what a rule says of it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Finding:
    """One place where a rule is broken."""

    path: str
    line: int
    rule: str
    says: str

    def __str__(self) -> str:
        """Write it so that an editor can jump there."""
        return f"{self.path}:{self.line}: {self.rule}: {self.says}"


@dataclass(frozen=True)
class Source:
    """One file. `path` is relative to the project, with slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def name(self) -> str:
        """The module's own name."""
        return PurePosixPath(self.path).stem

    @cached_property
    def is_test(self) -> bool:
        """Whether it is part of the tests."""
        return self.path.startswith("tests/")

    @cached_property
    def docstrings(self) -> frozenset[int]:
        """The ids of the constants that are docstrings (or bare strings)."""
        return frozenset(
            id(node.value)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield (line, text) of every string that is code; of an f-string its constant parts joined by {}."""
        inside: set[int] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.JoinedStr):
                inside |= {id(part) for part in ast.walk(node) if part is not node}
                yield node.lineno, "".join(_part(part) for part in node.values)
        for node in ast.walk(self.tree):
            is_text = isinstance(node, ast.Constant) and id(node) not in inside and id(node) not in self.docstrings
            if is_text and isinstance(node.value, str):  # type: ignore[attr-defined]
                yield node.lineno, node.value  # type: ignore[attr-defined]

    def functions(self) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        """Yield every function with its dotted name inside the module."""
        yield from _functions(self.tree, "")

    def found(self, node: ast.AST | int, rule: str, says: str) -> Finding:
        """Make a finding at a node or line."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return Finding(self.path, line, rule, says)


Rule = Callable[[Source], Iterator[Finding]]


def chain(node: ast.AST) -> list[str]:
    """Return the names of `a.b.c` or `a.b().c` from left to right; anything else in it is left out."""
    names: list[str] = []
    while True:
        match node:
            case ast.Attribute(value=inner, attr=name):
                names.append(name)
                node = inner
            case ast.Call(func=inner) | ast.Subscript(value=inner) | ast.Await(value=inner):
                node = inner
            case ast.Name(id=name):
                return [name, *reversed(names)]
            case _:
                return list(reversed(names))


def calls(tree: ast.AST) -> Iterator[tuple[list[str], ast.Call]]:
    """Yield every call with the chain of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield chain(node.func), node


def own_nodes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """Yield what a function consists of without the functions inside it."""
    stack = list(ast.iter_child_nodes(function))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            stack.extend(ast.iter_child_nodes(node))


def _part(part: ast.expr) -> str:
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "{}"


def _functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name, node
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        else:
            yield from _functions(node, prefix)
