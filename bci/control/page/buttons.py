"""Buttons send a session the commands that `bci control` sends, and say what became of them.

What ends something is asked twice: the first click arms the button for some seconds, the second acts.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from bokeh.document import Document, without_document_lock
from bokeh.layouts import column, row
from bokeh.models import Button, Div, TextInput

from bci.control.page.markup import plain
from bci.control.page.style import SHEET
from bci.memory.trial_parts import Stage

#: Sends one command and returns what became of it, in words.
Send = Callable[..., Awaitable[str]]

#: Seconds for which a button that ends something stays armed.
ARMED_S = 4.0

_PLAIN = (
    ("start", "Start", "success"),
    ("pause", "Pause", "default"),
    ("resume", "Resume", "default"),
    ("neutral", "Neutral now", "warning"),
    ("release", "Release", "default"),
)
_ENDING = (("abort", "Abort the experiment", "danger"), ("stop", "End the session", "danger"))

#: Commands that an experiment takes, by how far it is then (`stimuli.controls`).
OF_EXPERIMENTS = {
    "start": frozenset({Stage.WAITING}),
    "pause": frozenset({Stage.RUNNING}),
    "resume": frozenset({Stage.PAUSED}),
    "abort": frozenset({Stage.WAITING, Stage.RUNNING, Stage.PAUSED}),
}


class CommandButtons:
    """The buttons of one open page.

    Parameters
    ----------
    document : Document
        The page.
    send : callable
        Sends a command.

    Attributes
    ----------
    layout : bokeh layout
        To be laid out.
    """

    def __init__(self, document: Document, send: Send) -> None:
        self._document, self._send = document, send
        self._buttons: dict[str, Button] = {}
        self._words: dict[str, str] = {}
        self._armed: dict[str, Any] = {}
        for kind, label, look in (*_PLAIN, *_ENDING):
            self._words[kind] = label
            button = Button(label=label, button_type=look, name=kind, sizing_mode="stretch_width")
            button.on_click(self._clicked(kind))
            self._buttons[kind] = button
        self._text = TextInput(placeholder="a remark", name="remark", sizing_mode="stretch_width")
        mark = Button(label="Mark", name="mark", width=70)
        mark.on_click(self._mark)
        self._buttons["mark"] = mark
        self._said = Div(text="", stylesheets=[SHEET], sizing_mode="stretch_width")
        kinds = self._buttons
        self.layout = column(
            row(kinds["start"], kinds["pause"], kinds["resume"], sizing_mode="stretch_width"),
            row(kinds["neutral"], kinds["release"], sizing_mode="stretch_width"),
            row(self._text, mark, sizing_mode="stretch_width"),
            row(kinds["abort"], kinds["stop"], sizing_mode="stretch_width"),
            self._said,
            sizing_mode="stretch_width",
        )
        self._why = ""

    def allow(self, why_not: str, stage: Stage | None) -> None:
        """Let commands be given, or say why they cannot be; an experiment's those that it would obey at its `stage`."""
        for kind, button in self._buttons.items():
            disabled = bool(why_not) or (kind in OF_EXPERIMENTS and stage not in OF_EXPERIMENTS[kind])
            if button.disabled != disabled:
                button.disabled = disabled
        if why_not != self._why:
            self._why = why_not
            self._say(f"No commands: {why_not}." if why_not else "")

    def _clicked(self, kind: str) -> Callable[[], None]:
        def clicked() -> None:
            if kind in {ending for ending, _, _ in _ENDING} and kind not in self._armed:
                self._buttons[kind].label = "Click again to do it"
                self._armed[kind] = self._document.add_timeout_callback(
                    lambda: self._disarm(kind, remove=False), int(1e3 * ARMED_S)
                )
                return
            self._disarm(kind)
            self._give(kind)

        return clicked

    def _disarm(self, kind: str, *, remove: bool = True) -> None:
        armed = self._armed.pop(kind, None)
        if armed is not None:
            self._buttons[kind].label = self._words[kind]
            if remove:
                self._document.remove_timeout_callback(armed)

    def _mark(self) -> None:
        text = str(self._text.value).strip()
        if not text:
            self._say("A mark needs a text: what happened?")
            return
        self._text.value = ""
        self._give("mark", text=text[:80])

    def _give(self, kind: str, **values: Any) -> None:
        self._say(f"{kind} …")

        async def ask() -> None:
            words = await self._send(kind, **values)
            self._document.add_next_tick_callback(lambda: self._say(words))

        # The page goes on being drawn while the answer is waited for.
        self._document.add_next_tick_callback(without_document_lock(ask))

    def _say(self, words: str) -> None:
        self._said.text = f'<span class="faint">{plain(words)}</span>'
