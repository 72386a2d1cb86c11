"""Secrets at rest: encrypted, bound to the row they belong to, with keys that can be rotated."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from libs.common.errors import InvariantBroken


class Vault:
    """Seals and opens with the first of its keys; opens with any of them.

    The row's id is sealed in beside the secret: a ciphertext copied into another row does not open there.
    """

    def __init__(self, keys: Sequence[str] | str) -> None:
        """Take Fernet keys, a list or one comma-separated text. Raises: ValueError when one is not a key."""
        listed = keys.split(",") if isinstance(keys, str) else list(keys)
        stripped = [key.strip() for key in listed if key.strip()]
        if not stripped:
            message = "no encryption key"
            raise ValueError(message)
        each = [Fernet(key) for key in stripped]
        self._first, self._fernet = each[0], MultiFernet(each)

    def seal(self, plain: str, row: str) -> str:
        """Encrypt `plain` for `row`."""
        return self._fernet.encrypt(orjson.dumps([row, plain])).decode()

    def open(self, cipher: str, row: str) -> str:
        """Decrypt what was sealed for `row`. Raises: InvariantBroken for another row's, an altered or a foreign one."""
        try:
            sealed_for, plain = orjson.loads(self._fernet.decrypt(cipher.encode()))
        except InvalidToken:
            message = f"the secret of {row} cannot be opened with the keys at hand"
            raise InvariantBroken(message) from None
        if sealed_for != row:
            message = f"the secret in {row} was sealed for another row"
            raise InvariantBroken(message)
        return str(plain)

    def is_current(self, cipher: str) -> bool:
        """Say whether the first key sealed this; whose it is and whether it is whole is not asked."""
        try:
            self._first.decrypt(cipher.encode())
        except InvalidToken:
            return False
        return True

    def rotate(self, cipher: str, row: str) -> str:
        """Encrypt again with the first key. Raises: InvariantBroken as `open` does."""
        self.open(cipher, row)
        return self._fernet.rotate(cipher.encode()).decode()


def new_key() -> str:
    """Make a key."""
    return Fernet.generate_key().decode()
