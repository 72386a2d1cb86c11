"""The key that signs for bots: drawn without any package, and the same to the package that signs with it."""

from __future__ import annotations

from datetime import UTC, datetime

import nkeys
import orjson
import pytest

from deploy.compose.secrets import drawn
from deploy.nats import issuer
from libs.common.errors import PoisonMessage
from services.gateway import bottokens
from services.gateway.bottokens import Asked, Issuer

ASKED = Asked("NSERVER", 7, "UCONNECTION", "ann.scan", "bk_secret")


def test_a_drawn_seed_has_the_public_key_that_signatures_are_checked_by() -> None:
    for seed in (issuer.draw() for _ in range(8)):
        assert nkeys.from_seed(seed.encode()).public_key.decode() == issuer.public_of(seed) == Issuer(seed).public


def test_compose_gets_both_halves_of_one_key() -> None:
    secrets = drawn()
    assert issuer.public_of(secrets["BOTS_ISSUER_SEED"]) == secrets["BOTS_ISSUER"]


@pytest.mark.parametrize(
    "wrong",
    ["", "SA", "x" * 58, "SU" + "A" * 56, issuer.draw()[:-1] + "?", issuer.draw().lower()],
    ids=["nothing", "short", "no letters", "a user's", "a wrong letter", "small letters"],
)
def test_what_is_no_seed_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        issuer.public_of(wrong)
    with pytest.raises(ValueError, match=r".+"):
        Issuer(wrong)


def claims(token: bytes) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(bottokens._decoded(token.split(b".")[1]))
    return found


def test_an_answer_fits_one_connection_at_one_server_and_grants_one_bots_rights() -> None:
    seed = issuer.draw()
    answer = Issuer(seed).granted(ASKED, "ann", "scan", datetime.now(UTC))
    said = claims(answer)
    assert (said["sub"], said["aud"], said["iss"]) == ("UCONNECTION", "NSERVER", issuer.public_of(seed))
    granted = claims(said["nats"]["jwt"].encode())  # type: ignore[index]
    assert (granted["sub"], granted["aud"]) == ("UCONNECTION", "BOTS")
    assert granted["nats"]["pub"] == {"allow": ["signals.ann.scan"]}  # type: ignore[index]
    assert b"bk_secret" not in answer
    assert "bk_secret" not in repr(ASKED)


@pytest.mark.parametrize("raw", [b"", b"a", b"a.b.c", b"a.e30.c", b"a.bnVsbA.c", b"\xff.\xff.\xff"])
def test_what_is_no_question_is_not_read(raw: bytes) -> None:
    with pytest.raises(PoisonMessage):
        bottokens.read(raw)
