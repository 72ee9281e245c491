"""What is wrong with a settings file is said in words of ours: key, what was expected, what came, what is nearest."""

import copy
import datetime
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bci.config.faults import KINDS, sections_of
from bci.config.record import RecordFile
from bci.config.session import SessionConfig
from bci.config.toml import check_settings, read_toml
from bci.decoder.spec import BundleSpec
from bci.errors import BciError, ConfigError
from models.clusters import ClusterConfig
from models.comparison.settings import ComparisonConfig
from models.comparison.systems_settings import SystemsConfig
from models.generators.dcgan_settings import DcganConfig
from models.generators.spec import GeneratorSpec
from models.systems.alpha.calibration_file import CalibrationConfig
from models.systems.alpha.settings import TrainingConfig
from models.systems.end_to_end.settings import EndToEndConfig
from models.systems.events.settings import EventsConfig
from models.systems.hyper.settings import HyperConfig
from models.systems.miyawaki.settings import MiyawakiConfig

ROOT = Path(__file__).resolve().parents[2]

#: An example of every kind of file that is checked by a settings model.
EXAMPLES: dict[str, type[BaseModel]] = {
    "configs/hyper-insilico.toml": SessionConfig,
    "configs/two-streams.toml": SessionConfig,
    "configs/staircase.toml": SessionConfig,
    "configs/text.toml": SessionConfig,
    "configs/amplifier.toml": SessionConfig,
    "configs/replay-eegmmidb.toml": SessionConfig,
    "configs/alpha-train.toml": TrainingConfig,
    "configs/hyper-insilico-fmri-train.toml": HyperConfig,
    "configs/dcgan-faces.toml": DcganConfig,
    "configs/alpha-calibrate.toml": CalibrationConfig,
    "configs/hyper-insilico-compare.toml": ComparisonConfig,
    "configs/systems-compare.toml": SystemsConfig,
    "configs/cluster-slurm.toml": ClusterConfig,
    "configs/ssvep-train.toml": EventsConfig,
    "configs/n170-train.toml": EventsConfig,
    "configs/miyawaki-train.toml": MiyawakiConfig,
    "configs/end-to-end-train.toml": EndToEndConfig,
    "record": RecordFile,
    "models/bundles/alpha/bundle.json": BundleSpec,
    "models/bundles/dcgan-faces/generator.json": GeneratorSpec,
}

#: What may stand where something else belongs.
WRONG: tuple[Any, ...] = (
    -1e9, float("nan"), 10**40, 0.5, "zzz", "", True, None, [], {}, {"zzz": 1}, [1, "a"], datetime.date(2026, 1, 1),
)  # fmt: skip

#: Sections of anything: what is in them is not the model's to check.
FREE = {"config", "scores", "architecture", "files", "versions"}

#: The validator's own words.
FOREIGN = re.compile(
    r"pydantic|Input should|Field required|Extra inputs|Unable to|valid (number|integer|string|boolean|list|tuple|"
    r"dict|dictionary|path)|type=|input_|instance of|discriminator|tagged|NoneType|another kind of value"
)


def values_of(path: str) -> dict[str, Any]:
    if path == "record":
        return {
            "kind": "record",
            "name": "a",
            "streams": ["x"],
            "seconds": 5.0,
            "on_disk_error": "stop",
            "buffer_s": 12,
        }
    if path.endswith(".json"):
        values: dict[str, Any] = json.loads((ROOT / path).read_text("utf-8"))
        return values
    return read_toml(ROOT / path, "example")


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every key and item, as deep as keys have names."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield (*above, key)
            if key not in FREE:
                yield from places(below, (*above, key))
    elif isinstance(value, list):
        for index, below in enumerate(value[:2]):
            yield (*above, index)
            yield from places(below, (*above, index))


def changed(
    values: dict[str, Any], place: tuple[Any, ...], change: Callable[[Any, Any], None]
) -> dict[str, Any]:
    values = copy.deepcopy(values)
    at: Any = values
    for key in place[:-1]:
        at = at[key]
    change(at, place[-1])
    return values


def refusal(values: dict[str, Any], model: type[BaseModel]) -> str:
    """Return in which words values are refused; nothing where they are not."""
    try:
        check_settings(values, model, "it")
    except BciError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("path", "model"), EXAMPLES.items(), ids=EXAMPLES)
def test_no_wrong_value_of_any_key_is_answered_in_the_validator_s_words(
    path: str, model: type[BaseModel]
) -> None:
    values, refused = values_of(path), 0
    for place in places(values):
        for wrong in WRONG:

            def put(at: Any, key: Any, wrong: Any = wrong) -> None:
                at[key] = wrong

            if said := refusal(changed(values, place, put), model):
                refused += 1
                assert not FOREIGN.search(said), (place, wrong, said)
                assert str(place[0]) in said, (place, wrong, said)
    assert refused > 40


@pytest.mark.parametrize(("path", "model"), EXAMPLES.items(), ids=EXAMPLES)
def test_every_misspelt_key_is_named_with_the_one_that_is_meant(path: str, model: type[BaseModel]) -> None:
    """Two letters change places in every key of a section that the model checks."""
    values, known = values_of(path), {key for _, section in sections_of(model) for key in keys(section)}
    tried = 0
    for place in places(values):
        key = place[-1]
        if not isinstance(key, str) or key not in known or len(key) < 4:
            continue
        misspelt = key[:-2] + key[-1] + key[-2] if key[-1] != key[-2] else key[1] + key[0] + key[2:]

        def rename(at: Any, key: Any, misspelt: str = misspelt) -> None:
            at[misspelt] = at.pop(key)

        said = refusal(changed(values, place, rename), model)
        about = [line for line in said.splitlines() if misspelt in line.partition(":")[0]]
        # Where the key is missing that says which kind a section is, that is said, and no more.
        assert about or not said or key in KINDS, (place, said)
        if about:
            tried += 1
            assert any(f"did you mean {key!r}?" in line for line in about), (place, said)
    assert tried > 3


def keys(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def session(**sections: Any) -> dict[str, Any]:
    return {"name": "s", "source": {"kind": "simulate"}, "decoder": {"bundle": "b"}} | sections


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (session(sorce={}), "sorce: there is no such key (did you mean 'source'?)"),
        (
            session(source={"kind": "simulat"}),
            "source.kind: expected 'simulate', 'sines', 'insilico', 'replay' or 'made', c",
        ),
        (session(source={"kind": "simulat"}), "'simulat' (did you mean 'simulate'?)"),
        (session(source={"seed": 3}), "source.kind: expected 'simulate', 'sines', 'insilico', 'replay' or 'made'"),
        (session(source={"kind": "simulate", "sede": 1}), "source.sede: there is no such key (did you mean 'seed'?)"),
        (session(source={"kind": "simulate", "snr": 1}), "source.snr: there is no such key for this kind; 'insilico'"),
        (session(display={"seconds": 3}), "display.seconds: there is no such key here; it belongs before the f"),
        (session(refresh_hz=60), "refresh_hz: there is no such key here; it belongs in [display]"),
        (session(display={"kind": "widnow"}), "display.kind: expected 'window' or 'headless', came 'widnow'"),
        (session(display={"gamma": "high"}), "display.gamma: expected a number or a list, came 'high'"),
        (session(display={"gamma": [1, 2]}), "display.gamma: expected a number or a list of at least 256, came [1, 2]"),
        (session(display={"monitor": []}), "display.monitor: expected a whole number or text, came []"),
        (session(display=3), "display: expected a section of keys and values, came 3"),
        (session(decoder={}), "decoder.bundle: it is required, and missing: Folder of the bundle"),
        (session(experiment={"protocl": "text"}), "experiment.protocl: there is no such key (did you mean 'protocol'?"),
        (session(stream={"source_id": "a", "rename": {"A1": 3}}), "stream.rename.A1: expected text, came 3"),
        (session(stream={"source_id": "a", "markers": [{"nam": "k"}]}), "nam: there is no such key (did you mean"),
        (session(run={"masks": {"roi": 3}}), "run.masks.roi: expected a path, as text, came 3"),
        (session(stream=[{"name": "a"}, {"name": "b", "source_idd": "x"}]), "stream.1.source_idd: there is no such"),
        (session(name="../up"), "name: expected up to 64 letters, digits, - and _, neither - nor _ first"),
    ],
)  # fmt: skip
def test_a_fault_says_what_was_expected_what_came_and_what_is_nearest(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        check_settings(values, SessionConfig, "it")
    assert words in str(raised.value).replace(".0.", ".").replace(".0:", ":")


def test_a_list_whose_items_are_refused_is_not_called_too_short() -> None:
    values = read_toml(ROOT / "configs" / "alpha-train.toml", "training")
    for recording in values["recordings"]:
        recording["path"] = "/elsewhere/a.edf"
    with pytest.raises(ConfigError) as caught:
        check_settings(values, TrainingConfig, "it")
    assert "recordings.0.path" in str(caught.value)
    assert "a list of at least" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"recordings: expected a list of at least \d, came \[\]"):
        check_settings(values | {"recordings": []}, TrainingConfig, "it")


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ConfigError) as raised:
        check_settings(session(network="moon" * 1000), SessionConfig, "it")
    assert len(str(raised.value)) < 300
