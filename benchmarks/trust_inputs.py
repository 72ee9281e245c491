"""What `benchmarks.trust` gives decoders: real held-out trials, and the same signal spoilt in ways that happen.

Each kind of input is a signal of the bundle's own channels, through the bundle's own pipeline and cut.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bci.decoder.bundle import Bundle
from bci.decoder.pattern import MarkerPattern
from bci.decoder.spec import EpochSpec
from bci.io.files.recording import Recording, open_recording
from bci.signal.epochs import Epochs
from bci.signal.labels import label_key
from bci.signal.types import Event, Signal, Window
from bci.signal.windows import windows
from benchmarks.live_folds import bundle_without
from models.generators.package import package_of
from models.insilico.scans import cut_volumes, run_of, scan_of
from models.insilico.trials import HELD_OUT, cut, design, onsets_of, participant_of, show
from models.settings import find_data_root
from models.systems.alpha.evaluate import open_held_out
from models.systems.events.drawing import open_drawing
from models.systems.events.folds import folds_of
from models.systems.events.settings import EventsConfig
from models.systems.events.trials import cut_trials
from models.systems.hyper.heldout import config_of
from models.systems.hyper.settings import HyperConfig
from models.systems.numbers.settings import NumbersConfig

Samples = NDArray[np.float32]
Floats = NDArray[np.float64]

#: Names of the kinds of input: held-out trials, and the beginning of those that are reported and not judged.
REAL, REPORTED = "real held-out trials", "another "

#: Amplitudes of white noise: microvolts, or where the signal has another unit times its own deviation.
MICROVOLTS, TIMES = (5.0, 20.0, 100.0, 500.0, 5000.0), (0.3, 1.0, 6.0, 30.0, 300.0)
_MAINS_HZ = 50.0
#: Deviation that the recording of another subject is brought to, since its file states no true unit, µV.
_LIKELY_UV = 8.5
#: An electrode is loose where it swings so many times as far as it mostly does, within so many seconds of a trial.
_LOOSE, _AROUND_S = 3.0, 2.5
_ARTEFACT_SD, _ARTEFACT_SHARE, _ARTEFACT_S = 20.0, 0.05, 0.5

Named = tuple[str, list[Window]]
#: What a decoder is given, by name; decoded by that bundle.
Given = tuple[str, Bundle, list[Window]]


def has_inputs(description: Path) -> bool:
    """Whether a bundle claims a confidence, and is of a system whose trials are known here."""
    config = json.loads(description.read_text())["provenance"]["config"]
    return config.get("kind") in (None, "events", "hyper-insilico")


def inputs_of(bundle: Bundle, data: Path | None, *, quick: bool = False) -> Iterator[Given]:
    """Yield every kind of input of a shipped bundle, by name, the real trials first: no decoder was trained on them.

    Where all trials of a recording went into a bundle, those of each fold are given to one that was trained without it.
    """
    kind = bundle.spec.provenance.config.get("kind")
    if kind == "events":
        yield from _held_out_events(bundle, data)
    named = {"hyper-insilico": _in_silico, "events": _spoilt_events, None: _states}[kind]
    for name, given in named(bundle, data, quick):
        yield name, bundle, given


def _in_silico(bundle: Bundle, data: Path | None, quick: bool) -> Iterator[Named]:
    """Yield the input of a bundle of a simulated participant: the held-out trials shown again; it needs no data."""
    config = config_of(bundle)
    plan = design(config, bundle.spec.latent, np.random.default_rng(config.seed))
    package = package_of(bundle)
    assert package is not None, "the generator's package lies beside the shipped bundles"
    drawn = package.draw(plan.latents[np.concatenate([plan.reference, plan.test])])
    reference, test = drawn[: len(plan.reference)], drawn[len(plan.reference) :]
    which = plan.shown - plan.test[0]
    pictures = test[which[: 2 * len(test)] if quick else which]
    onsets = onsets_of(config, len(pictures))

    def config_for(subject: int) -> HyperConfig:
        who = config.participant.model_copy(update={"subject": subject})
        return config.model_copy(update={"participant": who})

    def shown(subject: int, session: int) -> tuple[Signal, Samples]:
        participant = participant_of(config_for(subject), reference, session)
        return participant.signal, show(config, participant, pictures)[0]

    own = config.participant.subject
    if config.participant.scanner is not None:
        yield from _scanned(
            config, pictures, lambda who, when: participant_of(config_for(who), reference, when)
        )
        return
    signal, samples = shown(own, HELD_OUT)
    for name, given in spoilt(signal, samples):
        yield name, cut(config, signal, given, onsets)
    yield f"{REPORTED}session", cut(config, *shown(own, HELD_OUT + 2), onsets)
    yield f"{REPORTED}subject", cut(config, *shown(own + 1, HELD_OUT), onsets)


def _scanned(
    config: HyperConfig, pictures: NDArray[np.uint8], participant: Callable[[int, int], Any]
) -> Iterator[Named]:
    """Yield the input of a bundle whose participant lies in a scanner: volumes, spoilt voxel by voxel.

    `participant` makes one by subject and session. Every input has the reference and the mask of the bundle's own.
    """
    own = config.participant.subject
    n = len(pictures)

    def volumes(who: Any) -> Samples:
        return np.stack(list(scan_of(config, who, pictures))).astype(np.float32)

    held = participant(own, HELD_OUT)
    run, real = run_of(held), volumes(held)
    for name, given in spoilt(held.signal, real.reshape(len(real), -1)):
        yield name, cut_volumes(config, held.signal, iter(given.reshape(real.shape)), n, [run])
    for name, who in (
        ("session", participant(own, HELD_OUT + 2)),
        ("subject", participant(own + 1, HELD_OUT)),
    ):
        yield f"{REPORTED}{name}", cut_volumes(config, held.signal, iter(volumes(who)), n, [run_of(who)])


def _states(bundle: Bundle, data: Path | None, quick: bool) -> Iterator[Named]:
    """Yield the input of a decoder of two states: the held-out parts of its recordings, one after the other.

    Quick: every fifth window, of which neighbours share nine tenths, and no other recordings.
    """
    config, recordings = open_held_out(bundle, data)
    parts = [
        channels_of(bundle, recording.recording, *recording.span(config.split.test))
        for recording in recordings
    ]
    for kinds in zip(*(spoilt(bundle.signal, part) for part in parts), strict=True):
        cut = [window for _, samples in kinds for window in sliding(bundle, samples)]
        yield kinds[0][0], cut[:: 5 if quick else 1]
    if quick:
        return
    root = find_data_root(data)
    for path in (root / "eegmmidb_S001").glob("S001R03.edf"):
        other = open_recording(path)
        assert other.n is not None
        yield f"{REPORTED}session (S001R03)", sliding(bundle, channels_of(bundle, other, 0, other.n))
    for path in sorted((root / "ssvep_exo_s12").glob("*_raw.fif"))[:1]:
        other = open_recording(path, unit=bundle.signal.unit)
        assert other.n is not None
        samples = channels_of(bundle, other, 0, other.n).astype(np.float64)
        # This set declares a thousand times too much, with an offset.
        samples = (samples - samples.mean(0)) * (_LIKELY_UV / samples.std())
        samples = resample_poly(samples, round(bundle.signal.rate), round(other.signal.rate), axis=0)
        yield f"{REPORTED}subject (SSVEP set)", sliding(bundle, samples.astype(np.float32))


def _held_out_events(bundle: Bundle, data: Path | None) -> Iterator[Given]:
    """Yield the epochs of each fold of an epoch bundle's recording, for a bundle like it but trained on the others.

    First those for which every electrode held, then those around which one was loose.
    """
    config, root = EventsConfig.model_validate(bundle.spec.provenance.config), find_data_root(data)
    trials = cut_trials(config, root)
    (recording,) = opened(config, root)
    drawing = open_drawing(config, root, bundle.folder)
    epochs = around(bundle, channels_of(bundle, recording, 0, recording.n), recording.markers)
    loose = loose_electrodes(trials.epochs, trials.index / trials.rate)
    with tempfile.TemporaryDirectory(prefix="bci-trust-") as folder:
        folds = [
            (fold, bundle_without(fold, config, trials, drawing, Path(folder) / f"{place}")[1])
            for place, fold in enumerate(folds_of(config, trials))
        ]
        for name, which in ((REAL, ~loose), (f"{REPORTED}state: an electrode is loose", loose)):
            for fold, other in folds:
                yield name, other, [epochs[row] for row in fold.score if which[row]]


def loose_electrodes(epochs: Samples, times: Floats) -> NDArray[np.bool_]:
    """Tell around which epochs (n, length, channels), at seconds (n,), an electrode swings thrice as far as mostly.

    Swings are root mean squares over the epochs within 2.5 s; what an electrode mostly does is the median of them.
    """
    power = np.square(epochs, dtype=np.float64).mean(1)
    near = np.abs(times[:, None] - times) <= _AROUND_S
    swings = np.sqrt((near @ power) / near.sum(1, keepdims=True))
    return np.asarray((swings > _LOOSE * np.median(swings, axis=0)).any(1))


def _spoilt_events(bundle: Bundle, data: Path | None, quick: bool) -> Iterator[Named]:
    """Yield what is put in place of an epoch bundle's recording, and other recordings, cut around the same markers."""
    config, root = EventsConfig.model_validate(bundle.spec.provenance.config), find_data_root(data)
    (recording,) = opened(config, root)
    markers = recording.markers[: len(recording.markers) // 2] if quick else recording.markers
    real = channels_of(bundle, recording, 0, recording.n)
    for name, samples in spoilt(bundle.signal, real):
        if name != REAL:
            yield name, around(bundle, samples, markers)
    if quick:
        return
    other = open_recording(root / "eegmmidb_S001" / "S001R03.edf")
    samples = channels_of(bundle, other, 0, other.n).astype(np.float64)
    rates = Fraction(bundle.signal.rate / other.signal.rate).limit_denominator(100)
    samples = resample_poly(samples, rates.numerator, rates.denominator, axis=0)
    # Every onset that lies within this shorter recording, none of which the other person saw.
    yield f"{REPORTED}subject (S001R03)", around(bundle, samples.astype(np.float32), markers)


def opened(config: EventsConfig | NumbersConfig, root: Path) -> list[Recording]:
    """Open the recordings of a training file."""
    return [
        open_recording(root / one.path, rate=one.rate, channels=one.channels, unit=one.unit)
        for one in config.recordings
    ]


def around(bundle: Bundle, samples: Samples, markers: Sequence[Event]) -> list[Window]:
    """Cut the bundle's epochs of its own channels around markers, seconds from the first sample."""
    spec = bundle.spec.window
    assert isinstance(spec, EpochSpec)
    pattern = MarkerPattern(spec.markers)
    waiting = [event for event in markers if pattern.matches(event.text)]
    cutter, found = Epochs(bundle.signal, bundle.pipeline, start=spec.start, stop=spec.stop), []
    for chunk in _chunks(bundle.signal, samples):
        found += [epoch.window for epoch in cutter.push(chunk, waiting)]
        waiting = []
    return found


def channels_of(bundle: Bundle, recording: Recording, first: int, end: int) -> Samples:
    """Return the bundle's own channels of a recording, (n, channels)."""
    keys = [label_key(label) for label in recording.signal.channels]
    columns = [keys.index(label_key(label)) for label in bundle.signal.channels]
    return np.ascontiguousarray(recording.read(first, end)[:, columns])


def sliding(bundle: Bundle, samples: Samples) -> list[Window]:
    """Cut sliding windows of the bundle's own channels."""
    chunks = _chunks(bundle.signal, samples)
    return list(windows(chunks, bundle.pipeline, length=bundle.length, hop=bundle.hop))


def _chunks(signal: Signal, samples: Samples) -> Iterator[Window]:
    """Yield samples (n, channels) in chunks, as an acquisition hands them on."""
    for first in range(0, len(samples), 160):
        part = samples[first : first + 160]
        times, bad = np.arange(first, first + len(part)) / signal.rate, np.zeros(part.shape, bool)
        yield Window(signal, first, part, times, bad, first + len(part) - 1, reset="" if first else "start")


def spoilt(signal: Signal, real: Samples) -> Iterator[tuple[str, Samples]]:
    """Yield the real signal (n, channels), and what is put in its place."""
    rng = np.random.default_rng(20)
    n, channels = real.shape
    deviation = float(real.std(0).mean())
    yield REAL, real
    microvolts = signal.unit == "uV"
    for amplitude in MICROVOLTS if microvolts else TIMES:
        name = f"white noise, {amplitude:g} " + ("µV" if microvolts else "× the signal")
        size = amplitude if microvolts else amplitude * deviation
        yield name, (size * rng.standard_normal(real.shape)).astype(np.float32)
    yield "artefacts, 5 % of channels + 20 SD", _with_artefacts(signal, real, deviation, rng)
    yield "channels in another order", np.ascontiguousarray(real[:, rng.permutation(channels)])
    yield "dead amplifier, zeros", np.zeros_like(real)
    yield "dead amplifier, a constant", np.full_like(real, 3 * deviation)
    if signal.rate > 2 * _MAINS_HZ:
        wave = np.sin(2 * np.pi * _MAINS_HZ * np.arange(n) / signal.rate)
        yield (
            "mains, 10 × the signal",
            (real + 10 * np.sqrt(2) * deviation * wave[:, None]).astype(np.float32),
        )


def _with_artefacts(signal: Signal, real: Samples, deviation: float, rng: np.random.Generator) -> Samples:
    """Lift 5 % of the channels, others each time, for half a second of every second; at least one volume each."""
    spoilt = real.copy()
    length = max(1, round(_ARTEFACT_S * signal.rate))
    few = max(1, round(_ARTEFACT_SHARE * real.shape[1]))
    for first in range(0, len(real), max(1, 2 * length if length > 1 else 1)):
        at = rng.choice(real.shape[1], few, replace=False)
        spoilt[first : first + length, at] += np.float32(_ARTEFACT_SD * deviation)
    return spoilt


#: What a readout is fitted on, brain (n, voxels) and latents (n, d); and what it is given, by name.
Planted = tuple[tuple[Floats, Floats], list[tuple[str, Floats]]]


def planted_inputs(voxels: int = 240, latents: int = 12, *, seed: int = 5) -> Planted:
    """Return trials of a planted brain, half of whose noise lies in a few factors, and what is put in their place."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((latents, voxels)) * np.sqrt(0.2 / latents)
    factors = rng.standard_normal((12, voxels)) * np.sqrt(0.5 / 12)
    gain = np.exp(0.5 * rng.standard_normal(voxels))

    def draw(n: int) -> tuple[Floats, Floats]:
        z = rng.standard_normal((n, latents))
        noise = np.sqrt(0.5) * rng.standard_normal((n, voxels)) + rng.standard_normal((n, 12)) @ factors
        return 50 + (z @ weights + noise) * gain, z

    train, (real, _) = draw(300), draw(300)
    deviation = float(real.std(0).mean())
    spoilt = real.copy()
    for row in spoilt:
        row[rng.choice(voxels, voxels // 20, replace=False)] += _ARTEFACT_SD * deviation
    noise = [
        (f"white noise, {times:g} × the signal", 50 + times * deviation * rng.standard_normal(real.shape))
        for times in TIMES
    ]
    return train, [
        (REAL, real),
        *noise,
        ("artefacts, 5 % of channels + 20 SD", spoilt),
        ("channels in another order", real[:, rng.permutation(voxels)]),
        ("dead amplifier, zeros", np.zeros_like(real)),
        ("dead amplifier, a constant", np.full_like(real, 50.0)),
    ]
