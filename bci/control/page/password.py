"""A password of the page is kept as a salted hash (scrypt, RFC 7914), never as the word itself."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from bci.errors import ConfigError
from bci.io.files.regular import read_text

#: Cost of one try: some 50 ms and 16 MB.
_N, _R, _P = 2**14, 8, 1

#: The shortest password that is taken.
SHORTEST = 8


class PasswordHash:
    """What a password file holds: ``scrypt:salt:hash``, in hexadecimal digits.

    Parameters
    ----------
    salt, digest : bytes
        Of the password.
    """

    def __init__(self, salt: bytes, digest: bytes) -> None:
        self._salt, self._digest = salt, digest

    @classmethod
    def of(cls, password: str) -> "PasswordHash":
        """Return that of a new password.

        Raises
        ------
        ConfigError
            If it is too short.
        """
        if len(password) < SHORTEST:
            raise ConfigError(f"expected a password of at least {SHORTEST} characters, {len(password)} came.")
        salt = secrets.token_bytes(16)
        return cls(salt, _hash(password, salt))

    @classmethod
    def read(cls, path: Path) -> "PasswordHash":
        """Read a password file.

        Raises
        ------
        ConfigError
            If it cannot be read, or is no such file.
        """
        text = read_text(
            path, lambda words: ConfigError(f"cannot read the page's password file: {words}"), largest=4096
        )
        kind, _, rest = text.strip().partition(":")
        salt, _, digest = rest.partition(":")
        try:
            if kind != "scrypt" or not salt or not digest:
                raise ValueError
            return cls(bytes.fromhex(salt), bytes.fromhex(digest))
        except ValueError:
            raise ConfigError(
                f"{path} is no password file of the page. Make one: bci page --make-password {path}"
            ) from None

    def write(self, path: Path) -> None:
        """Write a password file that its owner alone can read."""
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"scrypt:{self._salt.hex()}:{self._digest.hex()}\n")

    def matches(self, password: str) -> bool:
        """Return whether a password is the one."""
        return hmac.compare_digest(_hash(password, self._salt), self._digest)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=32)
