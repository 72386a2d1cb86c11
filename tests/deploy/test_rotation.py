"""Rotation of the key to the tokens: cut off anywhere and run again, it ends with one new key and every token open."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.keyring import encryption_keys, open_keyring
from deploy.local.layout import Layout
from deploy.local.problem import StackProblem
from deploy.local.rotation import Rotation
from libs.common.vault import Vault

ROW = "PAPER:VA00000001"


class Killed(Exception):
    """The rotation's process is gone."""


class Desk:
    """Two processes that open tokens, and the stored tokens, with a kill at the n-th thing that happens."""

    def __init__(self, data_dir: Path) -> None:
        self.layout = Layout(data_dir)
        self.layout.prepare()
        first = Vault(open_keyring(self.layout).encryption_key)
        self.rows = {ROW: first.seal("one", ROW), "PAPER:VA00000002": first.seal("two", "PAPER:VA00000002")}
        self.processes = [first, first]
        self.said: list[str] = []
        self.kill_at: int | None = None
        self._happened = 0

    def happens(self) -> None:
        """Check that whatever is stored opens everywhere, and die here when it is time."""
        for vault in (*self.processes, Vault(open_keyring(self.layout).encryption_key)):
            assert [vault.open(cipher, row) for row, cipher in self.rows.items()] == ["one", "two"]
        self._happened += 1
        if self._happened == self.kill_at:
            raise Killed

    def restart(self) -> None:
        for number in range(len(self.processes)):
            self.happens()
            self.processes[number] = Vault(open_keyring(self.layout).encryption_key)
            # Whoever runs goes on storing tokens.
            self.rows[ROW] = self.processes[number].seal("one", ROW)
        self.happens()

    def reseal(self) -> str:
        vault = Vault(open_keyring(self.layout).encryption_key)
        for row, cipher in self.rows.items():
            self.happens()
            self.rows[row] = vault.rotate(cipher, row)
        self.happens()
        return f"{len(self.rows)} tokens sealed again"

    def rotate(self) -> None:
        Rotation(self.layout, self.restart, self.reseal, self.said.append).run()


@pytest.mark.parametrize("kill_at", range(1, 10))
def test_a_rotation_that_is_killed_anywhere_is_finished_by_the_next_and_no_token_is_ever_shut(
    tmp_path: Path, kill_at: int
) -> None:
    desk = Desk(tmp_path)
    old = encryption_keys(desk.layout)
    desk.kill_at = kill_at
    with pytest.raises(Killed):
        desk.rotate()
    desk.kill_at = None
    desk.rotate()
    (new,) = encryption_keys(desk.layout)
    assert new not in old
    assert [Vault(new).open(cipher, row) for row, cipher in desk.rows.items()] == ["one", "two"]


def test_killed_while_the_old_key_is_needed_the_next_draws_no_third(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.kill_at = 5
    with pytest.raises(Killed):
        desk.rotate()
    drawn = encryption_keys(desk.layout)
    assert len(drawn) == 2
    desk.kill_at = None
    desk.rotate()
    assert encryption_keys(desk.layout) == drawn[:1]
    assert "going on with a rotation that was cut off" in desk.said


def test_twice_in_a_row_draws_two_keys_and_loses_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    seen = [encryption_keys(desk.layout)]
    for _ in range(2):
        desk.rotate()
        seen.append(encryption_keys(desk.layout))
    assert [len(keys) for keys in seen] == [1, 1, 1]
    assert len({keys[0] for keys in seen}) == 3


def test_what_cannot_be_sealed_again_keeps_both_keys(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    def refused() -> str:
        raise StackProblem("rotate-keys", "the database does not answer; both keys stay", "run it again")

    with pytest.raises(StackProblem, match="both keys stay"):
        Rotation(desk.layout, desk.restart, refused, desk.said.append).run()
    assert len(encryption_keys(desk.layout)) == 2
    desk.rotate()
    assert len(encryption_keys(desk.layout)) == 1


def test_two_rotations_at_once_are_one_and_a_refusal(tmp_path: Path) -> None:
    desk = Desk(tmp_path)

    def another() -> str:
        with pytest.raises(StackProblem, match="another rotation"):
            desk.rotate()
        return "done"

    Rotation(desk.layout, lambda: None, another, desk.said.append).run()


def test_the_keyring_stays_its_owners_only_and_keeps_every_other_secret(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    before = open_keyring(desk.layout)
    desk.rotate()
    after = open_keyring(desk.layout)
    assert desk.layout.secrets_file.stat().st_mode & 0o077 == 0
    assert (after.database_passwords, after.nats_passwords) == (before.database_passwords, before.nats_passwords)
