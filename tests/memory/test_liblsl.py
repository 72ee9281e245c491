"""Without a liblsl that loads, the system says what is missing and how to get it."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_missing_library_is_an_error_that_says_how_to_get_it(tmp_path: Path) -> None:
    no_library = tmp_path / "liblsl.so"
    no_library.write_bytes(b"no library")
    code = (
        "from bci.errors import StreamError\n"
        "try:\n"
        "    import bci.memory.lsl_clock\n"
        "except StreamError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYLSL_LIB": str(no_library)},
        capture_output=True,
        text=True,
        check=True,
    )
    for word in ("liblsl", "could not be loaded", "glibc 2.35", "conda-forge", "PYLSL_LIB"):
        assert word in done.stdout
