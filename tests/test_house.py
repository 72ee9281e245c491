"""The house keeps its own rules: style, types, and who may import whom."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
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
CODE = ("bci", "benchmarks", "models", "run.py", "setup.py", "stimuli", "tests")


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
    "bci/control/mqtt/broker.py": (
        {"sleep"},
        "an event loop pauses between looks at orders, by its own clock",
    ),
    "bci/control/mqtt/plane.py": (
        {"sleep"},
        "an event loop pauses between looks at orders, by its own clock",
    ),
    "bci/control/page/login.py": ({"sleep"}, "an event loop lets a wrong password wait, by its own clock"),
    "bci/control/page/program.py": (
        {"sleep"},
        "an event loop pauses between looks at orders, by its own clock",
    ),
    "bci/control/mqtt/wall_clock.py": ({"time"}, "commands come from computers that have no session clock"),
    "bci/io/devices/amplifier.py": ({"time"}, "BrainFlow stamps samples with the time of day"),
    "bci/io/files/capped.py": (
        {"monotonic"},
        "the limit of a child process that may hang; no session waits on it",
    ),
    "bci/io/lsl/discovery.py": ({"sleep"}, "a closed outlet goes on answering for real milliseconds"),
    "bci/io/lsl/opening.py": ({"time"}, "whether a stream is stamped with the time of day is asked"),
    "bci/live/replay.py": ({"perf_counter"}, "how fast this host reads a file is measured"),
    "bci/session/reproduce.py": ({"process_time"}, "what reproducing costs is measured"),
    "models/encoding/quick_and_slow.py": ({"process_time"}, "what a slow reading costs is measured"),
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


def test_help_waits_for_nothing_that_it_does_not_print() -> None:
    code = (
        "import sys, bci.cli.app\n"
        "late = {'numpy', 'pydantic', 'pylsl', 'psutil'} & set(sys.modules)\n"
        "assert not late, f'imported before a command needs it: {late}'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_text_is_read_as_a_style() -> None:
    """What is printed in colour is `styled`: a bracket in a path, a label or a repair line is never markup."""
    marked = re.compile(r"\[/\w*\]|rich\.markup|\[(bold|red|green|yellow)\b[\w ]*\]")
    files = [path for room in ("bci", "stimuli", "models") for path in sorted((ROOT / room).rglob("*.py"))]
    found = {
        path.relative_to(ROOT).as_posix(): [
            node.value
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and marked.search(node.value)
        ]
        for path in files
        if path != ROOT / "bci/cli/output.py"  # its doctests show that brackets stay
    }
    assert not {name: texts for name, texts in found.items() if texts}


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
    large = re.compile(r"models/bundles/(dcgan|hyper|fmri)-[a-z-]+/generator\.onnx")
    assert not {name: size for name, size in sizes.items() if size > 2_000_000 and not large.fullmatch(name)}
    assert not {name: size for name, size in bundles.items() if size > 8_000_000}


#: What a document names as ours: paths, ``path::name``, dotted names, and links relative to the document.
PATH = re.compile(r"\b(?:bci|benchmarks|configs|docs|models|stimuli|tests)/[\w./<>-]*(?:::\w+)?")
DOTTED = re.compile(r"\b(?:bci|benchmarks|models|stimuli)(?:\.\w+)+")
LINK = re.compile(r"\]\(([^)#:]+)\)")


def defined_in(module: Path) -> set[str]:
    """Return the names that a module defines or imports; those inside a class with the class's name before them."""

    def names(body: list[ast.stmt]) -> set[str]:
        found: set[str] = set()
        for node in body:
            match node:
                case ast.ClassDef(name=name):
                    found |= {name} | {f"{name}.{inner}" for inner in names(node.body)}
                case ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(name)
                case ast.Assign(targets=targets):
                    found |= {target.id for target in targets if isinstance(target, ast.Name)}
                case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                    found |= {alias.asname or alias.name for alias in aliases}
        return found

    return names(ast.parse(module.read_text("utf-8")).body)


def is_there(mentioned: str) -> bool:
    """Return whether a path, with or without ``::name``, or a dotted name is in this project.

    Of a path with a ``<placeholder>`` the folder before it must be there.
    """
    if "/" in mentioned:
        path, _, name = mentioned.partition("::")
        place = ROOT / path.partition("<")[0].rpartition("/")[0] if "<" in path else ROOT / path
        return place.exists() and (not name or name in defined_in(place))
    place, rest = ROOT, mentioned.split(".")
    while rest and (place / rest[0]).is_dir():
        place /= rest.pop(0)
    module = place / f"{rest[0]}.py" if rest else place / "__init__.py"
    if rest and module.is_file():
        rest.pop(0)
    elif rest:
        module = place / "__init__.py"
    return module.is_file() and (not rest or ".".join(rest) in defined_in(module))


def no_longer_there(text: str, folder: Path) -> list[str]:
    """Return what a document in `folder` mentions that is not in this project."""
    ours = {found.rstrip("./") for pattern in (PATH, DOTTED) for found in pattern.findall(text)}
    links = {link for link in LINK.findall(text) if not (folder / link).exists()}
    return sorted({mentioned for mentioned in ours if not is_there(mentioned)} | links)


@pytest.mark.parametrize("document", ["docs/architecture.md", "docs/where.md"])
def test_every_path_and_name_that_a_document_of_the_house_mentions_exists(document: str) -> None:
    path = ROOT / document
    text = path.read_text("utf-8")
    assert len(PATH.findall(text)) + len(DOTTED.findall(text)) > 20, f"{document} names hardly anything"
    missing = no_longer_there(text, path.parent)
    assert not missing, (
        f"{document} mentions {', '.join(missing)}, which is not there. Write where it is now, or take it out."
    )


def test_the_ground_plan_shows_every_room_every_program_and_the_layers() -> None:
    plan = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for package in ("bci", "models", "stimuli")
        for path in (ROOT / package).glob("*/__init__.py")
    }
    posts = (ROOT / "bci" / "control" / "posts.py").read_text("utf-8")
    programs = set(re.findall(r'"((?:bci|stimuli)\.[\w.]+)"', posts))
    assert len(rooms) > 20
    assert len(programs) > 8
    absent = sorted(name for name in rooms | programs if not re.search(rf"\b{re.escape(name)}\b", plan))
    assert not absent, f"docs/architecture.md does not say what {', '.join(absent)} is for. Add it."
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [name.removeprefix("bci.") for name in contracts[0]["layers"]]
    assert " > ".join(layers) in plan, f"docs/architecture.md gives other layers than {' > '.join(layers)}."


def test_what_a_document_mentions_in_vain_is_named() -> None:
    text = (
        "`bci.signal.pipeline.STEPS`, `bci.decoder.spec.BundleSpec.value_names`, `bci/cli/`, `bci/cli/<name>.py`, "
        "`tests/test_house.py::PATH`, [a](where.md); `bci.signal.pipeline.NO`, `bci.nowhere`, `bci/cli/no.py`, "
        "`bci/no/<name>.py`, `tests/test_house.py::NO`, [b](nowhere.md)"
    )
    assert no_longer_there(text, ROOT / "docs") == [
        "bci.nowhere",
        "bci.signal.pipeline.NO",
        "bci/cli/no.py",
        "bci/no/<name>.py",
        "nowhere.md",
        "tests/test_house.py::NO",
    ]
