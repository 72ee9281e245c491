"""A login to the page is one password; a file holds a salted hash of it (scrypt, RFC 7914), never the word itself."""

import asyncio
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from bokeh.server.auth_provider import AuthProvider
from tornado.web import RequestHandler

from bci.errors import ConfigError
from bci.io.files.regular import read_text

#: Cost of one try: some 50 ms and 16 MB.
_N, _R, _P = 2**14, 8, 1

#: Cookie that says who is logged in, signed, and for how long, days.
_COOKIE, _DAYS = "bci-page", 1

#: The shortest password that is taken.
SHORTEST = 8

#: Seconds that each wrong password costs its sender.
_PENALTY_S = 1.0


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


class PasswordLogin(AuthProvider):  # type: ignore[misc]
    """Lets in only browsers that gave the password.

    Parameters
    ----------
    password : PasswordHash
        Which.
    rejected : callable
        Called at each wrong one.
    """

    def __init__(self, password: PasswordHash, rejected: Any, *, encrypted: bool) -> None:
        outer = password

        class Handler(LoginHandler):
            word, wrong, secure = outer, staticmethod(rejected), encrypted

        self._handler = Handler
        super().__init__()

    @property
    def get_user(self) -> Any:
        """Return what tells who asks; None sends a browser to the login."""
        return user_of

    @property
    def login_url(self) -> str:
        """Where one logs in."""
        return "/login"

    @property
    def login_handler(self) -> type[RequestHandler]:
        """What serves that."""
        return self._handler

    @property
    def get_user_async(self) -> None:
        """Return nothing: who asks is told at once."""

    @property
    def get_login_url(self) -> None:
        """Return nothing: the place is always the same."""

    @property
    def logout_url(self) -> None:
        """Return nothing: a login ends after a day."""

    @property
    def logout_handler(self) -> None:
        """Return nothing."""


def user_of(handler: RequestHandler) -> str | None:
    """Return who asks, by a signed cookie; None for a browser that is not logged in."""
    cookie = handler.get_signed_cookie(_COOKIE, max_age_days=_DAYS)
    return "operator" if cookie == b"operator" else None


class LoginHandler(RequestHandler):
    """Asks for the password; a wrong one costs a second."""

    word: PasswordHash
    wrong: Any
    secure = False

    def get(self) -> None:
        """Show the form."""
        self._form("")

    async def post(self) -> None:
        """Judge a password."""
        given = self.get_body_argument("password", "")
        if await asyncio.to_thread(self.word.matches, given[:1024]):
            self.set_signed_cookie(
                _COOKIE, "operator", expires_days=_DAYS, httponly=True, samesite="strict", secure=self.secure
            )
            self.redirect("/")
            return
        self.wrong()
        await asyncio.sleep(_PENALTY_S)
        self.set_status(403)
        self._form("This is not the password.")

    def _form(self, words: str) -> None:
        self.write(_FORM.format(words=words, xsrf=self.xsrf_form_html()))


_FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Login</title>
<style>
body {{ font: 16px system-ui, sans-serif; display: grid; place-items: center; height: 90vh; background: #f4f6f8 }}
form {{ background: white; padding: 28px 32px; border-radius: 10px }} input {{ font: inherit; padding: 6px 8px }}
p {{ color: #b3261e }}</style>
<form method="post" action="/login">{xsrf}<label>Password of the operator's page<br><br>
<input type="password" name="password" autofocus></label> <input type="submit" value="Open"><p>{words}</p></form></html>
"""
