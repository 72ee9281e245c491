"""What of a decoder of volumes is copied for other tools: rows of its mask, and betas of trials if it has any."""

from collections.abc import Sequence
from typing import Any

from bci.decoder.bundle import Bundle
from bci.errors import ConfigError
from bci.io.lsl.metadata import StreamInfo
from bci.signal.pipeline import Pipeline, step_name
from bci.signal.run import Run
from bci.signal.step import Step
from bci.signal.types import Signal
from bci.signal.volumes.mask import MaskVolume
from bci.signal.volumes.motion import MotionCorrection
from bci.signal.volumes.trial_betas import SingleTrialBetas

#: The two copies, and the names of their streams on the network.
MASKED, BETA = "masked", "beta"
NAMES = {MASKED: "BOLD-masked", BETA: "BOLD-beta"}

#: Numbers behind the voxels of a row: the volume's place in the run; of a beta also its trial, -1 for none.
NUMBERS = {MASKED: ("seq",), BETA: ("seq", "trial")}


def role_of(copied: str) -> str:
    """Return the role of a copy's stream inside the programs that open it.

    >>> role_of(MASKED)
    'copy-masked'
    """
    return f"copy-{copied}"


def mask_step(steps: Sequence[Step]) -> MotionCorrection | MaskVolume | None:
    """Return the step of a bundle's pipeline that takes the voxels of a mask; None where there is none."""
    return next((step for step in steps if isinstance(step, MotionCorrection | MaskVolume)), None)


def copies_of(bundle: Bundle) -> dict[str, Signal]:
    """Return what a decoder's copies carry, by their names.

    Raises
    ------
    ConfigError
        If its pipeline takes no mask.
    """
    steps = bundle.pipeline.steps
    step = mask_step(steps)
    if step is None:
        raise ConfigError(
            f"[publish] volumes: expected a bundle whose pipeline takes the voxels of a mask, came {bundle.name!r}, "
            f"whose steps are {', '.join(step_name(type(one)) for one in steps) or 'none'}. Leave it out."
        )
    rows = Pipeline(steps[: list(steps).index(step) + 1]).output(bundle.signal)
    copies = {MASKED: Signal(NAMES[MASKED], rows.rate, (rows.shape[0] + 1,), unit=rows.unit)}
    if isinstance(steps[-1], SingleTrialBetas) and bundle.cut.needs_markers:
        betas = bundle.pipeline.output(bundle.signal)
        copies[BETA] = Signal(NAMES[BETA], 0.0, (betas.shape[0] + 2,), unit=betas.unit)
    return copies


def describe_copies(bundle: Bundle, run: Run, info: StreamInfo) -> dict[str, dict[str, str]]:
    """Return what the description of each copy says on the network, by its name.

    Of the volumes' own stream come ``series_uid`` and ``tr``; ``shape`` and ``affine`` are of the mask's grid, from
    indices to millimetres in RAS+, ``mask_sha256`` is its hash, and ``voxels`` how many values come before the numbers.
    """
    step = mask_step(bundle.pipeline.steps)
    assert step is not None
    mask = run.mask(step.mask)
    affine = run.affine if run.trained is None else run.trained.affine
    shared = {
        "speed": repr(info.speed),
        "series_uid": info.extra.get("series_uid", ""),
        "tr": repr(1.0 / info.signal.rate),
        "mask": step.mask,
        "mask_sha256": run.hashes[f"masks.{step.mask}"],
        "shape": " ".join(map(str, mask.shape)),
        "affine": "" if affine is None else " ".join(repr(float(value)) for value in affine.reshape(-1)),
        "space": "RAS+ mm",
    }
    out = {}
    for name, signal in copies_of(bundle).items():
        voxels = signal.shape[0] - len(NUMBERS[name])
        order = f"the mask's voxels, last axis fastest, then {', '.join(NUMBERS[name])}"
        out[name] = shared | {"voxels": str(voxels), "order": order}
    betas = bundle.pipeline.steps[-1]
    if BETA in out and isinstance(betas, SingleTrialBetas):
        out[BETA] |= {
            "kind": betas.kind,
            "wait_s": repr(betas.wait_s),
            "steps": str([_described(step) for step in bundle.pipeline.to_json()]),
        }
    return out


def _described(step: dict[str, Any]) -> dict[str, Any]:
    """Return a step without what it holds of each voxel, for which a description has no room."""
    return {
        key: f"{len(value)} numbers" if key in ("mean", "spread") else value for key, value in step.items()
    }
