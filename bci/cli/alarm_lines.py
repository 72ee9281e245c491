"""AlarmLines say what is wrong with a session or a recording: lines that move on, and a sentence each that stays."""

import math

from rich.text import Text

from bci.cli.output import Output, styled
from bci.control.snapshot import SessionSnapshot
from bci.memory.alarms import Alarm, lasted

_URGENT, _NOTE, _GOOD = "bold white on red", "bold yellow", "green"


class AlarmLines:
    """AlarmLines are called with how a session stands, about ten times a second.

    Parameters
    ----------
    output : Output
        Where a sentence is printed when an alarm begins (what happened, what the participant sees, what to do), and a
        line when it is over.

    Attributes
    ----------
    rows : list of Text
        What is wrong now, in colour, most urgent first: for the lines that are drawn anew.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._alarms: dict[str, tuple[Alarm, float]] = {}
        self.rows: list[Text] = []

    def __call__(self, session: SessionSnapshot) -> None:
        """Say what began and what ended since the last time."""
        self.rows = [styled(_URGENT if alarm.urgent else _NOTE, alarm.line) for alarm in session.alarms]
        at = clock_face(session.elapsed)
        now = {alarm.key: alarm for alarm in session.alarms}
        for key, alarm in now.items():
            if key not in self._alarms:
                self._alarms[key] = alarm, session.at - alarm.age
                style = "bold red" if alarm.urgent else _NOTE
                self._output.say(f"{at}  ", styled(style, alarm.what), f" {alarm.do}")
        for key in [key for key in self._alarms if key not in now]:
            alarm, since = self._alarms.pop(key)
            if f"failed {key.partition(' ')[2]}" in now:
                continue
            self._output.say(f"{at}  ", styled(_GOOD, f"{alarm.over}, after {lasted(session.at - since)}"))


def clock_face(seconds: float) -> str:
    """Return seconds as a clock shows them.

    >>> clock_face(7.9), clock_face(75), clock_face(3725), clock_face(float("nan"))
    ('0:07', '1:15', '1:02:05', '0:00')
    """
    whole = 0 if math.isnan(seconds) else int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
