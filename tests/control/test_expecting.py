"""An experiment begins with the encoding model of the bundle that reads its trials, or is refused."""

from pathlib import Path

import pytest
from PIL import Image
from planted_encoding import encoding_bundle
from tiny_bundle import tiny_bundle

from bci.config.session import SessionConfig, parse_session
from bci.control.roster import Roster
from bci.control.session_specs import SessionSpecs
from bci.decoder.spec import EpochSpec
from bci.errors import ConfigError

EPOCH = EpochSpec(start=0.05, stop=0.25, markers="stimulus .*")


def session(folder: Path, encoding: str) -> SessionConfig:
    for name in ("reads", "other"):
        encoding_bundle(folder / name, name=name, rate=160.0, length=32, window=EPOCH)
    tiny_bundle(
        folder / "plain", name="plain", rate=160.0, length=32, window=EPOCH, latent=4, height=8, width=8
    )
    (folder / "faces").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "faces" / "a.png")
    values = {
        "name": "tells", "network": "machine", "source": {"kind": "simulate"},
        "decoder": {"bundle": "reads"}, "display": {"kind": "headless"},
        "experiment": {"protocol": "expected_information", "folder": "faces", "encoding": encoding},
    }  # fmt: skip
    return parse_session(values, folder, "tells")


def test_the_engine_is_told_which_bundle_its_experiment_begins_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Roster, "speed", lambda roster, stream: 1.0)
    roster = Roster(session(tmp_path, "reads"), "key")
    spec = SessionSpecs(roster).engine()
    assert spec["encoding_hash"] == roster.bundles[0].hash
    assert spec["encoding"] == tmp_path / "reads"


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        (
            "plain",
            r"\[experiment\] encoding: expected a bundle with an encoding model, came 'plain', which has none",
        ),
        ("other", r"expected the bundle that reads the trials, 'reads', came 'other'"),
    ],
)
def test_a_bundle_that_cannot_say_what_is_read_is_refused(tmp_path: Path, encoding: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Roster(session(tmp_path, encoding), "key")
