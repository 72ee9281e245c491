"""The mean of a region is read volume by volume, with the head's motion taken out, whatever the chunks."""

from pathlib import Path

import numpy as np
import pytest
from planted_region import ANSWERS, SPHERE, TR, WARM_UP, N, write_run, write_training
from tiny_bundle import tiny_bundle

from bci.config.session import load_session
from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.errors import ConfigError
from bci.io.files.recording import chunks, open_recording
from bci.io.files.run import load_run
from bci.io.shipped import SHIPPED
from bci.memory.frames import image_digest
from bci.signal.clock import ManualClock
from bci.signal.pipeline import Pipeline
from bci.signal.run import Run
from bci.signal.windows import windows
from models.systems.measure.system import SYSTEM

pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")


def train(path: Path, out: Path) -> Bundle:
    SYSTEM.train(path, out, data_root=None, progress=lambda done, words: None, even_at_chance=False)
    return Bundle.load(out)


def made(folder: Path) -> tuple[Path, Bundle, Run]:
    """Write a run, its masks and its bundle."""
    from bci.io.volumes.reference import Sphere, write_reference

    path, masks = write_run(folder / "run.nii"), folder / "masks"
    write_reference(path, masks, [Sphere.parse(SPHERE)], place=0)
    run = load_run(
        reference=masks / "reference.nii.gz",
        masks={name: masks / f"{name}.nii.gz" for name in ("brain", "region")},
    )
    return path, train(write_training(folder, masks), folder / "bundle"), run


def read(path: Path, bundle: Bundle, run: Run, size: int) -> tuple[np.ndarray, list[str]]:
    """Return what is read of each volume (n,), NaN while nothing is, and the digests of the pictures."""
    recording = open_recording(path)
    decoder = OnnxDecoder(bundle, clock=ManualClock())
    cut = windows(chunks(recording, size), bundle.adapt(recording.signal, run), length=1, hop=1)
    frames = [decoder.decode(window) for window in cut]
    return np.array([frame.latent[0] for frame in frames]), [image_digest(frame.image) for frame in frames]


def test_a_region_that_answers_is_seen_while_the_head_creeps(tmp_path: Path) -> None:
    path, bundle, run = made(tmp_path)
    values, pictures = read(path, bundle, run, 1)
    assert (len(values), bundle.signal.shape, bundle.signal.rate) == (N, (20, 24, 12), 1 / TR)
    assert np.isnan(values[:WARM_UP]).all()
    after, answers = values[WARM_UP:], ANSWERS[WARM_UP:]
    assert np.isfinite(after).all()
    # A region that answers lies above every one that does not, though the head has moved by a third of a voxel by then.
    assert after[answers].min() > 4 > after[~answers].max()
    again, drawn = read(path, bundle, run, 7)
    assert np.array_equal(values, again, equal_nan=True)
    assert pictures == drawn


def test_a_bundle_says_before_its_session_that_motion_will_be_beside_the_samples(tmp_path: Path) -> None:
    _, bundle, run = made(tmp_path)
    bound = bundle.adapt(bundle.signal, run).start(bundle.signal)
    unbound = bundle.pipeline.start(bundle.signal)
    assert [side.name for side in unbound.sides] == ["motion", "regions"]
    assert unbound.sides == bound.sides
    # So a step that hears of motion is accepted too.
    steps = [*bundle.spec.pipeline[:1], {"step": "remove_nuisance", "volumes": 60}]
    assert Pipeline.from_json([dict(step) for step in steps]).start(bundle.signal).output.shape == (
        int(run.mask("brain").sum()),
    )


def test_a_mask_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    _, bundle, run = made(tmp_path)
    brain = run.mask("brain").copy()
    brain[tuple(np.argwhere(brain)[0])] = False
    other = Run(reference=run.reference, affine=run.affine, masks={**run.masks, "brain": brain})
    with pytest.raises(ConfigError, match="Give the mask that the decoder was made with"):
        bundle.adapt(bundle.signal, other)


def test_a_training_file_names_one_way_to_cut_and_what_its_steps_need(tmp_path: Path) -> None:
    made(tmp_path)
    path = tmp_path / "region-train.toml"
    whole = path.read_text()
    path.write_text(whole.replace("[window]", "[window]\n[epoch]\nstart = 0.0\nstop = 1.0\n"))
    with pytest.raises(ConfigError, match=r"expected \[epoch\]"):
        SYSTEM.check(path, data_root=None)
    path.write_text(whole.replace(', region = "masks/region.nii.gz"', ""))
    with pytest.raises(ConfigError, match="expected a mask 'region'"):
        SYSTEM.check(path, data_root=None)
    path.write_text(whole.split("[run]")[0])
    with pytest.raises(ConfigError, match="bci volumes reference"):
        SYSTEM.check(path, data_root=None)


def test_a_bundle_of_planned_betas_is_loaded_before_its_session_fixes_the_plan(tmp_path: Path) -> None:
    steps = [
        {"step": "motion_correction", "mask": "brain", "voxels": 9},
        {"step": "single_trial_betas", "wait_s": 6.0, "volumes": 60},
    ]
    bundle = tiny_bundle(tmp_path / "bundle", rate=2.0, volume=(6, 6, 6), length=1, hop=1, pipeline=steps)
    assert [side.name for side in bundle.pipeline.start(bundle.signal).sides] == ["motion"]
    grid = np.zeros((6, 6, 6), np.float32)
    mask = np.zeros(grid.shape, bool)
    mask[:3, :3, 0] = True
    with pytest.raises(ConfigError, match=r"planned trials in \[run\] design"):
        bundle.adapt(bundle.signal, Run(reference=grid, affine=np.eye(4), masks={"brain": mask}))


def test_the_shipped_files_read_a_region_of_a_real_run(data: Path, tmp_path: Path) -> None:
    from bci.io.volumes.reference import Sphere, write_reference

    recorded, masks = data / "rtfmri_siemens_mosaic", tmp_path / "fmri-feedback"
    facts = write_reference(recorded, masks, [Sphere.parse("region=-9,-40,-30,9")])
    training = tmp_path / "fmri-region-train.toml"
    training.write_text((SHIPPED["configs"] / training.name).read_text("utf-8"))
    (tmp_path / "session.toml").write_text((SHIPPED["configs"] / "fmri-feedback.toml").read_text("utf-8"))
    bundle = train(training, tmp_path / "fmri-region")
    session = load_session(tmp_path / "session.toml")
    assert session.decoders[0].bundle.name == bundle.name
    assert session.run is not None
    run = session.run.load()
    values, _ = read(recorded, bundle, run, 60)
    assert np.isnan(values[:20]).all()
    # The head lies still in this run: what is left of its motion changes the mean of 94 voxels little.
    plain = open_recording(recorded).read(0, 60)[:, run.mask("region")].mean(axis=1)
    assert facts["voxels"]["region"] == 94
    assert np.corrcoef(values[20:], plain[20:])[0, 1] > 0.8
