"""A session whose programs died, made in one thread by a clock that is turned by hand: three parts, eight trials.

The recorder is the real one, and so are decoder, cutter and rings; the display, the engine and the deaths are planted::

    trial 0   shown, read                           part 1
    trial 1   shown, read; its row of frames.csv is cut when the recorder is killed, and stands in part 2
    trial 2   shown; samples are missing: its epoch is lost                                 part 2
    trial 3   shown; every channel was off: its reconstruction is invalid
    trial 4   aborted: the screen went neutral in its time; read
    trial 5   aborted: the engine died, trials.csv ends within its row; read
              the decoder dies and is started again
    trial 6   shown, read; the recorder is killed again
    trial 7   shown; read when the trial was over already: the decoder was held up          part 3

Rows that two parts hold are planted in ``frames.csv`` and ``shown.csv``; marks are doubled by the recorder itself.
"""

import csv
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tiny_bundle import CHANNELS, tiny_bundle

from bci.control.environment import describe_environment
from bci.decoder.bundle import Bundle
from bci.decoder.cut import LiveRings
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.spec import EpochSpec
from bci.io.files.folder import write_json
from bci.live.recorder import Recorder
from bci.memory.events import event_columns
from bci.memory.frames import frame_columns, shown_columns, window_digest, write_frame
from bci.memory.marks import mark_columns, write_mark
from bci.memory.ring import Ring
from bci.memory.stream import Stream, follow
from bci.session.part import Part
from bci.signal.clock import ManualClock
from bci.signal.types import EVENT_DTYPE, SHOWN_DTYPE, Event, MarkKind, Shown, Signal, event_record

RATE, DIODE_RATE = 100.0, 1000.0
SIGNAL = Signal("planted", RATE, (3,), CHANNELS, "uV")
DIODE = Signal("diode", DIODE_RATE, (1,), ("light",), "V")
START = 5000.0

#: The sender's clock is ahead of ours, and markers take as long to be put right.
OFFSET, MARKER_OFFSET = -7.5, 0.0002

#: Light comes so long after its flip, seconds.
DELAY = 0.021

#: Seconds around a flip that are decoded, and how long a stimulus stays.
EPOCH = EpochSpec(start=0.05, stop=0.25, markers="stimulus .*")
STIMULUS_S, EVERY_S = 0.4, 1.5

#: When each stimulus was flipped; never twice at the same place within a sample.
FLIPS = START + 1.0 + EVERY_S * np.arange(8) + 0.0013 * np.arange(8) ** 2
STIMULI = (0, 1, 2, 3, 0, 1, 2, 3)

#: The last sample before the gap is so long after the flip of trial 2, and so many seconds are missing.
GAP_AFTER, GAP_S = 0.15, 0.6

#: Reconstructions that came on the screen, one in each part; frames are numbered as they were made.
SHOWN_TRIALS = (0, 3 + 1, 7)

#: What must be read of it: trials with a valid reconstruction, those of them that were not aborted.
VALID, READ, LEFT_OUT = (0, 1, 4, 5, 6, 7), (0, 1, 6, 7), {"aborted": 2, "invalid": 1, "no epoch": 1}

_TRIAL_FIELDS = ("trial", "stimulus", "name", "ending", "planned", "onset", "until", "confidence", "latent")

#: The columns that sessions had not before reconstructions knew their events.
NEW_COLUMNS = ("event_time", "event_raw", "event_code", "event", "trial")


def recovered_session(
    folder: Path, stimuli: Sequence[int] = STIMULI, repeats: Literal["single", "mean"] = "single"
) -> Path:
    """Make the session in a new folder, its bundle and its pictures beside it; return the folder."""
    folder.mkdir(parents=True)
    pictures(folder.parent / "faces")
    bundle = tiny_bundle(
        folder.parent / "bundle",
        pipeline=[{"step": "band_pass", "low": 8.0, "high": 30.0, "order": 2}],
        confidence="gaussian",
        masked_limit=0.5,
        length=20,
        window=EPOCH,
    )
    _Maker(folder, bundle.reading(repeats), stimuli, repeats).make()
    return folder


def pictures(folder: Path) -> None:
    """Write four pictures and their latents."""
    folder.mkdir()
    random = np.random.default_rng(3)
    latents = {f"face-{i}": random.standard_normal(2).tolist() for i in range(4)}
    for name in latents:
        Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)).save(folder / f"{name}.png")
    (folder / "latents.json").write_text(json.dumps(latents))


def before_events(folder: Path) -> None:
    """Make a session's tables those from before reconstructions knew their events.

    Columns are taken out, and rows of the engine hold the latent of the trial before where their own was not there yet.
    """
    made = folder / "trials.csv", folder / "trials-2.csv"
    lines = [path.read_bytes().split(b"\r\n") for path in made]
    latents = [line[line.index(b',"[') :] for line in (lines[0][2], lines[1][2])]
    for path, rows, place, latent in zip(made, lines, (3, 3), latents, strict=True):
        assert rows[place].endswith(b",")
        rows[place] = rows[place][:-1] + latent
        path.write_bytes(b"\r\n".join(rows))
    for path in [*folder.glob("frames*.csv"), *folder.glob("shown*.csv")]:
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1].decode()
        rows = list(csv.DictReader(whole.splitlines()))
        fields = [name for name in next(csv.reader(whole.splitlines())) if name not in NEW_COLUMNS]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fields, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)


class _Maker:
    def __init__(self, folder: Path, bundle: Bundle, stimuli: Sequence[int], repeats: str) -> None:
        self.folder, self.bundle = folder, bundle
        self.stimuli, self.repeats = stimuli, repeats
        self.clock = ManualClock(START)
        self.decoder = OnnxDecoder(bundle, clock=self.clock)
        self.decoder.warm_up()
        size = (*bundle.image_size, bundle.latent_size)
        self.stream, self.diode = Stream.private(SIGNAL, 60.0), Stream.private(DIODE, 60.0)
        self.frames = Ring.private(frame_columns(*size), 64, 16)
        self.shown = Ring.private(shown_columns(*size), 256, 64)
        self.markers = Ring.private(event_columns(), 256, 64)
        self.marks, self.rig = (Ring.private(mark_columns(), 256, 64) for _ in range(2))
        self.frame_of: dict[int, int] = {}
        self.lent = self.windows = 0
        self.held_up = False
        self.recorder = self.start_recorder()
        self.start_decoder("start")
        self.trials: list[dict[str, Any]] = []
        #: Session seconds of every change of picture: stimulus, neutral, and where a reconstruction is shown.
        ends = [t + (0.2 if k == 4 else STIMULUS_S) for k, t in enumerate(FLIPS)]
        feedback = [FLIPS[k] + (1.2 if k == 7 else 0.6) for k in SHOWN_TRIALS]
        self.changes = np.sort([*FLIPS, *ends, *feedback])

    # -- the whole session -------------------------------------------------------------------------------

    def make(self) -> None:
        config = {
            "decoder": {"bundle": str(self.bundle.folder), "provider": "cpu", "audit": True}
            | ({} if self.repeats == "single" else {"repeats": self.repeats}),
            "display": {"photodiode": True, "photodiode_stream": "diode-1"},
            "experiment": {"folder": str(self.folder.parent / "faces")},
        }
        write_json(self.folder / "config.json", config)
        environment = {"bundle": {"hash": self.bundle.hash}, "decoder": self.decoder.environment}
        write_json(self.folder / "environment.json", describe_environment() | environment)
        for stream in (self.stream, self.diode):
            stream.mark(MarkKind.CLOCK_OFFSET, 0, time=START, value=OFFSET)
        for k, flip in enumerate(FLIPS):
            self.run(flip)
            self.show(Shown.STIMULUS, flip, self.stimuli[k], trial=k)
            self.held_up = k == 7
            if k == 2:
                self.run(flip + GAP_AFTER)
                self.gap()
            if k == 4:
                self.run(flip + 0.2)
            else:
                self.run(flip + STIMULUS_S)
            self.show(Shown.NEUTRAL, self.clock.now(), -1, reason="aborted" if k == 4 else "blank")
            self.run(flip + 0.6)
            if k in SHOWN_TRIALS and not self.held_up:
                self.show(Shown.FRAME, flip + 0.6, self.frame_of[k], trial=k)
            self.run(flip + 1.0)
            self.end_trial(k, flip)
            if k in (1, 6):
                self.kill_recorder(cut=k == 1)
            if k == 5:
                self.start_decoder("restart")
            if k == 7:
                self.held_up = False
                self.run(flip + 1.2)
                self.show(Shown.FRAME, flip + 1.2, self.frame_of[k], trial=k)
        self.run(FLIPS[-1] + 2.0)
        self.recorder.step()
        for _ in self.recorder.finishing():
            self.recorder._backlog.join(20)
        self.recorder.__exit__(None, None, None)
        self.write_trials()
        self.double_rows()

    def run(self, until: float) -> None:
        """Let time go on: samples come, are decoded and recorded."""
        while (now := self.clock.now()) < until - 1e-9:
            self.clock.advance(min(0.05, until - now))
            self.push()
            self.decode()
            self.recorder.step()

    # -- samples -----------------------------------------------------------------------------------------

    @property
    def lag(self) -> float:
        """Seconds by which the samples' times are later than their counts say."""
        return GAP_S if self.gap_at is not None else 0.0

    gap_at: int | None = None

    def push(self) -> None:
        """Write the samples of both streams whose time has come."""
        now = self.clock.now()
        first, end = self.stream.samples.count, math.floor((now - START - self.lag) * RATE)
        if end > first:
            times = START + self.lag + np.arange(first, end) / RATE
            self._write(self.stream, brain(first, end, times), times)
        first, end = self.diode.samples.count, math.floor((now - START) * DIODE_RATE)
        times = START + np.arange(first, end) / DIODE_RATE
        light = (np.searchsorted(self.changes + DELAY, times, side="right") % 2).astype("f4")[:, None]
        for at in range(0, len(times), 500):
            self._write(self.diode, light[at : at + 500], times[at : at + 500])

    def _write(self, stream: Stream, samples: NDArray[Any], times: NDArray[np.float64]) -> None:
        arrived = np.full(len(times), self.clock.now())
        stream.samples.write(samples=samples, times=times, raw=times - OFFSET, arrived=arrived)

    def gap(self) -> None:
        """Lose samples: the next one comes later than its count says."""
        self.gap_at = self.stream.samples.count
        self.stream.mark(MarkKind.GAP, self.gap_at, count=60, time=self.clock.now(), value=GAP_S)

    # -- the display and the engine ----------------------------------------------------------------------

    def show(self, kind: Shown, flip: float, frame: int, *, trial: int = -1, reason: str = "") -> None:
        """Change the picture, and send the marker of a stimulus."""
        record = np.zeros(1, SHOWN_DTYPE)
        name = f"face-{frame}" if kind is Shown.STIMULUS else reason
        record["kind"], record["frame"], record["trial"], record["flip"] = kind, frame, trial, flip
        record["reason"], record["info"]["stamps"] = name.encode(), np.nan
        image = np.full((1, *self.bundle.image_size, 3), 40 * frame % 256, np.uint8)
        if kind is Shown.FRAME:
            made = self.frames.read(frame, frame + 1)
            image, record["info"] = made["image"], made["info"]
            record["info"]["stamps"][:, -2:] = flip - 0.001, flip
        self.shown.write(image=image, latent=np.zeros((1, 2), "f4"), shown=record)
        if kind is Shown.STIMULUS:
            event = Event(flip + MARKER_OFFSET, f"stimulus {frame} {name}", raw=flip)
            self.markers.write(event=np.array([event_record(event)], EVENT_DTYPE))

    def end_trial(self, k: int, flip: float) -> None:
        """Write down what the engine says of a trial that is over."""
        frame = self.frame_of.get(k)
        made = None if frame is None else self.frames.read(frame, frame + 1)
        valid = made is not None and bool(made["info"]["valid"][0])
        self.trials.append(
            {
                "trial": k,
                "stimulus": self.stimuli[k],
                "name": f"face-{self.stimuli[k]}",
                "ending": "aborted" if k in (4, 5) else "shown",
                "planned": f"{math.nan if k == 5 else flip - 0.004:.6f}",
                "onset": f"{math.nan if k == 5 else flip:.6f}",
                "until": f"{math.nan if k == 5 else flip - 0.004 + STIMULUS_S:.6f}",
                "confidence": f"{made['info']['confidence'][0]:.6g}" if made and valid else "nan",
                "latent": made["latent"][0].tolist() if made and valid and k != 5 else "",
            }
        )

    def write_trials(self) -> None:
        """Write the table of the engine that died within the row of trial 5, and of its successor."""
        _write_trials(self.folder / "trials.csv", self.trials[:6])
        _write_trials(self.folder / "trials-2.csv", self.trials[5:])
        _cut(self.folder / "trials.csv", 9)

    # -- the decoder -------------------------------------------------------------------------------------

    def start_decoder(self, reset: str) -> None:
        """Start a decoder, in the place of another one where there was one."""
        self.reset = reset
        since = -math.inf if reset == "start" else START + self.lag + self.lent / RATE
        rings = LiveRings(self.marks, self.markers, self.shown, since, self.windows)
        self.cutter = self.bundle.cut.live(self.stream, self.bundle.adapt(SIGNAL), rings)

    def decode(self) -> None:
        """Decode what has come, as the decode program does."""
        if self.held_up or self.stream.samples.count == self.lent:
            return
        looks = iter((True, False))
        chunks = follow(
            self.stream,
            self.bundle.cut.grid,
            lambda: next(looks),
            lambda first, lost: None,
            first=self.lent,
            reset=self.reset,
        )
        for chunk in chunks:
            if chunk.reset:
                write_mark(
                    self.marks,
                    MarkKind.PIPELINE_RESET,
                    chunk.first,
                    time=self.clock.now(),
                    detail=chunk.reset,
                )
            for window in self.cutter.push(chunk):
                frame = self.decoder.decode(window)
                now = self.clock.now()
                stamps = {
                    "data": float(window.times[-1]),
                    "arrived": self.stream.arrived(window.last_sample),
                    "cut": now,
                    "decoded": now + 0.002,
                    "published": now + 0.003,
                }
                assert window.event is not None
                self.frame_of[window.event.trial] = write_frame(
                    self.frames, replace(frame, stamps=stamps), window_digest(window)
                )
            self.lent = chunk.end
            self.windows = self.cutter.windows
        self.reset = ""

    # -- the recorder ------------------------------------------------------------------------------------

    def start_recorder(self) -> Recorder:
        recorder = Recorder(self.folder, self.clock, logging.getLogger("planted recorder"))
        facts = {"source_id": "amp-1", "kind": "EEG", "exact_stamps": True, "extra": {"simulated": "true"}}
        recorder.add_stream("stream", self.stream, facts)
        recorder.add_stream("stream-2", self.diode, {"source_id": "diode-1", "exact_stamps": True})
        recorder.add_markers("markers", self.markers, {"source_id": "screen", "name": "flips"})
        recorder.add_doings(self.frames, self.shown, self.marks, self.rig)
        return recorder

    def kill_recorder(self, *, cut: bool) -> None:
        """Kill the recorder, in the middle of a row of ``frames.csv`` where said; its successor comes 0.2 s later."""
        part = Part.all_in(self.folder)[-1]
        self.recorder.step()
        self.recorder._backlog.join(20)
        self.recorder.__exit__(None, None, None)
        if cut:
            _cut(part.path("frames.csv"), 30)
        write_mark(self.rig, MarkKind.RESTART, self.stream.samples.count, time=self.clock.now())
        self.clock.advance(0.2)
        self.push()
        self.decode()
        self.recorder = self.start_recorder()

    def double_rows(self) -> None:
        """Let two parts hold a row, as where a disk forgot what it had said."""
        for table, part in (("frames.csv", 2), ("shown.csv", 1)):
            paths = (Part(self.folder, number).path(table) for number in (part, part + 1))
            earlier, later = paths
            row = later.read_bytes().split(b"\r\n")[1]
            earlier.write_bytes(earlier.read_bytes() + row + b"\r\n")


def brain(first: int, end: int, times: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return samples `first` to `end`: a rhythm in noise, and every channel off in the epoch of trial 3."""
    rhythm = np.sin(2 * np.pi * (11 + np.arange(3)) * np.arange(first, end)[:, None] / RATE)
    noise = np.stack([np.random.default_rng(i).standard_normal(3) for i in range(first, end)])
    samples = (rhythm + noise).astype("f4")
    samples[(times > FLIPS[3] + EPOCH.start) & (times < FLIPS[3] + EPOCH.stop)] = np.nan
    return samples


def _write_trials(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _TRIAL_FIELDS)
        writer.writeheader()
        writer.writerows(rows)


def _cut(path: Path, nbytes: int) -> None:
    """Take the last bytes off a file."""
    content = path.read_bytes()
    path.write_bytes(content[:-nbytes])
