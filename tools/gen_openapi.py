"""Write web/openapi.json from the gateway's routes; with --check, fail when it is stale."""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from services.gateway import api

OUT = Path(__file__).parent.parent / "web" / "openapi.json"


def generated() -> bytes:
    """Return the document as it should be."""
    return orjson.dumps(api.document(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def main() -> int:
    """Write, or check."""
    document = generated()
    if "--check" in sys.argv[1:]:
        if not OUT.exists() or OUT.read_bytes() != document:
            sys.stderr.write("web/openapi.json is stale: run python -m tools.gen_openapi\n")
            return 1
        return 0
    OUT.write_bytes(document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
