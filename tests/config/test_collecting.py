"""A session file without a decoder collects; what would wait for a reading is refused in words."""

from pathlib import Path
from typing import Any

import pytest

from bci.config.session import SessionConfig, load_session, parse_session
from bci.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
PICTURES = {"folder": "faces"}


def collecting(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "stream": {"source_id": "amp"}, "experiment": PICTURES} | changes


def test_an_experiment_and_a_stream_are_a_session(tmp_path: Path) -> None:
    config = parse_session(collecting(), tmp_path, "it")
    assert (config.decoders, config.feeds, config.feed_of_phase, config.shown_stream) == ((), (), {}, 0)
    written = config.model_dump(mode="json")
    assert written["decoder"] is None
    assert SessionConfig.model_validate(written) == config


@pytest.mark.parametrize("name", ["images", "perception", "imagery", "oddball", "text"])
def test_protocols_that_read_nothing_can_collect(name: str, tmp_path: Path) -> None:
    needed: dict[str, Any] = {
        "images": PICTURES,
        "perception": PICTURES,
        "imagery": {"words": ["left"], "feedback_s": 0},
        "oddball": PICTURES,
        "text": {"words": ["left"]},
    }[name]
    config = parse_session(collecting(experiment={"protocol": name, **needed}), tmp_path, "it")
    assert config.experiment is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"experiment": None}, r"neither \[decoder\] nor \[experiment\].*bci record"),
        (
            {"experiment": PICTURES | {"feedback_s": 0.5}},
            "feedback_s = 0.5 shows what a decoder reads.*no \\[decoder\\]",
        ),
        ({"experiment": PICTURES | {"protocol": "staircase"}}, "staircase.* goes by what a decoder reads"),
        ({"experiment": {"protocol": "evolution"}}, "evolution.* goes by what a decoder reads"),
        ({"experiment": {"protocol": "neurofeedback"}}, "neurofeedback.* goes by what a decoder reads"),
        ({"experiment": {"protocol": "latents"}}, "a generator draws, and drawn_by names no bundle"),
        ({"display": {"decoder": "eyes"}}, r"\[display\] decoder names 'eyes'; there are the decoders none"),
        ({"publish": {"source_id": "a", "decoder": "eyes"}}, r"\[publish\] offers what a decoder reads"),
        ({"publish": {"source_id": "a"}}, r"\[publish\] offers what a decoder reads"),
    ],
)
def test_what_needs_a_decoder_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_session(collecting(**changes), tmp_path, "it")


def test_the_shipped_example_collects() -> None:
    config = load_session(ROOT / "configs" / "collect.toml")
    assert not config.decoders
    assert config.subject is not None
