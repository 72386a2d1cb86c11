"""The page: its files, its own paths, and nothing outside its folder."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from libs.common.web import answer_problems
from services.gateway.page import page_or_nothing


def browser(root: Path) -> httpx.AsyncClient:
    app = Starlette()
    app.router.default = page_or_nothing(root)
    answer_problems(app)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    root = tmp_path / "dist"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text("<title>Bookend</title>")
    (root / "assets" / "index-abc123.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    return root


async def test_the_pages_own_paths_are_the_page_and_always_fresh(built: Path) -> None:
    async with browser(built) as client:
        for path in ("/", "/history", "/trades/t1", "/index.html"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache"), path
            assert "Bookend" in answer.text


async def test_hashed_assets_are_kept_for_good(built: Path) -> None:
    async with browser(built) as client:
        answer = await client.get("/assets/index-abc123.js")
        assert "immutable" in answer.headers["cache-control"]
        again = await client.get("/assets/index-abc123.js", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "/assets/missing.js",
        "/api/nothing",
        "/api",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%2f..%2fsecret.txt",
    ],
)
async def test_what_is_not_there_is_a_problem_and_never_the_page_or_another_file(built: Path, path: str) -> None:
    async with browser(built) as client:
        answer = await client.get(path)
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
        assert "secret" not in answer.text.replace("secret.txt", "")


async def test_without_a_built_page_the_answer_says_so(tmp_path: Path) -> None:
    async with browser(tmp_path / "nothing") as client:
        answer = await client.get("/")
        assert answer.status_code == 404
        assert "not built" in answer.json()["detail"]
