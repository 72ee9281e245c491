"""`bci quality` shows each channel's verdict with its reason, and its status says whether one is bad."""

from pathlib import Path

import numpy as np
from commands import call


def test_a_bad_channel_is_named_with_its_reason_and_the_limits_are_stated(tmp_path: Path) -> None:
    samples = 10 * np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32)
    samples[:, 1] = 7.0
    np.save(tmp_path / "amp.npy", samples)
    words = ("quality", tmp_path / "amp.npy", "--rate", 200, "--channels", "Cz,[dead],Oz", "--unit", "uV")
    done = call(*words, "--json")
    assert done.status == 3, done.words
    assert (done.result["verdict"], done.result["bad"], done.result["poor"]) == ("bad", ["[dead]"], [])
    assert done.result["channels"]["[dead]"]["reasons"] == ["flat for 100% of the time"]
    assert done.result["channels"]["Cz"]["verdict"] == "good"
    assert (done.result["samples"], done.result["mains_hz"]) == (2000, None)
    assert "flat for 100% of the time" in done.words
    assert "bad from" in done.words
    samples[:, 1] = samples[::-1, 0]
    np.save(tmp_path / "amp.npy", samples)
    assert call(*words).status == 0
