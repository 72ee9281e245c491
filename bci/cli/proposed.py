"""`bci reproduce`, where stimuli followed what was read: whether the same stimuli are proposed again."""

from pathlib import Path
from typing import Any

from bci.cli.output import Output, styled
from bci.errors import BciError


def compare_proposals(session: Path, output: Output) -> dict[str, Any]:
    """Propose a session's stimuli again from its tables, and say how many are the same.

    Returns
    -------
    dict
        ``proposals``, ``proposals_equal``; empty where the protocol goes by nothing that is read, or what it began with
        is not there any more.
    """
    from bci.session.recorded import RecordedSession
    from stimuli.replay import PROPOSING, propose_again

    experiment = RecordedSession.read(session).config.get("experiment") or {}
    if experiment.get("protocol") not in PROPOSING:
        return {}
    try:
        replayed = propose_again(session, experiment)
    except BciError as error:
        output.say(styled("bold yellow", "stimuli were not proposed again:"), f" {error}")
        return {}
    output.say(f"{replayed.equal} of {replayed.shown} stimuli are proposed again by what was read")
    return {"proposals": replayed.shown, "proposals_equal": replayed.equal}
