"""A session file is frozen, checked whole, and every error names its key."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from bci.config.session import load_session
from bci.errors import ConfigError

GOOD = """
name = "alpha"
network = "machine"
[source]
kind = "replay"
file = "rec.edf"
speed = 2.0
[decoder]
bundle = "../bundles/alpha"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "session.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_session(write(tmp_path, GOOD))
    assert config.source is not None
    assert config.source.kind == "replay"
    assert config.source.file == tmp_path / "rec.edf"
    assert config.decoder.bundle == tmp_path / "../bundles/alpha"


def test_a_session_cannot_be_changed_once_it_is_read(tmp_path: Path) -> None:
    config = load_session(write(tmp_path, GOOD))
    with pytest.raises(ValidationError, match="frozen"):
        config.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("speed = 2.0", "spede = 2.0"), ["source.replay.spede", "no such key"]),
        (("speed = 2.0", "speed = -1"), ["source.replay.speed", "greater than 0", "-1"]),
        (('name = "alpha"', 'name = "../../etc"'), ["name", "pattern", "../../etc"]),
        (('network = "machine"', 'network = "moon"'), ["network", "machine", "lab", "moon"]),
        (('bundle = "../bundles/alpha"', ""), ["decoder.bundle", "required"]),
        (('kind = "replay"', 'kind = "guess"'), ["source", "guess"]),
        (("[decoder]", "[filter]\nlow = 8\n[decoder]"), ["filter", "no such key"]),
        (("[source]", "[source"), ["not valid TOML"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], words: list[str]) -> None:
    assert change[0] in GOOD
    with pytest.raises(ConfigError) as raised:
        load_session(write(tmp_path, GOOD.replace(*change)))
    for word in words:
        assert word in str(raised.value)


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_session(write(tmp_path, GOOD.replace("speed", "spede").replace("network", "netwrok")))
    assert "spede" in str(raised.value)
    assert "netwrok" in str(raised.value)


@pytest.mark.parametrize(
    ("display", "words"),
    [
        ('photodiode_stream = "diode"', "set photodiode = true"),
        ('photodiode = true\nphotodiode_channel = "AUX"', "not the photodiode_stream"),
    ],
)
def test_a_photodiode_needs_a_patch_and_a_stream(tmp_path: Path, display: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_session(write(tmp_path, f"{GOOD}[display]\n{display}\n"))


def test_a_session_needs_a_stream(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="which stream"):
        load_session(write(tmp_path, 'name = "a"\n[decoder]\nbundle = "b"\n'))


def test_a_missing_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load_session(tmp_path / "nowhere.toml")
