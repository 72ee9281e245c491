"""`bci check` and `bci run` refuse the same session files, in the same words, before anything is started."""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import made_files as made
import numpy as np
import pytest
import pyxdf
from commands import call
from onnx import helper
from tiny_bundle import model, tensor, tiny_bundle

from bci.cli.rehearsal import rehearse
from bci.config.session import load_session
from bci.config.sources import SimulateSettings
from bci.decoder.spec import EpochSpec
from bci.errors import BundleError
from bci.io.files.xdf.verify import verify
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.outlet import Outlet
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Signal

ROOT = Path(__file__).resolve().parents[2]
SINES = '[source]\nkind = "sines"\nrate = 100\nshape = [3]\nchannels = ["O1", "Oz", "O2"]\nunit = "uV"\n'
REPLAY = (
    '[source]\nkind = "replay"\nfile = "ones.npy"\nrate = 100\nchannels = ["O1", "Oz", "O2"]\nunit = "uV"\n'
)
HEADLESS = '[display]\nkind = "headless"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a bundle of windows, one of epochs, and a recording of 10 s."""
    folder = tmp_path_factory.mktemp("sessions")
    tiny_bundle(folder / "tiny")
    tiny_bundle(folder / "epochs", window=EpochSpec(start=0.0, stop=0.2, markers="go.*"), length=20)
    np.save(folder / "ones.npy", np.ones((1000, 3), "f4"))
    values, stamps = np.ones((1000, 3), "f4"), 50 + np.arange(1000) / 50
    (folder / "slow.xdf").write_bytes(
        made.xdf(made.header(1, "amp", 3, 100.0), made.samples(1, values, stamps))
    )
    return folder


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Give a function that writes a session file of its sections."""

    def of(*sections: str, network: str = "lab", bundle: str = "tiny", decoder: str = "") -> Path:
        file = folder / "session.toml"
        head = f'name = "x"\nnetwork = "{network}"\nseconds = 1\n'
        file.write_text(head + f'[decoder]\nbundle = "{bundle}"\n{decoder}' + "".join(sections))
        return file

    return of


def refused(file: Path, tmp_path: Path) -> str:
    """Return the words in which both commands refuse a file."""
    said = [call("check", file, "--json"), call("run", file, "--out", tmp_path / "out", "--json")]
    for done in said:
        assert done.status == 2, done.words
    assert said[0].result == said[1].result
    assert not (tmp_path / "out").exists(), "nothing was begun"
    return str(said[0].result["message"])


@pytest.mark.parametrize(
    ("sections", "options", "words"),
    [
        ((SINES, HEADLESS), {"decoder": 'provider = "cuda"\n'}, "expected ONNX Runtime with CUDAExecutionProvider"),
        ((SINES, HEADLESS), {"decoder": 'precision = "tf32"\n'}, 'expected provider = "cuda", came "cpu"'),
        ((SINES, '[display]\nkind = "window"\nmonitor = "nowhere"\n'), {}, "no monitor is called 'nowhere'"),
        ((SINES, '[display]\nkind = "window"\nmonitor = 7\n'), {}, "no monitor is called 7"),
        (('[source]\nkind = "simulate"\nseed = -1\n', HEADLESS), {}, "source.seed"),
        (('[source]\nkind = "insilico"\nsession = 100000\n', HEADLESS), {}, "source.session"),
        ((REPLAY + "start = 5\nstop = 2\n", HEADLESS), {}, "lies between 5 s and 2 s"),
        ((REPLAY + "start = 60\n", HEADLESS), {}, "lies between 60 s and its end; it is 10 s long"),
        ((REPLAY.replace("ones", "none"), HEADLESS), {}, "none.npy"),
        (
            ('[source]\nkind = "replay"\nfile = "slow.xdf"\n', HEADLESS),
            {},
            "slow.xdf: 100 samples a second were expected, 50 came by its stamps",
        ),
        ((SINES, HEADLESS + "data_age_limit = 0.001\n"), {}, "data_age_limit longer than the 0.01 s"),
        ((SINES.replace('"Oz"', '"Cz"'), HEADLESS), {}, "missing Oz"),
        ((SINES, HEADLESS), {"bundle": "epochs"}, "names no stream of markers"),
        ((SINES, '[stream]\ntype = "EEG"\n', HEADLESS), {}, r"\[stream\] type: said of a stream that another"),
        (
            ('[[stream]]\nname = "a"\nsource_id = "amp"\n[[stream]]\nname = "b"\nsource_id = "amp"\n', HEADLESS),
            {},
            "two .*stream.* are found by the same: amp, amp",
        ),
        (
            (SINES, '[stream]\nsource_id = "a"\n[publish]\nsource_id = "a"\n', HEADLESS),
            {},
            "two streams that this session makes have the source id a ",
        ),
        (
            ('[stream]\nsource_id = "a"\n[publish]\nsource_id = "a"\n', HEADLESS),
            {},
            "a is looked for on the network, and this session makes a stream of that source id",
        ),
    ],
)  # fmt: skip
def test_what_needs_no_network_is_refused_alike(
    tmp_path: Path, write: Callable[..., Path], sections: tuple[str, ...], options: dict[str, str], words: str
) -> None:
    said = refused(write(*sections, **options), tmp_path)
    assert re.search(words, said), said


def test_what_commands_and_page_come_through_is_refused_alike(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    """Ports that are taken, and files of passwords and certificates that are not there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        here = f"127.0.0.1:{port}"
        for section, words in {
            f"[page]\nport = {port}\n": f"the page cannot listen on 127.0.0.1:{port}",
            '[page]\npassword_file = "none"\n': "the page's password file: there is no file .*none",
            '[page]\ncertificate = "none"\nkey = "none"\n': "the page's certificate or key cannot be used: there is no",
            f'[control]\nbroker = "embedded"\nport = {port}\n': f"the broker cannot listen on 127.0.0.1:{port}",
            f'[control]\nbroker = "{here}"\nusername = "a"\npassword_file = "none"\n': "the password file: there",
            f'[control]\nbroker = "{here}"\ntls = true\nca = "none"\n': "the certificate .*none cannot be read",
        }.items():
            said = refused(write(SINES, HEADLESS, section), tmp_path)
            assert re.search(words, said), said


def test_weights_that_are_no_numbers_are_refused_alike(
    tmp_path: Path, folder: Path, write: Callable[..., Path]
) -> None:
    nodes = [
        helper.make_node("MatMul", ["window", "spoilt"], ["x"]),
        helper.make_node("ReduceMean", ["x"], ["latent"], axes=[1], keepdims=0),
    ]
    spoilt = np.full((3, 3), 0.5, "f4")
    spoilt[1, 1] = np.nan
    readout = model(nodes, [tensor("window", [1, 20, 3])], [tensor("latent", [1, 3])], spoilt=spoilt)
    with pytest.raises(BundleError, match="came NaN in 'spoilt'"):
        tiny_bundle(tmp_path / "spoilt", replace={"readout.onnx": readout})


@pytest.mark.parametrize(
    "stream", ['[stream]\nsource_id = "amp-1"\n', f'{SINES}[stream]\nmarkers = {{ name = "keys" }}\n']
)
def test_a_network_of_its_own_has_no_stream_of_another_program(
    tmp_path: Path, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    monkeypatch.delenv("LSLAPICFG")
    said = refused(write(stream, HEADLESS, network="machine"), tmp_path)
    assert 'network = "machine" gives the session a network of its own' in said
    assert 'Set network = "lab"' in said


@pytest.fixture
def outlets() -> Iterator[Callable[..., Any]]:
    """Give a function that puts a stream on the network until the test ends."""
    with ExitStack() as opened:

        def put(
            name: str,
            source_id: str,
            dtype: str = "float32",
            rate: float = 100.0,
            n: int = 3,
            *,
            bare: bool = False,
        ) -> Any:
            labels, unit = ((), "") if bare else (("O1", "Oz", "O2")[:n], "uV")
            signal = Signal(name, rate, (n,), labels, unit, dtype)
            kind = "Markers" if dtype == "str" else "EEG"
            outlet = opened.enter_context(Outlet(StreamInfo(signal, source_id, kind=kind), 1))
            return outlet._outlet

        yield put


@pytest.mark.system
@pytest.mark.parametrize(
    ("there", "sections", "words"),
    [
        ([("Amp", "rh-1", "str")], ('[stream]\nsource_id = "rh-1"\n',), "carries text, at a nominal 100 Hz"),
        ([("Gaze", "rh-2", "float32", 0.0)], ('[stream]\nsource_id = "rh-2"\n',), "carries samples at no fixed rate"),
        (
            [("Amp", "rh-3"), ("Keys", "rh-3", "str", 0.0, 1)],
            ('[stream]\nsource_id = "rh-3"\ntimeout_s = 0.5\n',),
            "2 streams have the source id 'rh-3' .*Say which by its name or type too",
        ),
        ([], ('[stream]\nname = "nowhere"\ntimeout_s = 0.5\n',), "no LSL stream with the name 'nowhere' within"),
        (
            [("Amp", "rh-4")],
            ('[stream]\nsource_id = "rh-4"\nmarkers = "rh-keys"\ntimeout_s = 0.5\n',),
            "no LSL stream with the source id 'rh-keys'",
        ),
        (
            [("Amp", "rh-5")],
            ('[stream]\nsource_id = "rh-5"\nmarkers = "rh-5"\n',),
            "markers are text, or numbers without a fixed rate",
        ),
        ([("Amp", "rh-6")], (SINES, '[stream]\nsource_id = "rh-6"\n'), "another program's stream has it already"),
        (
            [("Flips", "rh-flips", "str", 0.0, 1)],
            (SINES, '[experiment]\nprotocol = "text"\nwords = ["a"]\n', HEADLESS + 'flip_stream = "rh-flips"\n'),
            r"\[display\] flip_stream makes a stream with the source id 'rh-flips', and another program's",
        ),
        (
            [("Flips", "rh-9", "str", 0.0, 1)],
            (SINES, HEADLESS + 'flip_markers = true\nflip_stream = "rh-9"\n'),
            r"\[display\] flip_stream makes .*Is another session running\?",
        ),
        (
            [("Latent", "rh-10-pixels")],
            (SINES, '[publish]\nsource_id = "rh-10"\npixels = true\n'),
            r"\[publish\] makes a stream with the source id 'rh-10-pixels', and another program's",
        ),
        (
            [("Amp", "rh-7")],
            ('[stream]\nsource_id = "rh-7"\nchannels = ["O1", "Oz"]\n',),
            "states 2 labels",
        ),
        (
            [("Amp", "rh-8")],
            ('[stream]\nsource_id = "rh-8"\nunit = "V"\n',),
            "unit: expected 'uV', came 'V'",
        ),
    ],
)  # fmt: skip
def test_what_the_network_holds_is_refused_alike(
    tmp_path: Path,
    write: Callable[..., Path],
    outlets: Callable[..., Any],
    there: list[tuple[Any, ...]],
    sections: tuple[str, ...],
    words: str,
) -> None:
    for stream in there:
        outlets(*stream)
    screen = () if HEADLESS in "".join(sections) else (HEADLESS,)
    said = refused(write(*sections, *screen), tmp_path)
    assert re.search(words, said), said


@pytest.mark.system
def test_the_example_of_one_source_id_finds_its_streams_and_completes_them(
    tmp_path: Path, outlets: Callable[..., Any]
) -> None:
    outlets("Amp", "serial-0042", rate=160.0, n=8, bare=True)
    outlets("Events", "serial-0042", "str", rate=0.0, n=1)
    config = load_session(ROOT / "configs" / "one-source-id.toml")
    found = rehearse(config, tmp_path).plan.roster
    signal = found.info(0).signal
    assert (signal.channels[-1], signal.unit) == ("PO8", "uV")
    assert [str(address) for address in found.markers[0]] == ["source_id=serial-0042,type=Markers"]


@pytest.mark.system
def test_what_no_decoder_reads_may_come_at_no_fixed_rate(
    tmp_path: Path, write: Callable[..., Path], outlets: Callable[..., Any]
) -> None:
    gaze = outlets("Gaze", "rh-gaze", rate=0.0, n=2)
    streams = '[[stream]]\nname = "eeg"\n[[stream]]\nname = "gaze"\nsource_id = "rh-gaze"\n'
    file = write(SINES, streams, HEADLESS)
    assert call("check", file, "--json").result["ok"]

    def look() -> None:
        while not over.wait(0.02):
            gaze.push_sample([0.25, 0.75], LslClock().now())

    over = threading.Event()
    looking = threading.Thread(target=look)
    looking.start()
    try:
        done = call("run", file, "--out", tmp_path, "--json")
    finally:
        over.set()
        looking.join()
    assert done.status == 0, done.words
    streams, _ = pyxdf.load_xdf(done.folder / "recording.xdf")
    (seen,) = [stream for stream in streams if stream["info"]["name"] == ["Gaze"]]
    assert len(seen["time_series"]) > 10
    assert np.all(seen["time_series"] == [0.25, 0.75])
    assert verify(done.folder / "recording.xdf").sound


@pytest.mark.system
def test_a_record_file_may_name_a_source_id_of_several_streams(
    tmp_path: Path, outlets: Callable[..., Any]
) -> None:
    outlets("Amp", "rec-1")
    outlets("Keys", "rec-1", "str", 0.0, 1)
    file = tmp_path / "record.toml"
    file.write_text('kind = "record"\nstreams = ["rec-1"]\ntimeout_s = 1\n')
    checked = call("check", file, "--json")
    assert checked.status == 0, checked.words
    assert checked.result["streams"] == ["rec-1", "rec-1"]
    file.write_text('kind = "record"\nstreams = ["rec-1", "rec-none"]\ntimeout_s = 0.5\n')
    checked, done = call("check", file, "--json"), call("record", file, "--out", tmp_path / "r", "--json")
    assert (checked.status, done.status) == (2, 2)
    assert checked.result == done.result


@pytest.mark.system
def test_a_file_that_check_passes_runs(tmp_path: Path, write: Callable[..., Path]) -> None:
    file = write(SINES, HEADLESS)
    assert call("check", file, "--json").result["ok"]
    done = call("run", file, "--out", tmp_path, "--json")
    assert done.status == 0, done.words


# The others have the bundles of these two.
@pytest.mark.parametrize(("name", "trials"), [("perception", 56), ("neurofeedback", 6)])
def test_the_examples_of_protocols_fit_their_bundles(name: str, trials: int, tmp_path: Path) -> None:
    config = load_session(ROOT / "configs" / f"{name}.toml")
    sections: dict[str, Any] = {"display": config.display.model_copy(update={"kind": "headless"})}
    if name == "neurofeedback":  # whose recording need not be here
        sections["sources"] = (SimulateSettings(kind="simulate"),)
    assert rehearse(config.with_sections(**sections), tmp_path).facts["trials"] == trials
