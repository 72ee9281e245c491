"""The PageServer serves the operator's page and, beside it, the session's numbers for Prometheus at ``/metrics``.

It listens on this machine alone, unless its settings give it a login, a certificate and the names under which it is
reached. Everything a browser needs comes from here: a laboratory without a network sees the same page.
"""

import base64
import binascii
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import Server
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import Application as WebApplication
from tornado.web import HTTPError, RequestHandler

from bci.config.page import PageSettings
from bci.control.page.buttons import Send
from bci.control.page.login import PasswordLogin, user_of
from bci.control.page.metrics import CONTENT_TYPE, metrics_text
from bci.control.page.model import PageModel
from bci.control.page.password import PasswordHash
from bci.control.page.place import encryption_of, password_of, require_page_port
from bci.control.page.view import PageView
from bci.control.snapshot import SessionSnapshot

#: Names of this machine, by which a browser on it reaches the page.
_OWN_NAMES = ("localhost", "127.0.0.1")

#: Returns the newest snapshot of the session; None while there is none.
Newest = Callable[[], SessionSnapshot | None]


class PageServer:
    """A PageServer of one session, to be made and used inside a running asyncio loop.

    Parameters
    ----------
    settings : PageSettings
        Where it listens, and to whom.
    session : str
        Name of the session's folder.
    model : callable
        Returns what a browser that opens the page now is shown.
    newest : callable
        Returns the newest snapshot, for ``/metrics``.
    send : callable, optional
        Sends the session a command; None where it cannot be commanded at all.
    page : bool
        Whether the page itself is served, or the numbers alone.
    beat : callable, optional
        Called between the parts of a page that is being made, which takes longer than a heart may stand still.

    Attributes
    ----------
    port : int
        Where it listens.
    updates, rejected : int
        How often a page was drawn, and how many passwords were wrong.

    Raises
    ------
    ConfigError
        If a file of the settings cannot be used.
    ProgramError
        If the port is taken.
    """

    def __init__(
        self,
        settings: PageSettings,
        session: str,
        model: Callable[[], PageModel],
        newest: Newest,
        *,
        send: Send | None = None,
        page: bool = True,
        beat: Callable[[], object] = bool,
    ) -> None:
        self._beat = beat
        self._settings, self._session = settings, session
        self._model, self._newest, self._send = model, newest, send
        self.updates = self.rejected = 0
        self._pages: set[str] = set()
        for name in ("bokeh", "tornado"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self._password, self._encryption = password_of(settings), encryption_of(settings)
        port = settings.port or 0
        # Tornado would leave its half-made socket behind.
        require_page_port(settings.address, port)
        self._http = self._with_page(port) if page else self._numbers_alone(port)

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        scheme = "https" if self._settings.certificate else "http"
        host = "localhost" if self._settings.address in ("127.0.0.1", "localhost") else self._settings.address
        return f"{scheme}://{host}:{self.port}/"

    @property
    def open_pages(self) -> int:
        """How many browsers show it now."""
        return len(self._pages)

    def stop(self) -> None:
        """Serve no more."""
        self._http.stop()

    # -- what is served ----------------------------------------------------------------------------------

    def _with_page(self, port: int) -> Any:
        options: dict[str, Any] = {}
        if self._password is not None:
            options["auth_provider"] = PasswordLogin(
                self._password, self._reject, encrypted=bool(self._settings.certificate)
            )
            options["xsrf_cookies"] = True
        server = Server(
            {"/": Application(FunctionHandler(self._open))},
            io_loop=IOLoop.current(),
            address=self._settings.address,
            port=port,
            # Bokeh refuses the connection of every page that comes from elsewhere; "*" would let all in.
            allow_websocket_origin=[f"{name}:{port}" for name in _OWN_NAMES] + list(self._settings.origins)
            if port
            else None,
            extra_patterns=[self._metrics_route(port)],
            http_server_kwargs={"ssl_options": self._encryption} if self._encryption else {},
            secret_key=secrets.token_hex(32).encode(),
            cookie_secret=secrets.token_hex(32),
            keep_alive_milliseconds=10_000,
            check_unused_sessions_milliseconds=2_000,
            unused_session_lifetime_milliseconds=5_000,
            stats_log_frequency_milliseconds=3_600_000,
            **options,
        )
        server.start()
        self.port = int(server.port or port)
        return server

    def _numbers_alone(self, port: int) -> HTTPServer:
        sockets = bind_sockets(port, self._settings.address)
        self.port = int(sockets[0].getsockname()[1])
        application = WebApplication(
            [self._metrics_route(self.port)], cookie_secret=secrets.token_hex(32), log_function=_no_log
        )
        server = HTTPServer(application, ssl_options=self._encryption)
        server.add_sockets(sockets)
        return server

    def _metrics_route(self, port: int) -> tuple[str, type[RequestHandler], dict[str, Any]]:
        hosts = [name for own in _OWN_NAMES for name in (own, f"{own}:{port}")]
        given = {
            "text": lambda: metrics_text(self._session, self._newest()),
            "password": self._password,
            "hosts": frozenset([*hosts, *self._settings.origins]),
            "reject": self._reject,
        }
        return "/metrics", MetricsHandler, given

    def _reject(self) -> None:
        self.rejected += 1

    def _open(self, document: Document) -> None:
        """Show a browser the page."""
        model = self._model()
        key = str(id(document))
        self._pages.add(key)
        document.on_session_destroyed(lambda context: self._pages.discard(key))
        PageView(
            document,
            model,
            updates_hz=self._settings.updates_hz,
            send=self._send if model.span is None else None,
            counted=self._count,
            beat=self._beat,
        )

    def _count(self) -> None:
        self.updates += 1


class MetricsHandler(RequestHandler):
    """Gives the numbers to who may have them: where the page has a login, to a browser or a collector that gave it."""

    def initialize(
        self, text: Callable[[], bytes], password: PasswordHash | None, hosts: Sequence[str], reject: Any
    ) -> None:
        """Take in what the route gives."""
        self._numbers, self._password, self._hosts, self._reject = text, password, hosts, reject

    def get(self) -> None:
        """Answer."""
        # A name that is not ours is a page elsewhere that had its own name point here.
        if self.request.host not in self._hosts:
            raise HTTPError(403)
        if self._password is not None and user_of(self) is None and not self._basic(self._password):
            self.set_status(401)
            self.set_header("WWW-Authenticate", 'Basic realm="bci"')
            return
        self.set_header("Content-Type", CONTENT_TYPE)
        self.write(self._numbers())

    def _basic(self, password: PasswordHash) -> bool:
        """Return whether the request bears the password, as collectors send it."""
        scheme, _, given = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            word = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            word = ""
        right = bool(word) and password.matches(word[:1024])
        if not right:
            self._reject()
        return right


def _no_log(handler: RequestHandler) -> None:
    """Say nothing of each request."""
