"""Exports: every page of a list asked one after the other and streamed as CSV or JSON.

A spreadsheet runs a cell that begins like a formula, so such texts are written with an apostrophe before them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import Response
from starlette.types import Receive, Scope, Send

from libs.common import log
from libs.common.errors import AppError
from services.gateway.models_account import Execution
from services.gateway.models_trades import ExportFormat, Targets, Trade

if TYPE_CHECKING:
    from libs.common.messages.monitor import ListExecutions
    from libs.common.messages.orders import ExportTrades
    from services.gateway.caller import Caller

    Paged = ExportTrades | ListExecutions

_log = log.get(__name__)

DECLARED: dict[str, Any] = {
    "description": "The whole list as a file",
    "content": {"text/csv": {"schema": {"type": "string"}}, "application/json": {"schema": {"type": "object"}}},
}

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


@dataclass(frozen=True)
class Sheet:
    """A list that can be exported: its name in answers and its columns in a file."""

    name: str
    columns: tuple[str, ...]


_TARGETS = tuple(name for name in Targets.model_fields if name != "computed_at")
TRADES = Sheet(
    "trades",
    (*(name for name in Trade.model_fields if name != "targets"), *_TARGETS, "labels_computed_at", "context"),
)
EXECUTIONS = Sheet("executions", tuple(Execution.model_fields))


async def stream(caller: Caller, sheet: Sheet, first: Paged, written_as: ExportFormat) -> Response:
    """Answer all pages as one file. The first page is asked before the answer begins, so its errors are answers.

    Raises: AppError. A later page that fails breaks the connection, so that a part is never taken for the whole.
    """
    pages = _pages(caller, sheet, first)
    begun = await anext(pages)
    body, media_type = (
        (_csv(sheet, begun, pages), "text/csv; charset=utf-8")
        if written_as is ExportFormat.CSV
        else (_json(sheet, begun, pages), "application/json")
    )
    disposition = f'attachment; filename="bookend-{sheet.name}.{written_as.value}"'
    return Export(body, headers={"Content-Disposition": disposition, "Content-Type": media_type})


class Export(Response):
    """An answer written page by page. One that cannot be finished is cut, so that nobody takes it for the whole."""

    def __init__(self, parts: AsyncIterator[bytes], headers: dict[str, str]) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the last page; after an error the server cuts a connection whose answer is not complete."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for part in self._parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except AppError as error:
            _log.warning("export_cut", reason=error.detail)
            return
        await send({"type": "http.response.body", "body": b""})


async def _pages(caller: Caller, sheet: Sheet, first: Paged) -> AsyncIterator[list[dict[str, Any]]]:
    question = first
    while True:
        reply = await caller.deps.bus.ask(question, user=caller.username)
        page = orjson.loads(reply.body)
        yield page[sheet.name]
        if page.get("next_cursor") is None:
            return
        question = question.model_copy(update={"cursor": page["next_cursor"]})


async def _json(
    sheet: Sheet, begun: list[dict[str, Any]], rest: AsyncIterator[list[dict[str, Any]]]
) -> AsyncIterator[bytes]:
    yield b'{"%s":[' % sheet.name.encode()
    yield b",".join(map(orjson.dumps, begun))
    empty = not begun
    async for page in rest:
        yield (b"" if empty or not page else b",") + b",".join(map(orjson.dumps, page))
        empty = empty and not page
    yield b"]}"


async def _csv(
    sheet: Sheet, begun: list[dict[str, Any]], rest: AsyncIterator[list[dict[str, Any]]]
) -> AsyncIterator[bytes]:
    yield lines([sheet.columns])
    yield lines(cells(sheet, row) for row in begun)
    async for page in rest:
        yield lines(cells(sheet, row) for row in page)


def lines(rows: Iterable[Iterable[str]]) -> bytes:
    """Write rows of safe cells as CSV. Source: RFC 4180."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def cells(sheet: Sheet, row: dict[str, Any]) -> list[str]:
    """Return a row's cells in the sheet's order, targets flattened."""
    targets = row.get("targets") or {}
    flat = {**row, **{name: targets.get(name) for name in _TARGETS}, "labels_computed_at": targets.get("computed_at")}
    return [cell(flat.get(column)) for column in sheet.columns]


def cell(value: Any) -> str:
    """Write one value so that no spreadsheet takes it for a formula; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    text = str(value)
    if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text
