"""Matching compares a stream with the signal that a bundle was made for, and picks the bundle's channels from it."""

from bci.decoder.spec import ONLY_EVALUATED, BundleSpec
from bci.errors import BundleMismatch
from bci.signal.labels import label_key
from bci.signal.pipeline import Pipeline
from bci.signal.run import NO_RUN, Run
from bci.signal.step import RunStep, Step
from bci.signal.steps.montage import Pick, Relabel
from bci.signal.types import Signal
from bci.signal.units import unit_key

# A nominal rate is written with few digits here and many there; a filter does not see a difference of 1e-4.
_RATE_TOLERANCE = 1e-4


def check(expected: Signal, actual: Signal, bundle: str) -> None:
    """Compare a stream with what a bundle expects; channels are compared by label, in any order.

    Raises
    ------
    BundleMismatch
        Naming every difference: rate, unit, missing, doubled or unlabelled channels, shape.
    """
    faults = [
        *_rate(expected, actual),
        *_unit(expected, actual),
        *_channels(expected, actual),
        *_shape(expected, actual),
    ]
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise BundleMismatch(
            f"stream {actual.name!r} is not what bundle {bundle!r} was made for:\n{lines}\n"
            "Choose the stream or the bundle that fits (bci streams, bci info BUNDLE), or train one for this montage."
        )


def require_live(spec: BundleSpec) -> None:
    """Refuse a bundle that no stream can feed.

    Raises
    ------
    BundleMismatch
        If it was trained on arrays of which no rate is known.
    """
    if not spec.live:
        raise BundleMismatch(
            f"bundle {spec.name!r}: expected one that a stream can feed, came one trained on arrays of which no rate "
            f"is known: {ONLY_EVALUATED} (bci evaluate). For one that runs live, train on X as (trials, channels, "
            "samples), with [data.arrays] rate."
        )


def adapt(expected: Signal, actual: Signal, pipeline: Pipeline, bundle: str, run: Run = NO_RUN) -> Pipeline:
    """Return the pipeline for a stream that fits, after a step that makes the stream's channels the bundle's.

    Parameters
    ----------
    expected, actual : Signal
        The signal that the bundle was made for, and the stream's.
    pipeline : Pipeline
        The bundle's.
    bundle : str
        Its name.
    run : Run
        Its `channel_map` renames the stream's channels first; steps receive the parts of it that they need.

    Raises
    ------
    BundleMismatch
        As `check`.
    ConfigError
        If the map names a channel that the stream has not, or a step needs what the session does not fix.
    """
    steps: list[Step] = []
    if run.channel_map:
        relabel = Relabel(tuple(run.channel_map.items()))
        actual = relabel.output(actual)
        steps.append(relabel)
    check(expected, actual, bundle)
    if expected.channels and _keys(expected) != _keys(actual):
        steps.append(Pick(expected.channels))
    adapted = pipeline.for_run(run) if any(isinstance(step, RunStep) for step in pipeline.steps) else pipeline
    return Pipeline((*steps, *adapted.steps)) if steps else adapted


def _keys(signal: Signal) -> list[str]:
    return [label_key(label) for label in signal.channels]


def _rate(expected: Signal, actual: Signal) -> list[str]:
    if abs(actual.rate - expected.rate) <= _RATE_TOLERANCE * expected.rate:
        return []
    return [f"rate: expected {expected.rate:g} Hz, came {actual.rate:g} Hz"]


def _unit(expected: Signal, actual: Signal) -> list[str]:
    if unit_key(actual.unit) == unit_key(expected.unit):
        return []
    unit = repr(actual.unit) if actual.unit else "none"
    return [
        f"unit: expected {expected.unit!r}, came {unit}"
        + (
            ""
            if actual.unit
            else "; state it: unit in a session file's [stream], or in [source] where it plays a recording; --unit on "
            "the command line"
        )
    ]


def _channels(expected: Signal, actual: Signal) -> list[str]:
    if not expected.channels:
        return []
    if not actual.channels:
        return [
            f"channels: expected {', '.join(expected.channels)}, came no labels; state them, in "
            "its order: channels in a session file's [stream], or in [source] where it plays a recording; --channels "
            "on the command line"
        ]
    keys = _keys(actual)
    missing = [label for label in expected.channels if label_key(label) not in keys]
    doubled = [label for label in expected.channels if keys.count(label_key(label)) > 1]
    faults = []
    if missing:
        faults.append(
            f"channels: expected {len(expected.channels)}, missing {', '.join(missing)} among the {len(keys)} that came"
            + _nameless(actual)
        )
    if doubled:
        faults.append(f"channels: expected each once, came more than once: {', '.join(doubled)}")
    return faults


def _nameless(actual: Signal) -> str:
    """Say which channels have no label, and how they get one.

    >>> _nameless(Signal("amp", 250.0, (3,), ("O1", "", "O2")))
    '; channel 2 has no label: state it, as in [stream] rename = { "#2" = "Oz" }'
    """
    places = [str(place) for place, label in enumerate(actual.channels, 1) if not label]
    if not places:
        return ""
    many = f"channels {', '.join(places)} have" if len(places) > 1 else f"channel {places[0]} has"
    return f'; {many} no label: state it, as in [stream] rename = {{ "#{places[0]}" = "Oz" }}'


def _shape(expected: Signal, actual: Signal) -> list[str]:
    # Labelled channels are counted by label; every other axis must agree in size.
    start = 1 if expected.channels else 0
    if actual.shape[start:] == expected.shape[start:] and len(actual.shape) == len(expected.shape):
        return []
    return [f"shape of a sample: expected {expected.shape}, came {actual.shape}"]
