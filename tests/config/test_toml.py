"""A settings file from a stranger is read or refused in words, within a second and a few megabytes."""

import time
from pathlib import Path

import pytest

from bci.config.toml import read_toml
from bci.errors import ConfigError

HOSTILE = {
    "brackets": ("a = " + "[" * 100_000, "nest too deep"),
    "tables in tables": ("a = " + "{a = " * 50_000, "nest too deep"),
    "a key of fifty thousand parts": ("a." * 50_000 + "b = 1", "came one of 50001"),
    "a header of a hundred thousand parts": ("[" + "a . " * 100_000 + "b]", "came one of 100001"),
    "quoted parts in a table": ('x = {"a"' + ".'b'" * 300 + " = 1}", "came one of 301"),
    "a number of 5,000 digits": ("a = " + "1" * 5000, "not valid TOML"),
    "a string without an end": ('a = "' + '\\"' * 100_000, "not valid TOML"),
    "quotes by the thousand": ("a = " + "'\"" * 100_000, "not valid TOML"),
    "two megabytes": ("#" * 2_000_000, "at most 1 MB"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_made_to_do_harm_is_refused_in_words_and_at_once(tmp_path: Path, name: str) -> None:
    text, words = HOSTILE[name]
    path = tmp_path / "session.toml"
    path.write_text(text)
    began = time.process_time()
    with pytest.raises(ConfigError, match=words) as caught:
        read_toml(path, "session")
    assert time.process_time() - began < 3
    assert "session.toml" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_byte_order_mark_is_no_fault_and_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "session.toml"
    path.write_text('name = "größe"', encoding="utf-8-sig")
    assert read_toml(path, "session") == {"name": "größe"}
    path.write_text('name = "größe"', encoding="utf-16")
    with pytest.raises(ConfigError, match=r"session file: .* is no UTF-8 text.*Save it as UTF-8"):
        read_toml(path, "session")


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c = 1",
        "a = 'x." + "y." * 200 + "'",
        "# " + "a." * 200,
        'a = """\n' + "b." * 200 + '"""',
        "a = " + "[" * 50 + "]" * 50,
    ],
)
def test_what_a_person_writes_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "session.toml"
    path.write_text(text)
    assert set(read_toml(path, "session")) <= {"a"}
