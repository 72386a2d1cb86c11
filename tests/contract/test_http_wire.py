"""Answers in every shape that HTTP/1.1 has for them, over real sockets, and connections that end."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from libs.common.errors import UpstreamUnavailable
from libs.common.http import Answer, Call, HttpClient
from libs.common.http_wire import Wire
from tests.contract.test_http_outcomes import OK, request_of, server

BODY = b'{"orders":"null"}'
ZIPPED = gzip.compress(BODY)


def whole(answer: Answer) -> bytes:
    return answer.body


async def read(base: str, client: HttpClient, body: object = None) -> bytes:
    call = Call("GET" if body is None else "POST", f"{base}/v1/x", "x", query={"a": "b c"}, json=body)
    return await client.read(call, whole, deadline_s=5.0, repeats=0)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n" + BODY,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n" + BODY,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"
        + BODY[:5]
        + b"\r\nc\r\n"
        + BODY[5:]
        + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(ZIPPED), ZIPPED),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    ],
)
async def test_an_answer_is_read_in_whatever_shape_and_pieces_it_comes(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert (await request_of(reader)).startswith(b"GET /v1/x?a=b+c HTTP/1.1\r\n")
        for place in range(0, len(said), 7):
            writer.write(said[place : place + 7])
            await writer.drain()

    async with server(answer) as base, HttpClient() as client:
        assert await read(base, client) == BODY


@pytest.mark.parametrize("more", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", b"rubbish"])
async def test_what_was_not_asked_for_is_never_taken_for_the_next_answer(more: bytes) -> None:
    opened = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while True:
            await request_of(reader)
            writer.write(OK + more)
            await writer.drain()

    async with server(answer) as base, HttpClient() as client:
        for count in (1, 2):
            assert await read(base, client) == b"{}"
            assert opened == count


async def test_requests_at_once_go_over_connections_of_their_own_and_those_are_used_again() -> None:
    opened = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while True:
            sent = await request_of(reader)
            body = sent.partition(b"\r\n\r\n")[2]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()

    async with server(answer) as base, HttpClient(max_connections=3) as client:
        for _ in range(3):
            found = await asyncio.gather(*(read(base, client, number) for number in range(9)))
            assert found == [str(number).encode() for number in range(9)]
        assert opened == 3


@asynccontextmanager
async def sealed_server(folder: Path) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """Answer over TLS as 127.0.0.1; yields the address and a context that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker.test")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    file = folder / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(secret + certificate)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(file)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await request_of(reader)
                writer.write(OK)
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=ours)
    async with listening:
        trusting = ssl.create_default_context(cadata=certificate.decode())
        yield f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}", trusting


async def test_a_certificate_is_checked_and_a_sealed_connection_is_used_again(tmp_path: Path) -> None:
    async with sealed_server(tmp_path) as (base, trusting):
        wire = Wire(max_connections=2, connect_timeout_s=3.0, keepalive_s=30.0, context=trusting)
        async with HttpClient(transport=wire) as client:
            assert [await read(base, client) for _ in range(3)] == [b"{}"] * 3
        async with HttpClient() as stranger:
            call = Call("POST", base, "place order", form={"a": "1"})
            with pytest.raises(UpstreamUnavailable, match="could not connect"):
                await stranger.write(call, whole, deadline_s=3.0)


async def test_an_address_that_is_none_of_http_is_refused() -> None:
    async with HttpClient() as client:
        with pytest.raises(UpstreamUnavailable, match="UnsupportedProtocol"):
            await client.read(Call("GET", "ftp://127.0.0.1/x", "x"), whole, deadline_s=1.0, repeats=0)
