"""The reference of keys is what the settings models say, and says something of every key."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bci.cli.reference import files, keys_page, readouts, steps
from bci.config.faults import sections_of
from bci.config.keys import Key, keys_of_class, keys_of_model
from bci.errors import ConfigError
from models.readouts.family import FAMILY, build_readout, options_of

ROOT = Path(__file__).resolve().parents[2]


def rows() -> Iterator[tuple[str, Key]]:
    """Yield every key, with the file and the section that it belongs to."""
    for title, _, model in files():
        for section, kind in sections_of(model):
            for key in keys_of_model(kind):
                yield f"{title}, [{section}] {kind.__name__}", key
    for name, step in steps():
        yield from ((f"step {name}", key) for key in keys_of_class(step))
    for name, classes, options in readouts():
        for cls in classes:
            yield from ((f"readout {name}", key) for key in keys_of_class(cls) if key.name in options)


def test_the_page_is_the_one_that_the_settings_give() -> None:
    assert (ROOT / "docs" / "keys.md").read_text("utf-8") == keys_page(), (
        "a key has changed: python -m bci.cli.reference docs/keys.md"
    )


def test_every_key_has_a_type_a_default_and_a_description() -> None:
    found = list(rows())
    assert len(found) > 300
    assert not [f"{place}: {key.name}" for place, key in found if not key.meaning]
    assert not [f"{place}: {key.name}" for place, key in found if not key.default or "any value" == key.kind]
    # A time has its unit, whatever its key is called.
    for place, key in found:
        if key.name.endswith(("_s", "_ms", "seconds", "_hz", "_deg")):
            assert key.unit, (place, key)


def test_every_key_of_every_example_stands_in_the_reference() -> None:
    known = {key.name for _, key in rows()} | {"step"}

    def keys(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, below in value.items():
                yield key
                if key not in (
                    "rename",
                    "masks",
                    "channels",
                    "classes",
                    "decoders",
                    "events",
                    "frequencies",
                ):  # their keys are names of the reader's own
                    yield from keys(below)
        elif isinstance(value, list):
            for below in value:
                yield from keys(below)

    for example in (ROOT / "configs").glob("*.toml"):
        missing = set(keys(tomllib.loads(example.read_text("utf-8")))) - known
        assert not missing, (example.name, missing)


def test_every_kind_of_file_and_of_section_is_there() -> None:
    titles = [title for title, _, _ in files()]
    for word in (
        "Session",
        "without `kind`",
        "hyper-insilico",
        "dcgan",
        "Calibration",
        "Comparison",
        "bundle.json",
    ):
        assert any(word in title for title in titles), word
    page = keys_page()
    for section in (
        '`[source]`, `kind = "replay"`',
        '`[experiment]`, `protocol = "text"`',
        "`[limits]`",
        "`[game]`",
    ):
        assert f"### {section}\n" in page, section


@pytest.mark.parametrize("name", FAMILY)
def test_an_option_that_a_readout_does_not_take_is_named_with_its_nearest(name: str) -> None:
    options = options_of(name)
    misspelt = f"{options[0]}s" if options else "alpha"
    with pytest.raises(ConfigError, match=f"came {misspelt}") as raised:
        build_readout(name, **{misspelt: 1})
    assert ("did you mean" in str(raised.value)) is bool(options)
