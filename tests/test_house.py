"""The house keeps its own rules: style, types, and who may import whom."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def check(*words: str) -> None:
    """Run a checker with this very interpreter's environment; its complaint is the failure's text."""
    tool = Path(sys.executable).parent / words[0]
    done = subprocess.run([str(tool), *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


#: What is ours in this folder; sessions, runs, a `dist` or another environment beside it are not looked at.
CODE = ("bci", "benchmarks", "models", "run.py", "stimuli", "tests")


def test_code_follows_the_style_rules() -> None:
    check("ruff", "check", *CODE)


def test_code_is_formatted() -> None:
    check("ruff", "format", "--check", *CODE)


@pytest.mark.timeout(600)
def test_types_are_strict_in_bci_and_stimuli() -> None:
    check("mypy")


def test_imports_keep_the_directions_of_the_house() -> None:
    check("lint-imports")


def test_a_machine_that_runs_experiments_needs_no_torch() -> None:
    programs = (
        "bci.cli", "bci.control.supervisor", "bci.live.decode", "bci.live.acquire", "bci.live.record",
        "bci.live.publish", "bci.live.source", "stimuli.display.window", "stimuli.display.headless",
        "models.systems.alpha.evaluate", "models.systems.alpha.calibrate",
    )  # fmt: skip
    code = f"import sys, {', '.join(programs)}\nassert 'torch' not in sys.modules, 'torch was imported'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


#: Where the machine's own time is read or slept on beside a session clock: names of the `time` module, and why.
RAW_TIME = {
    "bci/memory/lsl_clock.py": ({"perf_counter", "sleep"}, "it is the session clock of a real run"),
    "bci/control/doctor.py": ({"perf_counter", "sleep"}, "it examines the machine's clocks and sleeps"),
    "bci/control/certify/breaking.py": ({"time"}, "the date and hour beside the session's time, for people"),
    "bci/control/certify/runs.py": ({"time"}, "the date and hour beside the session's time, for people"),
    "bci/io/files/capped.py": (
        {"monotonic"},
        "the limit of a child process that may hang; no session waits on it",
    ),
    "bci/io/lsl/discovery.py": ({"sleep"}, "a closed outlet goes on answering for real milliseconds"),
    "bci/live/replay.py": ({"perf_counter"}, "how fast this host reads a file is measured"),
    "bci/session/reproduce.py": ({"process_time"}, "what reproducing costs is measured"),
    "models/generators/adversarial/running.py": ({"monotonic"}, "how often a training says how far it is"),
}


def raw_time(path: Path) -> set[str]:
    """Return which names of the modules `time` and `asyncio` that tell time or wait a file uses."""
    waits = re.compile(r"(perf_counter|monotonic|process_time|thread_time|time)(_ns)?|sleep")
    used = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id="time" | "asyncio"), attr=name) if waits.fullmatch(name):
                used.add(name)
            case ast.ImportFrom(module="time" | "asyncio", names=names):
                used |= {alias.name for alias in names if waits.fullmatch(alias.name)}
    return used


def test_what_waits_or_tells_time_is_given_a_clock() -> None:
    """A place that needs the machine's own time is listed above with its reason; the list names no other."""
    files = [path for room in ("bci", "stimuli", "models") for path in (ROOT / room).rglob("*.py")]
    used = {path.relative_to(ROOT).as_posix(): raw_time(path) for path in files}
    assert {name: names for name, names in used.items() if names} == {
        name: names for name, (names, _) in RAW_TIME.items()
    }


def test_programs_that_filter_nothing_do_not_wait_for_scipy_s_signal_package() -> None:
    programs = (
        "bci.live.acquire, bci.live.source, bci.live.record, bci.live.publish, stimuli.display.headless"
    )
    code = f"import sys, {programs}\nassert 'scipy.signal' not in sys.modules, 'it was imported, which takes a second'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


#: Words that stand for a process without naming it.
NAMELESS = re.compile(r"\b(whoever|nobody|somebody|anybody)\b", re.IGNORECASE)


def prose(path: Path) -> str:
    """Return the comments and docstrings of a module, those of attributes included."""
    source = path.read_text("utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    docstrings = [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return "\n".join(comments + docstrings)


def test_docstrings_and_comments_name_the_process_they_speak_of() -> None:
    """A reader learns which program, reader or caller is meant."""
    files = [path for room in ("bci", "stimuli", "models") for path in sorted((ROOT / room).rglob("*.py"))]
    nameless = {path.relative_to(ROOT).as_posix(): NAMELESS.findall(prose(path)) for path in files}
    nameless = {name: words for name, words in nameless.items() if words}
    assert not nameless, f"name the process instead: {nameless}"


#: Public classes that share a name, and why they may.
SHARED_NAMES: dict[str, str] = {}


def test_two_public_classes_do_not_share_a_name() -> None:
    """One word has one meaning; a class that begins with an underscore is known to its own module alone."""
    places: dict[str, list[str]] = defaultdict(list)
    for room in ("bci", "stimuli"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(path.relative_to(ROOT).as_posix())
    shared = {name: paths for name, paths in places.items() if len(paths) > 1 and name not in SHARED_NAMES}
    assert not shared, f"give one of them another name, or a reason in SHARED_NAMES: {shared}"


def test_no_two_test_modules_share_a_name() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names)), (
        "pytest cannot collect two modules of one name in folders without one"
    )


def test_no_file_is_larger_than_two_megabytes_but_generators_in_bundles_of_at_most_eight() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    sizes = {name: (ROOT / name).stat().st_size for name in listed.stdout.split("\0") if name}
    assert sizes, "git lists no file"
    bundles: dict[str, int] = {}
    for name, size in sizes.items():
        if name.startswith("models/bundles/"):
            folder = name.split("/")[2]
            bundles[folder] = bundles.get(folder, 0) + size
    # Generators of faces and what decodes them; the first decoder's own generator stays as small as any file.
    large = re.compile(r"models/bundles/(dcgan|hyper)-[a-z-]+/generator\.onnx")
    assert not {name: size for name, size in sizes.items() if size > 2_000_000 and not large.fullmatch(name)}
    assert not {name: size for name, size in bundles.items() if size > 8_000_000}
