"""Sealing every stored token with a new key, while they are used and renewed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from libs.common.messages.vocabulary import BrokerMode
from libs.common.vault import Vault, new_key
from services.orders import admin, counting, credentials
from tests.integration.orders.house import KEY, House

pytestmark = pytest.mark.integration

ROWS = 2 * admin.BATCH + 7


async def stored(house: House) -> Mapping[str, str]:
    async with house.admin() as connection:
        found = await connection.fetch("select account_key, token_ciphertext from orders.credentials")
    return {row["account_key"]: row["token_ciphertext"] for row in found if row["token_ciphertext"]}


async def many(house: House) -> None:
    for number in range(ROWS):
        account = credentials.new_account(house.user, BrokerMode.TRADIER_SANDBOX, f"VA{number:08d}", None)
        await credentials.kept(house.deps, account, f"token-{number}", via=None)


async def test_every_token_is_sealed_again_once_and_a_second_run_finds_nothing_to_do(house: House) -> None:
    await many(house)
    new = new_key()
    both, only = Vault(f"{new},{KEY}"), Vault(new)
    before = await stored(house)
    told = await admin.reseal(house.db, both)
    assert (told.done, told.current, told.left, told.unreadable) == (len(before), 0, 0, [])
    after = await stored(house)
    assert {key: only.open(cipher, key) for key, cipher in after.items()} == {
        key: Vault(KEY).open(cipher, key) for key, cipher in before.items()
    }
    again = await admin.reseal(house.db, both)
    assert (again.done, again.current) == (0, len(before))
    assert await stored(house) == after


async def test_a_token_renewed_meanwhile_stays_the_renewed_one_and_one_taken_away_stays_away(house: House) -> None:
    await many(house)
    new = new_key()

    class Busy(Vault):
        """Its user renews one token and takes another away while it is being sealed again."""

        seen = 0

        def rotate(self, cipher: str, row: str) -> str:
            Busy.seen += 1
            return super().rotate(cipher, row)

    both = Busy(f"{new},{KEY}")
    sealed = both.seal("renewed", "TRADIER_SANDBOX:VA00000003")
    async with house.admin() as connection:
        # As the renewal commits between the sweep's read and its write: the ciphertext is another by then.
        await connection.execute(
            "create function orders.meanwhile() returns trigger language plpgsql as $$ begin "
            f"if new.account_key = 'TRADIER_SANDBOX:VA00000003' then new.token_ciphertext := '{sealed}'; end if; "
            "return new; end $$"
        )
        await connection.execute(
            "create trigger meanwhile before update on orders.credentials "
            "for each row execute function orders.meanwhile()"
        )
    try:
        told = await admin.reseal(house.db, both)
    finally:
        async with house.admin() as connection:
            await connection.execute("drop trigger meanwhile on orders.credentials")
            await connection.execute("drop function orders.meanwhile()")
    assert told.left == 0
    after = await stored(house)
    assert Vault(new).open(after["TRADIER_SANDBOX:VA00000003"], "TRADIER_SANDBOX:VA00000003") == "renewed"


async def test_a_token_that_no_key_opens_is_named_and_left_as_it_is(house: House) -> None:
    key = f"PAPER:{house.account_id}"
    foreign = Vault(new_key()).seal("x", key)
    async with house.admin() as connection:
        await connection.execute("update orders.credentials set token_ciphertext = $1", foreign)
    assert await counting.unreadable(house.deps) == 1
    told = await admin.reseal(house.db, Vault(f"{new_key()},{KEY}"))
    assert (told.done, told.left, told.unreadable) == (0, 0, [key])
    assert (await stored(house))[key] == foreign
