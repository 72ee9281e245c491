"""A session file becomes a line: its posts, what each is told, which events a decoder takes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from tiny_bundle import tiny_bundle

from bci.config.session import SessionConfig
from bci.control.session_plan import SessionPlan
from bci.decoder.bundle import Bundle
from bci.decoder.spec import EpochSpec
from bci.errors import ConfigError
from bci.io.lsl.address import Address
from bci.io.lsl.stated import Stated

SINES = {"kind": "sines", "rate": 100, "shape": [3], "channels": ["O1", "Oz", "O2"], "unit": "uV"}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """Give a bundle of sliding windows, and one of epochs."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "windows": tiny_bundle(folder / "windows"),
        "epochs": tiny_bundle(
            folder / "epochs", window=EpochSpec(start=0.0, stop=0.2, markers="go.*"), length=20
        ),
    }


def plan(bundles: dict[str, Bundle], *decoders: dict[str, Any], **sections: Any) -> SessionPlan:
    values = {
        "name": "planned",
        "stream": [{"name": "eeg", "markers": ["keys", "buttons"]}, {"name": "emg", "source_id": "amp"}],
        "source": SINES,
        "decoder": [
            {"name": f"d{i}", **decoder, "bundle": bundles[decoder.get("bundle", "windows")].folder}
            for i, decoder in enumerate(decoders)
        ],
        "display": {"kind": "headless"},
    }
    return SessionPlan(SessionConfig.model_validate(values | sections))


def test_each_stream_and_each_decoder_has_its_own_program_and_rings(bundles: dict[str, Bundle]) -> None:
    made = plan(bundles, {}, {"stream": "emg"}, publish={"source_id": "out", "decoder": "d1"})
    assert [post.name for post in made.line] == [
        "acquire", "acquire:emg", "source", "decode", "decode:d1", "display", "publish:d1", "record",
    ]  # fmt: skip
    acquire, other = made.line["acquire"], made.line["acquire:emg"]
    assert (acquire.streams, acquire.rings) == (
        {"stream": "stream"},
        {"markers": "markers", "markers-2": "markers-2"},
    )
    assert (other.streams, other.rings) == ({"stream": "stream:emg"}, {})
    assert acquire.takes == [made.roster.source_id(0), "keys", "buttons"]
    assert other.takes == ["amp"]
    assert made.line["decode:d1"].streams == {"stream": "stream:emg"}
    assert made.line["publish:d1"].rings == {"frames": "frames:d1"}
    assert list(made.line["record"].streams) == ["stream", "stream-2"]


def test_the_display_is_told_the_decoder_that_drives_it_and_whom_to_watch(bundles: dict[str, Bundle]) -> None:
    made = plan(bundles, {}, {"stream": "emg"}, display={"kind": "headless", "decoder": "d1"})
    assert made.line["display"].rings["frames"] == "frames:d1"
    made.roster.info = lambda stream: SimpleNamespace(speed=1.0)  # type: ignore[method-assign]
    told = made.line["display"].specify()
    (feed,) = told["feeds"]
    assert feed["decoder"] == 1
    assert feed["watch"] == ("acquire:emg", "decode:d1")
    assert feed["data_from"] == ("acquire:emg",)
    assert feed["hop_seconds"] == pytest.approx(0.1)


WORDS = {"protocol": "text", "words": ["go"], "feedback_s": 0.5, "phases": ["doing", "imagining"]}


def test_a_session_says_which_decoder_feeds_the_display_in_which_phase(bundles: dict[str, Bundle]) -> None:
    display = {"kind": "headless", "decoders": {"imagining": "d2"}}
    made = plan(
        bundles,
        {"bundle": "epochs"},
        {},
        {"bundle": "epochs", "stream": "emg"},
        display=display,
        experiment=WORDS,
        preview={"kind": "file"},
    )
    for name in ("display", "engine", "preview"):
        rings = made.line[name].rings
        assert (rings["frames"], rings["frames-2"]) == ("frames", "frames:d2")
        assert "frames-3" not in rings
    assert made.line["preview"].rings["decode_marks-2"] == "decode_marks:d2"
    made.roster.info = lambda stream: SimpleNamespace(speed=1.0)  # type: ignore[method-assign]
    first, second = made.line["display"].specify()["feeds"]
    assert (first["decoder"], first["watch"]) == (0, ("acquire", "decode"))
    assert (second["decoder"], second["watch"]) == (2, ("acquire:emg", "decode:d2"))
    assert made.line["engine"].specify()["feeds"] == {"doing": 0, "imagining": 1}
    assert made.line["preview"].specify()["decoders"] == (0, 2)


@pytest.mark.parametrize(
    ("decoders", "words"),
    [
        ({"imagery": "d1"}, r"names the phase 'imagery'; \[experiment\] phases has doing, imagining"),
        ({"doing": "arms"}, r"\[display.decoders\] names 'arms'; there are the decoders d0, d1"),
    ],
)
def test_a_phase_or_a_decoder_that_is_not_there_is_refused(
    bundles: dict[str, Bundle], decoders: dict[str, str], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        plan(bundles, {}, {}, display={"decoders": decoders}, experiment=WORDS)


def test_decoders_that_take_turns_make_pictures_of_one_size(
    bundles: dict[str, Bundle], tmp_path: Path
) -> None:
    others = bundles | {"wide": tiny_bundle(tmp_path / "wide", width=7)}
    with pytest.raises(ConfigError, match=r"take turns on the screen make pictures and latents of one size"):
        plan(others, {}, {"bundle": "wide"}, display={"decoders": {"doing": "d1"}}, experiment=WORDS)


def test_an_old_session_file_has_the_line_it_always_had(bundles: dict[str, Bundle]) -> None:
    made = plan(bundles, stream={}, decoder={"bundle": bundles["windows"].folder})
    stages = [[post.name for post in stage] for stage in made.line.stages]
    assert stages == [["source"], ["decode", "display", "record"], ["acquire"]]
    assert made.line["decode"].rings == {"frames": "frames", "decode_marks": "decode_marks"}
    assert set(made.line["record"].rings) == {
        "frames", "decode_marks", "markers", "shown", "rig_marks",
    }  # fmt: skip


def test_a_decoder_takes_the_events_of_its_stream_or_those_it_names(bundles: dict[str, Bundle]) -> None:
    epochs = {"bundle": "epochs"}
    made = plan(bundles, epochs, epochs | {"markers": "buttons"}, epochs | {"stream": "emg"})
    events = [made.line[name].rings["markers"] for name in ("decode", "decode:d1", "decode:d2")]
    assert events == ["markers", "markers-2", "markers"]
    with pytest.raises(
        ConfigError, match=r"markers names 'pedal', which no stream takes along; there are keys"
    ):
        plan(bundles, epochs | {"markers": "pedal"})


def test_markers_of_a_session_stand_for_those_that_a_bundle_knows(bundles: dict[str, Bundle]) -> None:
    made = plan(bundles, {"bundle": "epochs", "events": {"go": "flash [12]"}})
    assert made.line["decode"].specify()["events"] == {"go": "flash [12]"}
    for events, words in (
        ({"stay": "flash"}, r"names 'stay'; bundle .* cuts epochs around markers that match 'go"),
        ({"go": "(flash"}, "is no regular expression"),
    ):
        with pytest.raises(ConfigError, match=words):
            plan(bundles, {"bundle": "epochs", "events": events})
    with pytest.raises(ConfigError, match="decodes sliding windows"):
        plan(bundles, {"bundle": "windows", "events": {"1": "flash"}})


def test_a_decoder_of_epochs_without_any_events_is_refused(bundles: dict[str, Bundle]) -> None:
    decoder = {"bundle": bundles["epochs"].folder}
    # What a simulator sends beside its samples is no event.
    with pytest.raises(ConfigError, match="names no stream of markers"):
        plan(bundles, stream={}, decoder=decoder)
    # A recording's markers are, and so are those of a network that makes signals for images.
    for source in ({"kind": "replay", "file": "somewhere.xdf"}, {"kind": "made", "model": "somewhere"}):
        made = plan(bundles, stream={}, decoder=decoder, source=source)
        assert made.line["decode"].rings["markers"] == "markers"
        assert made.line["source"].specify()["marker_consumer"] is True


def test_a_recording_is_played_as_fast_as_the_decoders_of_its_stream_follow(
    bundles: dict[str, Bundle],
) -> None:
    recording = {"kind": "replay", "file": "somewhere.xdf", "speed": "max", "feeds": "emg"}
    streams = [{"name": "eeg", "source_id": "a"}, {"name": "emg"}]
    made = plan(bundles, {}, {"stream": "emg"}, {"stream": "emg"}, stream=streams, source=recording)
    told = made.line["source:emg"].specify()
    assert told["followers"] == ["decode:d1", "decode:d2"]
    assert told["source_id"] == made.roster.source_id(1)


def test_acquire_is_told_what_finds_its_streams_and_what_is_stated_of_them(
    bundles: dict[str, Bundle],
) -> None:
    stream = {
        "name": "Crown",
        "type": "EEG",
        "channels": ["O1", "Oz", "O2"],
        "unit": "uV",
        "gap_tolerance_s": 0.25,
    }
    markers = ["keys", {"name": "Crown Markers"}]
    decoder = {"bundle": bundles["epochs"].folder, "markers": "Crown Markers"}
    made = plan(bundles, stream=stream | {"markers": markers}, decoder=decoder, source=None)
    made.roster.data_age_limit = lambda stream: 0.5  # type: ignore[method-assign]
    told = made.line["acquire"].specify()
    assert told["source_id"] == Address(name="Crown", kind="EEG")
    assert told["markers"] == (Address("keys"), Address(name="Crown Markers"))
    assert (told["stated"], told["gap_tolerance"]) == (Stated(("O1", "Oz", "O2"), "uV"), 0.25)
    assert made.line["decode"].rings["markers"] == "markers-2"


COLLECT = {"protocol": "text", "words": ["go"]}


def collecting(**sections: Any) -> SessionPlan:
    """Plan a session without a decoder."""
    values = {
        "name": "collect", "stream": {"source_id": "amp"}, "display": {"kind": "headless"}, "experiment": COLLECT,
        "preview": {"kind": "file"},
    }  # fmt: skip
    return SessionPlan(SessionConfig.model_validate(values | sections))


def test_a_session_without_a_decoder_shows_records_and_takes_the_flips_along() -> None:
    made = collecting()
    assert [post.name for post in made.line] == ["engine", "acquire", "display", "preview", "record"]
    assert made.line["acquire"].takes == ["amp", "bci-flips"]
    assert not [ring for post in made.line for ring in post.rings.values() if "frames" in ring]
    made.roster.info = lambda stream: SimpleNamespace(  # type: ignore[method-assign]
        speed=1.0, signal=SimpleNamespace(rate=100.0)
    )
    told = made.line["display"].specify()
    assert told["picture_px"] == (256, 256)
    # Without data or a receiver of it, a stimulus would be shown for nothing.
    (feed,) = told["feeds"]
    assert (feed["watch"], feed["data_from"], feed["data_age_limit"]) == (("acquire",), ("acquire",), 0.5)
    assert made.line["engine"].specify()["reading"] == 0


def test_a_stream_at_no_fixed_rate_may_be_silent_while_stimuli_are_shown() -> None:
    made = collecting()
    made.roster.info = lambda stream: SimpleNamespace(  # type: ignore[method-assign]
        speed=1.0, signal=SimpleNamespace(rate=0.0)
    )
    (feed,) = made.line["display"].specify()["feeds"]
    assert (feed["data_from"], feed["data_age_limit"]) == ((), None)


def test_pictures_of_a_session_that_collects_have_the_size_that_it_asks_for(
    bundles: dict[str, Bundle],
) -> None:
    assert collecting(display={"kind": "headless", "picture_px": [64, 48]}).roster.image_size == (48, 64)
    with pytest.raises(
        ConfigError, match=r"picture_px: expected \d+ × \d+, the size of the pictures of bundle"
    ):
        plan(bundles, {}, {}, display={"kind": "headless", "picture_px": [64, 48]})


def test_latents_that_are_collected_are_drawn_by_the_bundle_that_is_named(bundles: dict[str, Bundle]) -> None:
    drawn_by = str(bundles["windows"].folder)
    made = collecting(experiment={"protocol": "latents", "drawn_by": drawn_by})
    assert made.roster.image_size == bundles["windows"].image_size
    assert (made.roster.palette["latent"], made.roster.palette["reading"]) == (
        bundles["windows"].latent_size,
        0,
    )
    assert made.line["render"].specify() == {
        "bundle": drawn_by, "second_bundle": None, "provider": "cpu", "precision": "float32", "card": {},
        "tried": bundles["windows"].tried,
    }  # fmt: skip
