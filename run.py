#!/usr/bin/env python3
"""Set this project up on a bare machine and run it: `python3 run.py demo`, `python3 run.py test`.

Needs nothing but Python 3.11 or newer. Everything is installed into `.venv` beside this file; a second call
starts at once. Further words go to the command behind the verb: `python3 run.py demo --snr 0 --headless`.
`python3 run.py --gpu setup` installs what decodes on an NVIDIA card; every later call keeps it.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
EXTRAS = {
    "demo": "cpu",
    "test": "cpu,bids,broker,cluster,dev,devices,eeg,fmri,nwb,page,peers,train",
    "setup": "cpu",
}
#: The suite in two parts, side by side. Tests of real processes and streams mostly wait: three at a time, and served
#: first. The others compute: they take what is left of the processor, each on one thread, or they crowd each other.
PARTS = {
    "system": ["-m", "system", "-n", "3", "--dist", "worksteal"],
    "others": ["-m", "not system", "-n", str(min(os.cpu_count() or 1, 8)), "--dist", "worksteal"],
}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
#: What an installation depends on: when one of them changes, it is made anew.
SOURCES = ("pyproject.toml", "constraints.txt", "setup.py", "bci/_hot.c", "bci/_hot_decoder.c")
#: Debian packages that some system tests need, and the program that shows that each is there.
DEBIAN = {"chromium": "chromium", "chromium-driver": "chromedriver", "mosquitto": "mosquitto", "xvfb": "Xvfb"}


def main(words: list[str]) -> int:
    """Run one verb; return its exit status."""
    if sys.version_info < (3, 11):
        print(f"This needs Python 3.11 or newer; this one is {sys.version.split()[0]} ({sys.executable}).")
        return 2
    gpu = "--gpu" in words[:2]
    if gpu:
        words.remove("--gpu")
    if not words or words[0] not in EXTRAS:
        print(__doc__)
        print(
            "Verbs: demo (a closed loop, participant simulated), test (all checks and tests), setup (install only)."
        )
        return 0 if words in (["-h"], ["--help"]) else 2
    verb, rest = words[0], words[1:]
    setup(EXTRAS[verb], gpu=gpu)
    if verb == "demo":
        return call(PYTHON, "-m", "bci", "demo", *rest)
    if verb == "test":
        install_debian_packages()
        return call(PYTHON, "-m", "pytest", *rest) if rest else run_all_tests()
    print(f"Ready. Next: python3 run.py demo, or {BIN / 'bci'} --help")
    return 0


def setup(extras: str, *, gpu: bool = False) -> None:
    """Create `.venv` and install the project with `extras`, unless that was done for these very `SOURCES`.

    The extras `cpu` and `gpu` overwrite each other's files: where `gpu` was asked for once, it stays.
    """
    wanted = set(extras.split(","))
    stamp = VENV / "bci-setup.txt"
    digest = hashlib.sha256(b"".join((ROOT / f).read_bytes() for f in SOURCES))
    key = f"{digest.hexdigest()} {sys.version_info[:2]}"
    old_key, _, old_extras = stamp.read_text().partition("\n") if stamp.exists() else ("", "", "")
    had = set(old_extras.split(",")) if old_extras and PYTHON.exists() else set()
    if gpu or "gpu" in had:
        wanted = wanted - {"cpu"} | {"gpu"}
    if old_key == key and wanted <= had:
        return
    if old_key == key:
        wanted |= had - ({"cpu"} if "gpu" in wanted else set())
    uv = shutil.which("uv")
    create_venv(uv)
    if "gpu" in wanted and "cpu" in had:
        remove_cpu_runtime(uv)
    print(f"Installing the project with [{','.join(sorted(wanted))}] into {VENV} …", flush=True)
    target = f"{ROOT}[{','.join(sorted(wanted))}]"
    installer = [uv, "pip", "install", "--python", PYTHON] if uv else [PYTHON, "-m", "pip", "install"]
    quiet = ["--quiet"] if uv else ["--quiet", "--disable-pip-version-check", "--no-warn-script-location"]
    # Building an editable package warns of what cannot happen here; a newcomer would take it for an error.
    os.environ["PYTHONWARNINGS"] = "ignore"
    status = call(*installer, *quiet, "--constraint", ROOT / "constraints.txt", "--editable", target)
    del os.environ["PYTHONWARNINGS"]
    if status:
        sys.exit(f"Installing failed with status {status}: see above. Nothing else was changed; try again.")
    stamp.write_text(f"{key}\n{','.join(sorted(wanted))}")


def remove_cpu_runtime(uv: str | None) -> None:
    """Take out ONNX Runtime for processors: removed later, it would take the files of the one for cards along."""
    pip = [uv, "pip", "uninstall", "--python", PYTHON] if uv else [PYTHON, "-m", "pip", "uninstall", "-y"]
    call(*pip, "--quiet", "onnxruntime")


def create_venv(uv: str | None) -> None:
    """Create `.venv`; where the venv module is missing, print the line that installs it."""
    if PYTHON.exists():
        return
    if uv:
        if call(uv, "venv", "--quiet", "--python", sys.executable, VENV):
            sys.exit(f"Could not create {VENV}: see above.")
        return
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(
            "This Python has no venv module. On Debian or Ubuntu run this line, then try again:\n"
            f"  sudo apt-get install -y python{version}-venv"
        )
    if call(sys.executable, "-m", "venv", VENV):
        sys.exit(f"Could not create {VENV}: see above.")


def install_debian_packages() -> None:
    """Install what system tests need where we may; say loudly what will be skipped where we may not."""
    missing = [package for package, program in DEBIAN.items() if shutil.which(program) is None]
    if not missing:
        return
    if sys.platform.startswith("linux") and shutil.which("apt-get") and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
        line = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        if subprocess.run(line, env=environment, check=False, stdout=subprocess.DEVNULL).returncode == 0:
            return
    print(f"NOT INSTALLED: {', '.join(missing)}. The tests that need them WILL BE SKIPPED.", flush=True)


def run_all_tests() -> int:
    """Run both parts of the suite, each line of theirs named; sum them in the last line; return 0 if all passed."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bci-tests-") as folder:
        parts = {name: start_part(name, Path(folder)) for name in PARTS}
        # As daemons, so that a second Ctrl-C is not needed where a grandchild keeps a pipe open.
        relays = [threading.Thread(target=relay, args=item, daemon=True) for item in parts.items()]
        for thread in relays:
            thread.start()
        statuses = {name: wait(process) for name, process in parts.items()}
        for thread in relays:
            thread.join(10)
        tallies = [tally(Path(folder) / f"{name}.xml") for name in PARTS]
    passed, failed, skipped = (sum(column) for column in zip(*(t[:3] for t in tallies), strict=True))
    print(f"\nBoth parts took {time.monotonic() - begun:.0f} s.")
    for line in sorted(line for t in tallies for line in t[3]):
        print(line)
    for name, status in statuses.items():
        if status:
            print(f"The part {name!r} ended with status {status}: see above.")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed or any(statuses.values()) else 0


def system_files() -> list[str]:
    """Return the files that name the mark: pytest would import each of the others to find no system test in it."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [str(file) for file in files if "mark.system" in file.read_text(encoding="utf-8")]


def start_part(name: str, reports: Path) -> "subprocess.Popen[str]":
    """Start pytest on one part of the suite; all but the system tests at a lower priority."""
    first = name == "system"
    # What one process has compiled is there for the hundreds that the tests start.
    environment = {key: word for key, word in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    lower = 0 if first else getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)  # only on Windows
    process = subprocess.Popen(
        [
            *(str(PYTHON), "-m", "pytest", *PARTS[name], f"--junitxml={reports / name}.xml"),
            *(system_files() if first else ()),
        ],
        cwd=ROOT,
        env=environment if first else environment | ONE_THREAD,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        creationflags=lower,
    )
    if not first and hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, process.pid, 15)
    return process


def relay(name: str, process: "subprocess.Popen[str]") -> None:
    """Print what a part says, each line behind its name."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            print(f"{name} | {line}", end="", flush=True)


def tally(report: Path) -> tuple[int, int, int, list[str]]:
    """Return how many tests of a part passed, failed and were skipped, and a line for each of the last two.

    A part that left no report has failed.
    """
    try:
        cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return 0, 1, 0, [f"FAILED a part of the suite: it left no {report.name}"]
    failed, skipped, lines = 0, 0, []
    for case in cases:
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        reason = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            lines.append(f"FAILED {name}")
        elif reason is not None:
            skipped += 1
            lines.append(f"SKIPPED {name}: {reason.get('message', '')}")
    return len(cases) - failed - skipped, failed, skipped, lines


def call(*words: object) -> int:
    """Run a command in the project's folder; return its exit status."""
    return wait(subprocess.Popen([str(w) for w in words], cwd=ROOT))


def wait(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> int:
    """Return the exit status of a process."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C reached the command as well, which is stopping in its own order


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
