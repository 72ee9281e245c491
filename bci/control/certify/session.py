"""One session of a certification, in a process of its own: ``python -m bci.control.certify.session PLAN``.

A supervisor that is to be frozen or killed must not be the one who looks on; and the next session shall find
nothing of the one before. The plan is a JSON file, see `main`; what happens goes into the journal beside it.
"""

import json
import sys
from pathlib import Path

import psutil

from bci.config.session import SessionConfig
from bci.control.certify.breaking import Breaker, Fault, Journal
from bci.control.session_plan import supervise
from bci.control.supervisor import Supervisor
from bci.errors import BciError


def main(path: Path) -> int:
    """Run the session that a plan describes; return the exit status, 0 also when it ended safe.

    The plan holds ``config`` (a whole session file), ``out`` (folder), ``journal`` (file), ``parent`` (process id:
    when that one is gone, this session ends), ``hop_seconds``, ``faults`` (program and how, each), ``exhaust``
    (program or null) and ``hold``.
    """
    plan = json.loads(path.read_text(encoding="utf-8"))
    config = SessionConfig.model_validate(plan["config"])
    journal = Journal(Path(plan["journal"]))
    parent = psutil.Process(plan["parent"])
    breaker = Breaker(
        [Fault(*fault) for fault in plan["faults"]],
        journal,
        plan["hop_seconds"],
        exhaust=plan["exhaust"],
        hold=plan["hold"],
    )

    def observe(supervisor: Supervisor) -> None:
        breaker(supervisor)
        if not parent.is_running():
            raise BciError("the process that ordered this session has ended")

    try:
        supervisor = supervise(config, Path(plan["out"]), observe)
        journal.write("session", folder=supervisor.folder, at=supervisor.clock.now())
        journal.write("ended", summary=supervisor.run(), at=supervisor.clock.now())
    except BciError as error:
        journal.write("failed", error=type(error).__name__, message=str(error))
        return 2
    finally:
        journal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
