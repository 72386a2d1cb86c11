"""The key that signs what bots may do: its seed is the gateway's alone, the server knows the public half. Pure.

Needs the standard library only, since secrets are drawn before anything is installed. Source: RFC 8032 §5.1 for the
curve, NATS ADR-14 and the nkeys package for how keys are written. Nothing is signed here.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

_SEED, _ACCOUNT = 18 << 3, 0
_P = 2**255 - 19
_D = -121665 * pow(121666, _P - 2, _P) % _P
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BASE = (_BASE_X, 4 * pow(5, _P - 2, _P) % _P)

Point = tuple[int, int]


def draw() -> str:
    """Draw the seed of an account's key."""
    return _written(bytes([_SEED | _ACCOUNT >> 5, (_ACCOUNT & 31) << 3]) + secrets.token_bytes(32))


def public_of(seed: str) -> str:
    """Return the public key of a seed. Raises: ValueError when it is no account's seed."""
    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    if len(raw) != 36 or raw[0] != _SEED or raw[1] != 0 or _written(raw[:-2]) != seed:
        message = "not the seed of an account's key: it begins with SA and has 58 characters"
        raise ValueError(message)
    return _written(bytes([_ACCOUNT]) + _public(raw[2:34]))


def _public(seed: bytes) -> bytes:
    """Multiply the base point by the seed's scalar and write the point. Source: RFC 8032 §5.1.5."""
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & ~7 & (2**254 - 1) | 2**254
    total, addend = (0, 1), _BASE
    while scalar:
        if scalar & 1:
            total = _added(total, addend)
        addend, scalar = _added(addend, addend), scalar >> 1
    x, y = total
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _added(one: Point, other: Point) -> Point:
    (x1, y1), (x2, y2) = one, other
    twist = _D * x1 * x2 * y1 * y2 % _P
    x = (x1 * y2 + x2 * y1) * pow(1 + twist, _P - 2, _P) % _P
    y = (y1 * y2 + x1 * x2) * pow(1 - twist, _P - 2, _P) % _P
    return x, y


def _written(raw: bytes) -> str:
    checksum = 0
    for byte in raw:
        checksum ^= byte << 8
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x1021 if checksum & 0x8000 else checksum << 1) & 0xFFFF
    return base64.b32encode(raw + checksum.to_bytes(2, "little")).rstrip(b"=").decode()
