"""Eyes open or closed, described as a system for commands and reports."""

from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from bci.signal.types import Signal
from models.reports.decoded import Decoded
from models.systems.system import UNNAMED, Calibrating, Progress, System


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool
) -> dict[str, Any]:
    """Fit the readout to the training part of every recording, and the generator to drawings."""
    from models.systems.alpha.train import train as train_alpha

    return train_alpha(path, out, data_root, progress, even_at_chance=even_at_chance)


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Decode the test part of every recording, window by window."""
    from models.systems.alpha.evaluate import open_held_out
    from models.systems.alpha.heldout import as_decoded, decode_held_out

    config, recordings = open_held_out(bundle, data_root)
    progress(0.1, "decoding the held-out part")
    return as_decoded(decode_held_out(bundle, config, recordings), recordings)


def own_report(
    bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
) -> dict[str, Any]:
    """Report on two states by blocks of time; no metric of it needs `weights`."""
    from models.systems.alpha.evaluate import evaluate

    return evaluate(bundle.folder, data_root, out)


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Open the recordings, once all are there, and fit pipeline and readout to them."""
    from bci.signal.pipeline import Pipeline
    from models.settings import find_data_root
    from models.systems.alpha.recordings import expected_signal, open_states
    from models.systems.alpha.settings import load_training, window_shape

    config = load_training(path)
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    root = find_data_root(data_root, needed=False)
    missing = [one.path for one in config.recordings if not (root / one.path).is_file()]
    if missing:
        return [f"the recording {name} below {root}" for name in missing]
    signal = expected_signal(config, open_states(config, root))
    window_shape(config.readout, config.window, pipeline, signal)
    return []


def settings() -> Any:
    """Return the model of its training file."""
    from models.systems.alpha.settings import TrainingConfig

    return TrainingConfig


def calibration_settings() -> Any:
    """Return the model of a calibration file."""
    from models.systems.alpha.calibration_file import CalibrationConfig

    return CalibrationConfig


def load_calibration(path: Path) -> Any:
    """Read a calibration file."""
    from models.systems.alpha.calibration_file import load_calibration as load

    return load(path)


def plan_calibration(config: Any, base: Bundle, signal: Signal) -> object:
    """Return how a stream becomes windows, or say why it cannot."""
    from models.systems.alpha.calibration_file import plan_of

    return plan_of(config, base, signal)


def calibration_fitter() -> Any:
    """Return what fits the readout to a recording of cued blocks."""
    from models.systems.alpha.calibrate import calibrate

    return calibrate


SYSTEM = System(
    kind=UNNAMED,
    about="two states of the alpha rhythm, eyes open and closed, drawn as an eye",
    train=train,
    held_out=held_out,
    check=check,
    own_report=own_report,
    settings=settings,
    calibrating=Calibrating(calibration_settings, load_calibration, plan_calibration, calibration_fitter),
)
