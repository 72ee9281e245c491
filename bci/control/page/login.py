"""A login to the page is one password, told by the hash that a file holds (`bci.control.page.password`)."""

import asyncio
from typing import Any

from bokeh.server.auth_provider import AuthProvider
from tornado.web import RequestHandler

from bci.control.page.password import PasswordHash

#: Cookie that says who is logged in, signed, and for how long, days.
_COOKIE, _DAYS = "bci-page", 1

#: Seconds that each wrong password costs its sender.
_PENALTY_S = 1.0


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
