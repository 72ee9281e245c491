"""Scores by trained networks, loaded from a folder the user names; without its weights a row reads "weights missing".

Nothing is downloaded, and what is there is tried in a capped child before it is opened here
(`models.metrics.network_trial`). Each network is one ONNX file in that folder, from pictures (n, 3, size, size) to
features (n, …), normalised inside or by the constants below; ``lpips.onnx`` takes two pictures. A profile says at which
size each network sees pictures: published tables differ in that, and their numbers cannot be compared across profiles.

FID, KID and the inception score are defined for one network at one size (Inception's at 299²) and one way to resize.
Here a network sees pictures at the profile's size, and which weights a file holds is not known, so these rows are named
after what they are: a distance, the file, the size. A face network sees them at FaceNet's own size and normalisation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.decoder.providers import open_cpu_session
from bci.errors import ConfigError, DataError
from bci.io.files.capped import printable
from models.metrics.distributions import class_divergence, frechet_distance, kernel_distance
from models.metrics.identification import correlation_table, two_way
from models.metrics.images import picture_pair, resize
from models.metrics.latents import correlations, derangement
from models.metrics.network_trial import try_network

Floats = NDArray[np.float64]
How = Literal["two-way", "distance", "unit distance", "pairwise", "fréchet", "kernel", "divergence"]

#: Threads of a network; 0 is as many as there are cores.
_THREADS = 0

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_SIGNED = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
#: Of FaceNet: (level − 127.5) / 128.
_FACES = ((0.5, 0.5, 0.5), (128 / 255, 128 / 255, 128 / 255))


@dataclass(frozen=True, slots=True)
class NetworkScore:
    """A NetworkScore describes one row of the table: a network and the score made of its features.

    Attributes
    ----------
    name : str
        Name in reports; ``{size}`` stands for the side in pixels at which the network sees pictures.
    file : str
        Name of the network's file in the weights folder.
    how : str
        How its features are compared: two-way identification, 1 − r, L2 of unit embeddings, LPIPS of pairs, a distance
        of the two samples, or how much classes of reconstructions say beside their mean.
    better : str
        ``higher`` or ``lower``.
    mean, deviation : three floats each
        Constants that pictures from 0 to 1 are normalised by.
    """

    name: str
    file: str
    how: How
    better: Literal["higher", "lower"]
    mean: tuple[float, float, float] = _IMAGENET[0]
    deviation: tuple[float, float, float] = _IMAGENET[1]


SCORES = (
    NetworkScore("AlexNet(2)", "alexnet_2.onnx", "two-way", "higher"),
    NetworkScore("AlexNet(5)", "alexnet_5.onnx", "two-way", "higher"),
    NetworkScore("Inception", "inception_pool.onnx", "two-way", "higher"),
    NetworkScore("CLIP", "clip_image.onnx", "two-way", "higher", *_CLIP),
    NetworkScore("EffNet", "efficientnet_b1.onnx", "distance", "lower"),
    NetworkScore("SwAV", "swav.onnx", "distance", "lower"),
    NetworkScore("LPIPS", "lpips.onnx", "pairwise", "lower", *_SIGNED),
    NetworkScore("distance of facenet at {size}²", "facenet.onnx", "unit distance", "lower", *_FACES),
    NetworkScore("Fréchet distance of inception_pool at {size}²", "inception_pool.onnx", "fréchet", "lower"),
    NetworkScore("kernel distance of inception_pool at {size}²", "inception_pool.onnx", "kernel", "lower"),
    NetworkScore(
        "class divergence of inception_probabilities at {size}²",
        "inception_probabilities.onnx",
        "divergence",
        "higher",
    ),
)

#: Side in pixels at which each file sees pictures; ``""`` is any other file. ``mindeye`` is not wired: no command asks
#: for it.
PROFILES: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "brain-diffuser": MappingProxyType({"": 224, "facenet.onnx": 160}),
        "mindeye": MappingProxyType(
            {
                "": 224,
                "facenet.onnx": 160,
                "alexnet_2.onnx": 256,
                "alexnet_5.onnx": 256,
                "inception_pool.onnx": 342,
                "inception_probabilities.onnx": 342,
            }
        ),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkRow:
    """A NetworkRow holds the values of one score, or why there are none.

    Attributes
    ----------
    name, better : str
    values : (n,) float64, or None
        One per item, or a single one for a distance between samples; None where the weights are missing.
    said : str
        "weights missing: FILE", or why the score could not be computed; empty otherwise.
    baselines : mapping of str to float
        The mean score of reconstructions shuffled over stimuli, and of the mean picture where there is one; none for
        a distance between samples, which has no pairs.
    """

    name: str
    better: str
    values: Floats | None
    said: str = ""
    baselines: Mapping[str, float] = field(default_factory=dict)


def score_networks(
    truth: ArrayLike,
    predicted: ArrayLike,
    weights: Path | None,
    *,
    training_mean: ArrayLike | None = None,
    profile: str = "brain-diffuser",
) -> list[NetworkRow]:
    """Score reconstructions by every network whose weights are in the folder.

    Parameters
    ----------
    truth, predicted : (n, height, width, 3)
    weights : Path, optional
        Folder of the networks; without it every row reads "weights missing".
    training_mean : (height, width, 3), optional
        The mean picture of training, scored as a baseline.
    profile : str
        ``brain-diffuser`` or ``mindeye``.

    Raises
    ------
    ConfigError
        If there is no such profile or folder, or a file in it is no such network.
    """
    if profile not in PROFILES:
        raise ConfigError(
            f"expected one of the profiles {', '.join(PROFILES)}, came {profile!r}. Name one of them."
        )
    if weights is not None and not weights.is_dir():
        raise ConfigError(
            f"expected a folder of network weights, came {weights}, which is none. Name an existing one."
        )
    a, b = picture_pair(truth, predicted)
    sides = [a, b]
    if training_mean is not None:
        mean = np.broadcast_to(np.asarray(training_mean, np.float64), a.shape)
        sides.append(picture_pair(a, mean)[1])
    sizes = PROFILES[profile]
    rows, tried = [], set[Path]()
    for one in SCORES:
        size = sizes.get(one.file, sizes[""])
        score = replace(one, name=one.name.format(size=size))
        path = weights / score.file if weights is not None else None
        if path is None or not path.exists():
            rows.append(NetworkRow(score.name, score.better, None, f"weights missing: {score.file}"))
            continue
        if path not in tried:
            try_network(path, 2 if score.how == "pairwise" else 1, size)
            tried.add(path)
        rows.append(_row(score, path, [resize(side, size) for side in sides]))
    return rows


def _row(score: NetworkScore, path: Path, sides: list[Floats]) -> NetworkRow:
    """Score reconstructions and their baselines; sides are truths, reconstructions and perhaps mean pictures."""
    truth, *others = (
        ((side - score.mean) / score.deviation).transpose(0, 3, 1, 2).astype(np.float32) for side in sides
    )
    order = derangement(len(truth), np.random.default_rng(0)) if len(truth) > 1 else None
    candidates = {"": others[0]} | ({"mean picture": others[1]} if len(others) > 1 else {})
    if score.how == "pairwise":
        candidates |= {} if order is None else {"shuffled": others[0][order]}
        values = {
            name: _run(path, truth, side).reshape(len(truth), -1).mean(1) for name, side in candidates.items()
        }
        return _with_baselines(score, values)
    x = _run(path, truth).reshape(len(truth), -1)
    y = {name: _run(path, side).reshape(len(side), -1) for name, side in candidates.items()}
    if score.how in ("fréchet", "kernel", "divergence"):
        y = {"": y[""]}
    elif order is not None:
        y["shuffled"] = y[""][order]
    try:
        return _with_baselines(score, {name: _values(score.how, x, features) for name, features in y.items()})
    except DataError as error:  # too few items for the distance: the row says so beside the others' numbers
        return NetworkRow(score.name, score.better, None, str(error))


def _with_baselines(score: NetworkScore, values: dict[str, Floats]) -> NetworkRow:
    own_values = values.pop("")
    return NetworkRow(
        score.name, score.better, own_values, "", {name: float(v.mean()) for name, v in values.items()}
    )


def _values(how: How, x: Floats, y: Floats) -> Floats:
    """Compare features of truths and reconstructions: (n, k) twice."""
    if how == "two-way":
        return two_way(correlation_table(x, y))
    if how == "distance":
        return 1 - correlations(x, y)
    if how == "unit distance":
        units = [_unit(side) for side in (x, y)]
        return np.asarray(np.linalg.norm(units[0] - units[1], axis=1))
    if how == "fréchet":
        return np.array([frechet_distance(x, y)])
    if how == "kernel":
        return np.array([kernel_distance(x, y, rng=np.random.default_rng(0)).mean])
    return np.array([class_divergence(y)[0]])


def _unit(rows: Floats) -> Floats:
    """Return rows at unit length; NaN for one that has none."""
    size = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, size, out=np.full_like(rows, np.nan), where=size > 0)


def _run(path: Path, *inputs: NDArray[np.float32]) -> Floats:
    """Run a network that was tried, picture by picture: (n, 3, size, size) to (n, …)."""
    try:
        session = open_cpu_session(path.read_bytes(), _THREADS)
        names = [given.name for given in session.get_inputs()]
        rows = [
            session.run(None, {name: side[[k]] for name, side in zip(names, inputs, strict=True)})[0]
            for k in range(len(inputs[0]))
        ]
    except Exception as error:  # ONNX Runtime's exceptions share no base below Exception
        raise ConfigError(
            f"{path}: expected features of every picture, came: {printable(error)}. Take the file away."
        ) from error
    return np.concatenate(rows).astype(np.float64)
