#!/usr/bin/env python3
"""Set this project up on a bare machine and run it: `python3 run.py demo`, `python3 run.py test`.

Needs nothing but Python 3.11 or newer. Everything is installed into `.venv` beside this file; a second call
starts at once. Further words go to the command behind the verb: `python3 run.py demo --snr 0 --headless`.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
EXTRAS = {"demo": "cpu", "test": "cpu,bids,cluster,dev,train,peers", "setup": "cpu"}
#: Debian packages that some system tests need, and the program that shows that each is there.
DEBIAN = {"xvfb": "Xvfb"}


def main(words: list[str]) -> int:
    """Run one verb; return its exit status."""
    if sys.version_info < (3, 11):
        print(f"This needs Python 3.11 or newer; this one is {sys.version.split()[0]} ({sys.executable}).")
        return 2
    if not words or words[0] not in EXTRAS:
        print(__doc__)
        print(
            "Verbs: demo (a closed loop, participant simulated), test (all checks and tests), setup (install only)."
        )
        return 0 if words in (["-h"], ["--help"]) else 2
    verb, rest = words[0], words[1:]
    setup(EXTRAS[verb])
    if verb == "demo":
        return call(PYTHON, "-m", "bci", "demo", *rest)
    if verb == "test":
        install_debian_packages()
        return call(PYTHON, "-m", "pytest", *rest)
    print(f"Ready. Next: python3 run.py demo, or {BIN / 'bci'} --help")
    return 0


def setup(extras: str) -> None:
    """Create `.venv` and install the project with `extras`, unless that was done for this very pyproject."""
    wanted = set(extras.split(","))
    stamp = VENV / "bci-setup.txt"
    digest = hashlib.sha256(b"".join((ROOT / f).read_bytes() for f in ("pyproject.toml", "constraints.txt")))
    key = f"{digest.hexdigest()} {sys.version_info[:2]}"
    if stamp.exists() and PYTHON.exists():
        old_key, _, old_extras = stamp.read_text().partition("\n")
        if old_key == key and wanted <= set(old_extras.split(",")):
            return
        if old_key == key:
            wanted |= set(old_extras.split(","))
    uv = shutil.which("uv")
    create_venv(uv)
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


def call(*words: object) -> int:
    """Run a command in the project's folder; return its exit status."""
    process = subprocess.Popen([str(w) for w in words], cwd=ROOT)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C reached the command as well, which is stopping in its own order


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
