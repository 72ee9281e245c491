"""A Terminal is what a person sees of a command: a real pseudo-terminal of 24 lines of 80 letters, read as it is drawn.

It understands what Rich writes: carriage returns, line feeds, cursor up, erased lines, colours.
"""

import os
import re
import select
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_ESCAPE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b\][^\x07]*\x07")


class Screen:
    """The letters of a terminal, and which of them are in colour."""

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        self.lines: list[list[tuple[str, str]]] = [[]]
        self.row = self.column = 0
        self.style = ""
        self._rest = ""

    def feed(self, text: str) -> None:
        """Draw what was written."""
        text = self._rest + text
        self._rest = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                match = _ESCAPE.match(text, at)
                if match is None:
                    self._rest = text[at:]
                    return
                self._obey(match[1] or "", match[2] or "")
                at = match.end()
                continue
            self._put(text[at])
            at += 1

    def _obey(self, numbers: str, letter: str) -> None:
        count = int(numbers) if numbers.isdigit() else 1
        if letter == "m":
            self.style = "" if numbers in ("", "0") else numbers
        elif letter == "A":
            self.row = max(0, self.row - count)
        elif letter == "K":
            self.lines[self.row] = [] if numbers == "2" else self.lines[self.row][: self.column]

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self.row += 1
        elif letter >= " ":
            if self.column >= self.columns:
                self.row, self.column = self.row + 1, 0
            self._grow()
            line = self.lines[self.row]
            line += [(" ", "")] * (self.column + 1 - len(line))
            line[self.column] = (letter, self.style)
            self.column += 1
        self._grow()

    def _grow(self) -> None:
        while len(self.lines) <= self.row:
            self.lines.append([])

    @property
    def text(self) -> str:
        """What stands there."""
        return "\n".join("".join(letter for letter, _ in line).rstrip() for line in self.lines)

    def style_of(self, words: str) -> str:
        """Return the style of the first place where these words stand."""
        for line in self.lines:
            at = "".join(letter for letter, _ in line).find(words)
            if at >= 0:
                return line[at][1]
        raise AssertionError(f"{words!r} is not on the screen:\n{self.text}")


class Terminal:
    """A command in a terminal of its own; a context manager that ends it.

    Parameters
    ----------
    command : sequence
        The words.
    env : mapping, optional
        Its environment.
    """

    def __init__(self, command: Sequence[object], env: dict[str, str], columns: int = 80) -> None:
        import fcntl
        import pty
        import termios

        self.screen = Screen(columns)
        self.raw = b""
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        def own_terminal() -> None:
            # Behind `nohup` or `&` Ctrl-C is ignored, and children inherit that; a person's terminal never ignores it.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=own_terminal,
            env=env | {"TERM": "xterm-256color", "COLUMNS": str(columns)},
        )
        os.close(slave)

    def read(self, seconds: float = 0.1) -> bool:
        """Draw what comes within so many seconds; False once nothing will come any more."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.raw += data
        self.screen.feed(data.decode("utf-8", "replace"))
        return bool(data)

    def until(self, condition: Callable[[str], object], what: str, longest: float = 60.0) -> float:
        """Read until the screen fulfils a condition; return after how many seconds."""
        began = time.monotonic()
        while time.monotonic() - began < longest:
            going = self.read()
            if condition(self.screen.text):
                return time.monotonic() - began
            if not going:
                break
        raise AssertionError(f"{what} was never seen:\n{self.screen.text}")

    def end(self, longest: float = 60.0) -> int:
        """Read to the end; return the exit status."""
        deadline = time.monotonic() + longest
        while time.monotonic() < deadline and self.process.poll() is None:
            self.read()
        while (
            self.process.poll() is not None and self.read(0.05) and select.select([self.master], [], [], 0)[0]
        ):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def press_ctrl_c(self) -> None:
        """Send what the key sends: the terminal turns it into a signal for the whole foreground group."""
        os.write(self.master, b"\x03")

    def hang_up(self) -> None:
        """Close the terminal, as its window's cross does."""
        os.close(self.master)
        self.master = -1

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.master >= 0:
            os.close(self.master)


ROOT = Path(__file__).resolve().parents[1]
