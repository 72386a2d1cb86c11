"""Answers of every length and form, and the exact bytes that are asked with."""

import asyncio
import gzip
import ssl
import zlib
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from libs.common import http_wire
from libs.common.errors import OutcomeUnknown, UpstreamUnavailable
from libs.common.http import Answer, Call, HttpClient
from tests.contract.raw import OK, Serve, call, request_of, server, status

LONG = b"".join(b"%d," % n for n in range(1_200_000))


def answering(*parts: bytes, is_end: bool = False) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_of(reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
            if is_end:
                return

    return serve


def of(body: bytes, encoding: str = "") -> bytes:
    coded = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    return f"HTTP/1.1 200 OK\r\n{coded}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("serve", "body"),
    [
        (answering(of(LONG)), LONG),
        (answering(chunked(LONG, 10_000)), LONG),
        (answering(of(gzip.compress(LONG, 1), "gzip")), LONG),
        (answering(of(zlib.compress(LONG, 1), "deflate")), LONG),
        (answering(b"HTTP/1.1 200 OK\r\n\r\n", LONG, is_end=True), LONG),
        (answering(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n", of(b"{}")), b"{}"),
        (answering(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", b"{}", is_end=True), b"{}"),
        (answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", is_end=True), b"{}"),
        (answering(b"HTTP/1.1 204 No Content\r\n\r\n"), b""),
        (answering(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 30_000 + b"\r\nContent-Length: 2\r\n\r\n{}"), b"{}"),
    ],
    ids=["long", "chunked", "gzip", "deflate", "until the end", "interim", "1.0", "closing", "empty", "long header"],
)
async def test_an_answer_is_read_whole_and_the_next_one_too(serve: Serve, body: bytes) -> None:
    async with server(serve) as base, HttpClient(max_connections=1) as client:
        for _ in range(3):
            assert await client.read(call(base, "GET"), lambda answer: answer.body == body, deadline_s=10.0)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"
        + gzip.compress(b"{}", mtime=0)[:12]
        + b"{" * 8,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n{}",
        b"\x16\x03\x01\x00\xa5",
    ],
)
async def test_an_answer_that_is_none_is_unknown_and_ends_its_connection(said: bytes) -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while True:
            await request_of(reader)
            asked += 1
            if asked > 1:
                writer.write(OK)
                continue
            writer.write(said)
            if said.endswith((b"{}", b"\r\n")):
                return

    async with server(serve) as base, HttpClient(max_connections=1) as client:
        with pytest.raises(OutcomeUnknown):
            await client.write(call(base), status, deadline_s=2.0)
        assert await client.write(call(base), status, deadline_s=2.0) == 200
    assert asked == 2


async def test_what_follows_an_answer_is_not_the_next_one() -> None:
    first = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        while True:
            await request_of(reader)
            writer.write(OK + b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}" if first else OK)
            first = False

    async with server(serve) as base, HttpClient(max_connections=1) as client:
        for _ in range(3):
            assert await client.write(call(base), status, deadline_s=2.0) == 200


async def test_headers_are_found_however_they_are_written() -> None:
    said = b"HTTP/1.1 200 OK\r\nX-RateLimit-Allowed: 60\r\nretry-AFTER: 7\r\nContent-Length: 2\r\n\r\n{}"
    seen: list[Answer] = []
    async with server(answering(said)) as base, HttpClient() as client:
        await client.read(call(base, "GET"), seen.append, deadline_s=2.0)
    assert seen[0].headers["x-ratelimit-allowed"] == "60"
    assert seen[0].headers.get("Retry-After") == "7"


FORM = {"class": "oco", "option_symbol[0]": "SPY1", "price": "1.0", "x": "a b&c=é/+"}
WRITTEN = [
    (
        Call("GET", "/quotes", "q", query={"symbols": "SPY,BRK/B,$SPX.X,A B,é", "greeks": "true"}),
        "GET /quotes?symbols=SPY%2CBRK%2FB%2C%24SPX.X%2CA+B%2C%C3%A9&greeks=true",
        "",
        "",
    ),
    (Call("GET", "/a/BRK%2FB/x y/%e9/é/b:c@d!$&'()*,;=~", "q", query={}), None, "", ""),
    (Call("GET", "", "q"), "GET /", "", ""),
    (
        Call("POST", "/orders", "q", form=FORM),
        "POST /orders",
        "application/x-www-form-urlencoded",
        "class=oco&option_symbol%5B0%5D=SPY1&price=1.0&x=a+b%26c%3D%C3%A9%2F%2B",
    ),
    (Call("POST", "/orders", "q", form={}), "POST /orders", "", ""),
    (Call("POST", "/orders", "q", json={"a": 1.5, "b": "é"}), "POST /orders", "application/json", '{"a":1.5,"b":"é"}'),
    (Call("DELETE", "/orders/1", "q"), "DELETE /orders/1", "", ""),
]


@pytest.mark.parametrize(("asked", "line", "kind", "body"), WRITTEN)
async def test_a_call_is_written_byte_by_byte_as_it_always_was(
    asked: Call, line: str | None, kind: str, body: str
) -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await request_of(reader))
        writer.write(OK)

    async with server(serve) as base, HttpClient() as client:
        named = Call(asked.method, base + asked.url, "q", {"Accept": "a/b"}, asked.query, asked.form, asked.json)
        await client.read(named, status, deadline_s=2.0)
    head, _, written = heard[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(one.lower().split(": ", 1) for one in lines)
    assert first == f"{line or 'GET /a/BRK%2FB/x%20y/%e9/%C3%A9/b:c@d!$&' + chr(39) + '()*,;=~'} HTTP/1.1"
    assert written.decode() == body
    assert headers.get("content-type", "") == kind
    assert headers.get("content-length", "0") == str(len(written))
    assert (headers["host"], headers["accept"]) == (base.removeprefix("http://"), "a/b")
    assert headers["accept-encoding"] == "gzip, deflate"
    assert not headers.keys() & {"cookie", "transfer-encoding", "expect", "authorization"}


@pytest.mark.parametrize(
    "url", ["http://", "ftp://127.0.0.1/", "127.0.0.1/x", "http://127.0.0.1:99999/", "http://[::1/"]
)
async def test_an_address_that_is_none_is_proven_not_sent(url: str) -> None:
    async with HttpClient() as client:
        with pytest.raises(UpstreamUnavailable) as ended:
            await client.write(Call("POST", url, "place order"), status, deadline_s=1.0)
    assert "127" not in str(ended.value)


async def test_a_server_that_nobody_vouches_for_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setattr(http_wire, "_tls", http_wire._tls.__wrapped__)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    async with listening, HttpClient() as client:
        with pytest.raises(UpstreamUnavailable):
            await client.write(call(f"https://127.0.0.1:{port}"), status, deadline_s=5.0)
    assert heard == []


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path
