"""A session file is frozen, checked whole, and every error names its key."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bci.config.session import SessionConfig, load_session, parse_session
from bci.config.stream import StreamSettings
from bci.errors import ConfigError
from bci.io.lsl.address import Address

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
        (("speed = 2.0", "spede = 2.0"), ["source.spede", "no such key", "did you mean 'speed'?"]),
        (("speed = 2.0", "speed = -1"), ["source.speed", "at least 0.001", "-1"]),
        (('name = "alpha"', 'name = "../../etc"'), ["name", "pattern", "../../etc"]),
        (('network = "machine"', 'network = "moon"'), ["network", "machine", "lab", "moon"]),
        (('bundle = "../bundles/alpha"', ""), ["decoder.bundle", "required"]),
        (('kind = "replay"', 'kind = "guess"'), ["source.kind", "guess", "'replay'"]),
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


def several(**changes: Any) -> dict[str, Any]:
    """Return a session of two streams and two decoders."""
    return {
        "name": "two",
        "stream": [{"name": "eeg", "source_id": "a", "markers": "keys"}, {"name": "emg", "source_id": "b"}],
        "decoder": [{"name": "eyes", "bundle": "x"}, {"name": "arms", "bundle": "y", "stream": "emg"}],
    } | changes


def test_a_session_may_have_several_streams_and_decoders(tmp_path: Path) -> None:
    config = parse_session(several(display={"decoder": "arms"}), tmp_path, "two")
    assert [stream.name for stream in config.streams] == ["eeg", "emg"]
    assert [decoder.bundle for decoder in config.decoders] == [tmp_path / "x", tmp_path / "y"]
    assert (config.driver, config.decoded_by(0), config.decoded_by(1)) == (1, 0, 1)
    assert [stream.marker_ids for stream in config.streams] == [("keys",), ()]


def test_a_session_that_is_written_again_says_what_it_said(tmp_path: Path) -> None:
    one = {"name": "one", "stream": {"source_id": "a"}, "decoder": {"bundle": "x"}}
    for values in (one, several()):
        config = parse_session(values, tmp_path, "it")
        written = config.model_dump(mode="json")
        assert isinstance(written["stream"], dict if values is one else list)
        assert isinstance(written["decoder"], dict if values is one else list)
        assert SessionConfig.model_validate(written) == config


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decoder": [{"bundle": "x"}, {"bundle": "y"}]}, r"there are 2 \[\[decoder\]\]: each needs a name"),
        ({"decoder": []}, r"neither \[decoder\] nor \[experiment\]"),
        ({"stream": []}, r"at least one \[stream\]"),
        (
            {"decoder": [{"name": "eyes", "bundle": "x"}, {"name": "eyes", "bundle": "y"}]},
            r"two \[\[decoder\]\] have one name: eyes, eyes",
        ),
        (
            {"decoder": {"name": "eyes", "bundle": "x", "stream": "ecg"}},
            r"\[decoder\] stream names 'ecg'; there are the streams eeg, emg",
        ),
        (
            {"display": {"decoder": "legs"}},
            r"\[display\] decoder names 'legs'; there are the decoders eyes, arms",
        ),
        ({"publish": [{"source_id": "a"}, {"source_id": "b", "decoder": "eyes"}]}, r"two \[publish\] belong"),
        ({"decoder": {"name": "Eyes!", "bundle": "x"}}, r"decoder\.name: .*pattern"),
        ({"stream": [{"name": "eeg", "source_id": "a"}, {"name": "emg"}]}, "which stream 'emg'"),
        (
            {"stream": {"source_id": "a", "markers": ["k", "k"]}, "decoder": {"bundle": "x"}},
            "a stream of markers is named twice: k, k",
        ),
        ({"stream": [{"name": "decode", "source_id": "a"}], "decoder": {"bundle": "x"}}, "'decode' is taken"),
    ],
)
def test_sections_that_do_not_fit_together_are_refused_in_words(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_session(several(**changes), tmp_path, "two")


def test_a_key_of_one_section_is_named_without_a_number(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?m)^  stream\.source_idd: there is no such key"):
        parse_session({"name": "a", "stream": {"source_idd": 3}, "decoder": {"bundle": "x"}}, tmp_path, "a")
    streams = [{"name": "eeg", "source_id": "a"}, {"name": "emg", "source_id": "b", "rat": 3}]
    with pytest.raises(ConfigError, match=r"(?m)^  stream\.1\.rat: there is no such key"):
        parse_session(several(stream=streams), tmp_path, "two")


@pytest.mark.parametrize(
    ("stream", "address"),
    [
        ({"source_id": "crown-1", "type": "EEG"}, "source_id=crown-1,type=EEG"),
        ({"name": "Crown EEG"}, "name=Crown EEG"),
        ({"host": "lab-2", "name": "Crown"}, "name=Crown,host=lab-2"),
        ({"source_id": "crown-1"}, "crown-1"),
    ],
)
def test_one_stream_is_found_by_source_id_name_type_or_host(stream: dict[str, str], address: str) -> None:
    config = SessionConfig.model_validate({"name": "x", "stream": stream, "decoder": {"bundle": "x"}})
    assert str(config.address_of(0)) == address
    assert Address.parse(address) == config.address_of(0)


def test_of_several_streams_a_name_is_the_sessions_and_lsl_name_the_networks(tmp_path: Path) -> None:
    streams = [{"name": "eeg", "source_id": "a"}, {"name": "emg", "lsl_name": "Amp 2", "type": "EMG"}]
    config = parse_session(several(stream=streams), tmp_path, "two")
    assert [str(config.address_of(i)) for i in range(2)] == ["a", "name=Amp 2,type=EMG"]


def test_markers_are_found_by_source_id_or_by_other_words() -> None:
    def stream(markers: Any) -> StreamSettings:
        return StreamSettings.model_validate({"source_id": "crown-1", "markers": markers})

    assert stream("keys").marker_ids == ("keys",)
    assert stream({"name": "Crown Markers", "host": "lab-2"}).marker_ids == ("name=Crown Markers,host=lab-2",)
    assert stream(["keys", {"source_id": "crown-1", "type": "Markers"}]).marker_addresses == (
        Address("keys"),
        Address("crown-1", kind="Markers"),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"stream": [{"name": "eeg", "source_id": "a"}, {"name": "Crown EMG", "source_id": "b"}]},
            r"came 'Crown EMG'\. Its name on the network is lsl_name",
        ),
        (
            {"source": {"kind": "simulate"}, "stream": {"type": "EEG", "unit": "uV"}},
            r"\[stream\] type, unit: said of",
        ),
        (
            {"stream": {"source_id": "a", "markers": [{}]}},
            "stream.markers.0: .*needs a source id, a name",
        ),
        ({"stream": {"source_id": "a\nb"}}, "printable"),
        ({"stream": {"source_id": "a", "latency_s": -0.02}}, "latency_s"),
        ({"stream": {"source_id": "a", "latency_s": 1.5}}, "latency_s"),
        ({"source": {"kind": "simulate"}, "stream": {"latency_s": 0.02}}, r"\[stream\] latency_s: said of"),
    ],
)
def test_a_stream_that_cannot_be_meant_so_is_refused_in_words(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_session({"name": "x", "decoder": {"bundle": "x"}} | changes, tmp_path, "one")


@pytest.mark.parametrize("code", ["01", "S07", "sub012"])
def test_a_participant_has_a_code(code: str, tmp_path: Path) -> None:
    config = load_session(write(tmp_path, f'{GOOD}[subject]\nid = "{code}"\nsession = "2"\n'))
    assert config.subject is not None
    assert (config.subject.id, config.subject.session) == (code, "2")


@pytest.mark.parametrize(
    "name",
    ["Anna", "Anna Larsen", "anna01", "2001-05-03", "20010503", "a@b.no", "S07\\n", "S0７", "", "../S07"],
)
@pytest.mark.parametrize("key", ["id", "session"])
def test_a_name_or_a_date_of_birth_is_no_code(name: str, key: str, tmp_path: Path) -> None:
    codes = {"id": "S07", "session": "2"} | {key: name}
    text = "".join(f'{code} = "{value}"\n' for code, value in codes.items())
    with pytest.raises(ConfigError, match=rf"subject\.{key}"):
        load_session(write(tmp_path, f"{GOOD}[subject]\n{text}"))
