"""A program that says what it finds, and stays until it is told to end: what a supervisor starts in tests."""

import os
import sys

from bci.memory.program import Program

#: What costs most to import.
HEAVY = ("asyncio", "matplotlib", "onnxruntime", "pandas", "scipy.signal", "scipy.stats", "torch")


def main(program: Program) -> None:
    """Tell of this process, then beat until told to stop."""
    program.ready(
        told=os.environ.get("BCI_TEST_TOLD", ""),
        parent=os.getppid(),
        safe=os.environ.get("PYTHONSAFEPATH", ""),
        heavy=[name for name in HEAVY if name in sys.modules],
        main=getattr(sys.modules["__main__"], "__file__", None),
    )
    while program.tick():
        program.clock.sleep_until(program.clock.now() + 0.01)
