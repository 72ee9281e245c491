"""A protocol of the experimenter's own is a file or a module that the session file names, with settings of its own."""

import sys
from pathlib import Path
from typing import Any

import pytest
from protocol_settings import PALETTE, trials

from bci.config.session import parse_session
from bci.errors import ConfigError
from stimuli.protocols import count, open_protocol
from stimuli.protocols.own import keep_own

FLICKER = '''
from pydantic import BaseModel

from stimuli.trials import Text, timed


class Settings(BaseModel):
    """Words."""

    word: str = "go"
    """Which word."""
    times: int = 3
    """How often."""


def protocol(spec, palette):
    for number in range(spec["times"]):
        yield timed(spec, number, spec["word"], Text(spec["word"]), kind="flicker")


def count(spec):
    return spec["times"]
'''


def settings(folder: Path, **experiment: Any) -> dict[str, Any]:
    values = {
        "name": "a", "stream": {"source_id": "s"}, "decoder": {"bundle": "b"}, "experiment": experiment,
    }  # fmt: skip
    config = parse_session(values, folder, "a session")
    assert config.experiment is not None
    # A session file that is changed by the command line is checked again.
    assert config.with_sections(seconds=5.0).experiment == config.experiment
    return config.experiment.model_dump()


def test_a_file_beside_the_session_file_is_a_protocol_with_settings_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "flicker.py").write_text(FLICKER)
    spec = settings(tmp_path, protocol="flicker.py", settings={"times": 4}, stimulus_s=0.25)
    assert count(spec) == 4
    shown = trials(spec)
    assert [(trial.name, trial.kind, trial.stimulus_s) for trial in shown] == [("go", "flicker", 0.25)] * 4
    phases = trials(spec | {"phases": ("one", "two")})
    assert [trial.phase for trial in phases] == ["one"] * 4 + ["two"] * 4


def test_a_module_that_is_installed_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = tmp_path / "my_lab"
    lab.mkdir()
    (lab / "__init__.py").touch()
    (lab / "flicker.py").write_text(FLICKER.replace("def count", "def uncounted"))
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = settings(tmp_path, protocol="my_lab.flicker")
    assert count(spec) is None
    assert len(trials(spec)) == 3
    for name in ("my_lab.flicker", "my_lab"):
        monkeypatch.delitem(sys.modules, name)


def test_its_file_is_kept_in_the_session_s_folder_and_must_not_change_in_it(tmp_path: Path) -> None:
    file, session = tmp_path / "flicker.py", tmp_path / "session"
    session.mkdir()
    file.write_text(FLICKER)
    keep_own(str(file), session)
    keep_own(str(file), session)
    assert (session / "protocol-flicker.py").read_text() == FLICKER
    file.write_text(FLICKER + "# changed\n")
    with pytest.raises(ConfigError, match="has changed since the session began"):
        keep_own(str(file), session)
    keep_own("text", session)
    assert len(list(session.iterdir())) == 1


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        (FLICKER, {"wrod": "stop"}, "there is no 'wrod'.*did you mean 'word'"),
        (FLICKER, {"times": "many"}, r"times: expected a whole number, came 'many'"),
        ("x = 1", {}, r"expected a function protocol\(spec, palette\) in it"),
        ("def protocol(spec, palette): yield", {"a": 1}, "defines no class Settings; came a"),
        ("import nothing_like_it", {}, "cannot be imported: ModuleNotFoundError"),
        (FLICKER.replace("times", "blank_s"), {}, "its Settings have blank_s"),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, text: str, values: dict[str, Any], words: str) -> None:
    (tmp_path / "own.py").write_text(text)
    spec = settings(tmp_path, protocol="own.py", settings=values)
    with pytest.raises(ConfigError, match=words):
        open_protocol(spec, PALETTE)


def test_only_a_file_in_the_session_file_s_folder_is_run(tmp_path: Path) -> None:
    for name in ("../flicker.py", str(tmp_path.parent / "flicker.py")):
        with pytest.raises(ConfigError, match="expected a file in the session file's folder"):
            settings(tmp_path, protocol=name)
    with pytest.raises(ConfigError, match="there is no such file"):
        open_protocol(settings(tmp_path, protocol="flicker.py"), PALETTE)
    with pytest.raises(ConfigError, match="a Python file or a module"):
        settings(tmp_path, protocol="flicker.txt; rm")
