"""Whether the tables are those this code was written for: a service waits for its migrations, never the other way."""

from __future__ import annotations

import asyncio
import re

from libs.common import log
from libs.common.db import Database
from libs.common.errors import AppError, UpstreamUnavailable
from libs.common.migrate import VERSION_TABLE, head_of, versions_dir

_log = log.get(__name__)

WAIT_S = 0.5


async def schema_reached(db: Database, *, wait_s: float = WAIT_S) -> None:
    """Wait until PostgreSQL answers and the service's schema has every migration this code knows. Units: seconds.

    A schema that is ahead is taken: migrations expand first, so older code goes on beside newer tables.
    """
    await db.reached()
    told = False
    while (behind := await _missing(db)) is not None:
        if not told:
            _log.warning("schema_is_behind", at=behind, wanted=head_of(db.service))
            told = True
        await asyncio.sleep(wait_s)


async def _missing(db: Database) -> str | None:
    """Name the version the schema is at when it is behind this code, None when it is not."""
    head = head_of(db.service)
    if head is None:
        return None
    try:
        async with db.for_worker() as unit:
            found = await unit.fetch(f"select version_num from {db.service}.{VERSION_TABLE}")  # noqa: S608
    except UpstreamUnavailable as error:
        return error.detail
    except AppError:
        # The door or the table is not there yet.
        return "nothing"
    version = str(found[0][0]) if found else "nothing"
    return version if version != head and version in (*_known(db.service), "nothing") else None


def _known(service: str) -> list[str]:
    texts = (file.read_text(encoding="utf-8") for file in versions_dir(service).glob("[0-9]*.py"))
    return [name for text in texts for name in re.findall(r"^revision\b[^=\n]*=\s*[\"']([^\"']+)", text, re.M)]
