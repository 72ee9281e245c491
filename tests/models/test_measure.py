"""A measure is written as a bundle without fitting: what it reads is the mean that its file names."""

from pathlib import Path

import numpy as np
import pytest

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.errors import BundleError, ConfigError
from bci.signal.clock import ManualClock
from bci.signal.types import Window
from models.systems.measure.system import SYSTEM

FILE = """
kind = "measure"
name = "two"
[signal]
name = "units"
rate = 100.0
channels = ["A", "B", "C"]
unit = "spikes"
[epoch]
start = 0.05
stop = 0.15
[measure]
name = "firing rate"
unit = "spikes/s"
channels = ["C", "A"]
scale = 100.0
high = 50.0
"""


def write(folder: Path, text: str = FILE) -> Bundle:
    path = folder / "measure.toml"
    path.write_text(text)
    SYSTEM.train(
        path, folder / "bundle", data_root=None, progress=lambda done, words: None, even_at_chance=False
    )
    return Bundle.load(folder / "bundle")


def test_the_rate_of_the_named_units_is_read_and_nothing_of_the_others(tmp_path: Path) -> None:
    bundle = write(tmp_path)
    counts = np.random.default_rng(2).poisson(0.3, (10, 3)).astype(np.float32)
    window = Window(bundle.output, 0, counts, np.arange(10) / 100, np.zeros((10, 3), bool), 9)
    read = OnnxDecoder(bundle, clock=ManualClock()).decode(window)
    assert read.latent.tolist() == pytest.approx([100 * counts[:, [0, 2]].mean()], rel=1e-6)
    assert read.image.shape == (64, 64, 3)
    with pytest.raises(BundleError, match="nothing of it was fitted"):
        SYSTEM.held_out(bundle, data_root=None, progress=lambda done, words: None)


def test_a_channel_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "measure.toml"
    path.write_text(FILE.replace('["C", "A"]', '["D"]'))
    with pytest.raises(ConfigError, match="some of A, B, C, came D"):
        SYSTEM.check(path, data_root=None)
