"""One bundle reads a number, another draws the pictures that evolve by it."""

from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import tiny_bundle

from bci.config.session import SessionConfig, parse_session
from bci.control.roster import Roster
from bci.control.session_specs import SessionSpecs
from bci.decoder.result import NumberResult
from bci.decoder.spec import EpochSpec
from bci.errors import ConfigError

EPOCH = EpochSpec(start=0.05, stop=0.25, markers="stimulus .*")


def session(folder: Path, **artist: Any) -> SessionConfig:
    """Make a session that reads a number and evolves by it what another bundle draws."""
    number = NumberResult(kind="number", name="rate")
    tiny_bundle(
        folder / "rate", rate=160.0, length=32, latent=1, result=number, window=EPOCH, height=8, width=8
    )
    tiny_bundle(folder / "faces", rate=160.0, length=32, latent=5, window=EPOCH, **artist)
    values = {
        "name": "rates", "network": "machine", "source": {"kind": "simulate"},
        "decoder": {"bundle": "rate"}, "display": {"kind": "headless"},
        "experiment": {"protocol": "evolution", "drawn_by": "faces"},
    }  # fmt: skip
    return parse_session(values, folder, "rates")


def test_stimuli_are_drawn_by_the_other_bundle_and_scored_by_what_the_first_reads(tmp_path: Path) -> None:
    config = session(tmp_path, height=8, width=8)
    roster = Roster(config, "key")
    assert roster.palette == {"size": (8, 8), "latent": 5, "second_latent": 0, "reading": 1}
    assert Path(SessionSpecs(roster).render()["bundle"]) == tmp_path / "faces"
    alone = config.model_copy(update={"experiment": config.experiment.model_copy(update={"drawn_by": None})})
    assert Roster(alone, "key").palette["latent"] == 0


def test_pictures_of_another_size_than_the_display_shows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="drawn_by: expected a bundle that draws pictures of 8 × 8"):
        Roster(session(tmp_path, height=6, width=8), "key")
