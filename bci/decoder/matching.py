"""Whether a stream is the signal that a bundle was made for, and what must be picked from it."""

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


def check(expected: Signal, came: Signal, bundle: str) -> None:
    """Compare a stream with what a bundle expects; channels are compared by label, in any order.

    Raises
    ------
    BundleMismatch
        Naming every difference: rate, unit, missing, doubled or unlabelled channels, shape.
    """
    faults = [
        *_rate(expected, came),
        *_unit(expected, came),
        *_channels(expected, came),
        *_shape(expected, came),
    ]
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise BundleMismatch(
            f"stream {came.name!r} is not what bundle {bundle!r} was made for:\n{lines}\n"
            "Choose the stream or the bundle that fits (bci streams, bci info BUNDLE), or train one for this montage."
        )


def adapt(expected: Signal, came: Signal, pipeline: Pipeline, bundle: str, run: Run = NO_RUN) -> Pipeline:
    """Return the pipeline for a stream that fits, led by what makes the stream's channels the bundle's.

    Parameters
    ----------
    expected, came : Signal
        What the bundle was made for, and the stream.
    pipeline : Pipeline
        The bundle's.
    bundle : str
        Its name.
    run : Run
        What the session fixes: its `channel_map` renames channels first, and steps that take something of it have it.

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
        came = relabel.output(came)
        steps.append(relabel)
    check(expected, came, bundle)
    if expected.channels and _keys(expected) != _keys(came):
        steps.append(Pick(expected.channels))
    adapted = pipeline.for_run(run) if any(isinstance(step, RunStep) for step in pipeline.steps) else pipeline
    return Pipeline((*steps, *adapted.steps)) if steps else adapted


def _keys(signal: Signal) -> list[str]:
    return [label_key(label) for label in signal.channels]


def _rate(expected: Signal, came: Signal) -> list[str]:
    if abs(came.rate - expected.rate) <= _RATE_TOLERANCE * expected.rate:
        return []
    return [f"rate: expected {expected.rate:g} Hz, came {came.rate:g} Hz"]


def _unit(expected: Signal, came: Signal) -> list[str]:
    if unit_key(came.unit) == unit_key(expected.unit):
        return []
    said = repr(came.unit) if came.unit else "none"
    return [
        f"unit: expected {expected.unit!r}, came {said}" + ("" if came.unit else "; state it for the stream")
    ]


def _channels(expected: Signal, came: Signal) -> list[str]:
    if not expected.channels:
        return []
    if not came.channels:
        return [
            f"channels: expected {', '.join(expected.channels)}, came no labels; state them for the stream"
        ]
    keys = _keys(came)
    missing = [label for label in expected.channels if label_key(label) not in keys]
    doubled = [label for label in expected.channels if keys.count(label_key(label)) > 1]
    faults = []
    if missing:
        faults.append(
            f"channels: expected {len(expected.channels)}, missing {', '.join(missing)} among the {len(keys)} that came"
        )
    if doubled:
        faults.append(f"channels: expected each once, came more than once: {', '.join(doubled)}")
    return faults


def _shape(expected: Signal, came: Signal) -> list[str]:
    # Labelled channels are counted by label; every other axis must agree in size.
    start = 1 if expected.channels else 0
    if came.shape[start:] == expected.shape[start:] and len(came.shape) == len(expected.shape):
        return []
    return [f"shape of a sample: expected {expected.shape}, came {came.shape}"]
