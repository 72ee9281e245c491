"""The reference of keys, ``docs/keys.md``: every key of every kind of file, made from the settings models themselves.

``python -m bci.cli.reference docs/keys.md`` writes it anew; a test compares.
"""

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel

from bci.config.faults import KINDS, sections_of
from bci.config.keys import Key, keys_of_class, keys_of_model

_HEAD = """\
# Keys of every kind of file

Made from the settings themselves by `python -m bci.cli.reference docs/keys.md`; a test keeps it true. Files are TOML. A
key that does not exist is refused, with its nearest neighbour. Paths are relative to their file, then looked for under
`$BCI_DATA`; bundles, pictures and examples that are shipped are found by name. `bci new` writes a file to begin with,
`bci check` tries it.
"""


def keys_page() -> str:
    """Return the page, Markdown."""
    parts = [_HEAD]
    for title, about, model in files():
        parts.append(f"## {title}\n\n{about}\n")
        for section, kind in sections_of(model):
            parts.append(_section(section, kind))
    parts.append(
        "## Steps of a pipeline\n\nA `[[pipeline]]` of training and calibration files, and of bundles: `step` names "
        "one, its other keys are its settings.\n"
    )
    parts += [_table(f'`step = "{name}"`', _first(step), keys_of_class(step)) for name, step in steps()]
    parts.append(
        "## Readouts\n\n`[readout] name` of training files, `[[readouts]] name` of comparisons; `options` are its "
        "keys.\n"
    )
    for name, classes, options in readouts():
        keys = [key for cls in classes for key in keys_of_class(cls) if key.name in options]
        parts.append(_table(f'`name = "{name}"`', _first(classes[0]), keys))
    return "\n".join(parts)


def files() -> Iterator[tuple[str, str, type[BaseModel]]]:
    """Yield every kind of file: its title, which command takes it, and its model."""
    from bci.config.record import RecordFile
    from bci.config.session import SessionConfig
    from bci.decoder.spec import BundleSpec
    from models.clusters import ClusterConfig
    from models.comparison.settings import ComparisonConfig
    from models.comparison.systems_settings import SystemsConfig
    from models.generators.registry import trained_kinds
    from models.generators.spec import GeneratorSpec
    from models.systems.registry import systems

    yield "Session file", "`bci run`, `bci check` and `bci certify` take it.", SessionConfig
    for kind, system in systems().items():
        if system.settings is not None:
            said = f'`kind = "{kind}"`' if "kind" in system.settings().model_fields else "without `kind`"
            about = f"`bci train` takes it: {system.about}."
            yield f"Training file of a decoder, {said}", about, system.settings()
    for kind, generator in trained_kinds().items():
        assert generator.settings is not None
        about = f"`bci train` takes it: {generator.about}."
        yield f'Training file of a generator, `kind = "{kind}"`', about, generator.settings()
    for system in systems().values():
        if system.calibrating is not None:
            yield "Calibration file", "`bci calibrate` takes it.", system.calibrating.settings()
    yield 'Record file, `kind = "record"`', "`bci record` takes it.", RecordFile
    yield "Comparison file", "`bci compare` takes it.", ComparisonConfig
    yield 'Comparison of systems, `kind = "comparison-of-systems"`', "`bci compare` takes it.", SystemsConfig
    yield 'Cluster file, `kind = "cluster"`', "`bci compare --cluster FILE` takes it.", ClusterConfig
    yield "`bundle.json`", "Written by `bci train` and `bci calibrate`; `bci info` shows it.", BundleSpec
    yield "`generator.json`", "Written by `bci train`, in a generator's package.", GeneratorSpec


def steps() -> list[tuple[str, type]]:
    """Return every step of a pipeline by its name."""
    from bci.signal.pipeline import STEPS, step_name

    return [(step_name(step), step) for step in STEPS]


def readouts() -> Iterator[tuple[str, tuple[type, ...], list[str]]]:
    """Yield every readout: its name, the classes that its options are settings of, and the options."""
    from models.readouts.family import FAMILY, WITH_GENERATOR, classes_of, options_of

    for name in (*FAMILY, *WITH_GENERATOR):
        yield name, classes_of(name), options_of(name)


def _section(name: str, model: type[BaseModel]) -> str:
    title = f"`[{name}]`" if name else "At the top"
    kind = next((f'{key} = "{tag}"' for key in KINDS if name and (tag := _only(model, key))), "")
    return _table(f"{title}, `{kind}`" if kind else title, _first(model), keys_of_model(model))


def _only(model: type[BaseModel], key: str) -> str:
    """Return the one word that a section of this kind has under a key; empty where it has none, or several."""
    field = model.model_fields.get(key)
    words = get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()
    return str(words[0]) if len(words) == 1 else ""


def _first(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")


def _table(title: str, about: str, keys: Sequence[Key]) -> str:
    rows = [
        f"| `{key.name}` | {_cell(key.kind)} | {key.unit} | {_cell(key.default)} | {_cell(key.meaning)} |"
        for key in keys
    ]
    head = ["| key | type | unit | default | |", "|---|---|---|---|---|"] if rows else []
    return "\n".join([f"### {title}", "", about, "", *head, *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(keys_page(), encoding="utf-8")
