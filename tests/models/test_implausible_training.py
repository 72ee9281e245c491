"""Values that no brain gives are refused by the training of every kind, or said where a file takes them as they are."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training needs the extra train")

from planted_collection import collected_session, pictures

from bci.errors import RecordingError
from bci.io.shipped import SHIPPED
from models.progress import WARNING
from models.systems.registry import system_of_file

RECORDED = '[[recordings]]\npath = "{name}.npz"\nrate = 200\nunit = "uV"\nchannels = {channels}\n'
SIGNAL = '[signal]\nchannels = ["O1", "Oz"]\nunit = "uV"\n'


class Scored(Exception):
    """Training has come to its scores; the rest is not waited for."""


def record(folder: Path, *names: str, channels: int = 2) -> None:
    """Write a minute of noise each, ten million times what a brain gives."""
    random = np.random.default_rng(0)
    for name in names:
        np.savez(
            folder / f"{name}.npz", data=1e7 * random.standard_normal((12_000, channels)).astype(np.float32)
        )


def alpha(folder: Path) -> str:
    """Write what the eyes-open decoder is trained on."""
    record(folder, "open", "closed")
    labels = '["O1", "Oz"]'
    given = (SHIPPED["configs"] / "alpha-train.toml").read_text("utf-8")
    states = "".join(
        RECORDED.format(name=name, channels=labels) + f'state = {state}\nlabel = "eyes {name}"\n'
        for state, name in enumerate(("open", "closed"))
    )
    below = given[given.index("[split]") :].replace(
        '"O1", "Oz", "O2", "PO7", "PO3", "POz", "PO4", "PO8"', labels[1:-1]
    )
    return 'name = "a"\ntitle = "A"\nseed = 1\n' + states + below.replace("block = 16", "block = 20")


def numbers(folder: Path) -> str:
    """Write a recording of which one channel is the number."""
    record(folder, "one", channels=3)
    return (
        'kind = "numbers"\nname = "n"\nfolds = 3\n'
        + RECORDED.format(name="one", channels='["O1", "Oz", "force"]')
        + SIGNAL
        + '[target]\nchannel = "force"\nname = "force"\nunit = "N"\n'
        '[[pipeline]]\nstep = "band_power"\nbands = [[10, 30]]\nblock = 20\n[window]\nlength = 5\n'
    )


def rhythm(folder: Path) -> str:
    """Write a recording of which one channel's rhythm is read."""
    record(folder, "one")
    return (
        'kind = "rhythm"\nname = "r"\nfolds = 3\n'
        + RECORDED.format(name="one", channels='["O1", "Oz"]')
        + SIGNAL
        + '[target]\nchannel = "O1"\nname = "theta"\nlow = 4\nhigh = 12\n'
        '[[pipeline]]\nstep = "high_pass"\nlow = 1\norder = 2\n'
        '[[pipeline]]\nstep = "decimate"\nfactor = 4\n[window]\nlength = 20\nhop = 3\n'
    )


def seen(folder: Path) -> str:
    """Write a session in which pictures of known latents were shown."""
    stimuli = pictures(folder / "pets", each=6)
    names = [str(path.relative_to(stimuli).with_suffix("")) for path in sorted(stimuli.rglob("*.png"))]
    latents = np.random.default_rng(1).standard_normal((len(names), 64))
    (stimuli / "latents.json").write_text(json.dumps(dict(zip(names, latents.tolist(), strict=True))))
    collected_session(folder / "one", stimuli, 24, unit="V")
    return (
        'kind = "pictures"\nname = "p"\ngenerator = "dcgan-faces"\n[data]\nsessions = ["one"]\n'
        + SIGNAL.replace('"uV"', '"V"')
        + '[[pipeline]]\nstep = "band_pass"\nlow = 1.0\nhigh = 30.0\norder = 2\n'
        "[epoch]\nstart = 0.1\nstop = 0.3\nmean = true\n"
    )


@pytest.mark.parametrize("kind", [alpha, numbers, rhythm, seen])
def test_the_training_of_every_kind_refuses_values_that_no_brain_gives_or_says_them(
    kind: Callable[[Path], str], tmp_path: Path
) -> None:
    path = tmp_path / "train.toml"
    text = kind(tmp_path)
    path.write_text(text)
    lines: list[str] = []

    def heard(done: float, line: str) -> None:
        lines.append(line)
        if done > 0 and not line.startswith(WARNING):
            raise Scored

    def train() -> None:
        system_of_file(path).train(
            path, tmp_path / "bundle", data_root=tmp_path, progress=heard, even_at_chance=True
        )

    with pytest.raises(RecordingError, match=r"(one|open\.npz).*channels move by .* any_amplitude = true"):
        train()
    assert not (tmp_path / "bundle").exists()
    path.write_text(text.replace("[signal]\n", "[signal]\nany_amplitude = true\n"))
    with pytest.raises(Scored):
        train()
    warned = [line for line in lines if line.startswith(WARNING)]
    assert any("channels move by" in line for line in warned), lines
    assert any("one" in line or "open.npz" in line for line in warned), "the recording is named"
