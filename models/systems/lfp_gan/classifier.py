"""A classifier of windows by the image that was shown (the thesis's future work), and distances in what it sees.

Distances in features of a network that knows pictures say little of potentials. This one begins as the pretrained
signal encoder and learns which training image a window followed; the last presentations of each are kept from it, and
say how well it does. The Fréchet distance is taken in its features, the divergence of its classes (inception score) of
its probabilities. The latter ranks some broken generators above the data: it is printed, and nothing goes by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bci.errors import ConfigError
from models.devices import device_of, repeatable
from models.metrics.distributions import class_divergence, frechet_distance
from models.systems.lfp_gan.data import ShownWindows
from models.systems.lfp_gan.networks import SLOPE, SignalEncoder
from models.systems.lfp_gan.pretraining import Pretrained, Progress
from models.systems.lfp_gan.settings import ClassifierSettings, LfpGanConfig
from models.systems.lfp_gan.tables import CODE, CODE_CHANNELS, Table, across

Windows = NDArray[np.float32]

#: Of each image's presentations one in so many, the last, is kept to score by.
_KEPT = 5
_AT_ONCE, _LOOKS = 128, 20


class LfpClassifier(nn.Module):
    """An LfpClassifier gives a value for each image that a window, (n, channels, length), may have followed.

    Parameters
    ----------
    signal : Table
        Of the encoder that it begins with.
    features : int
        Values before the last layer.
    images : int
    dropout : float
        Share of features left out while it learns.

    Raises
    ------
    ConfigError
        If the encoder does not give the code, or there is nothing to tell apart.
    """

    def __init__(self, signal: Table, features: int, images: int, dropout: float = 0.0) -> None:
        super().__init__()
        if signal.gives != (CODE_CHANNELS, (CODE,)):
            raise ConfigError(
                f"{signal.name} gives {across((signal.gives[0], *signal.gives[1]))}, a classifier takes codes of "
                f"{CODE_CHANNELS}×{CODE}. Change its last layer."
            )
        if min(features, images) < 2:
            raise ConfigError(
                f"expected a classifier of two features and two images or more, came {features} and {images}. Use more."
            )
        self.signal = SignalEncoder(signal)
        self.dense = nn.Linear(CODE_CHANNELS * CODE, features)
        self.dropout = nn.Dropout(dropout)
        self.verdict = nn.Linear(features, images)

    def features(self, windows: Tensor) -> Tensor:
        """Return what windows are compared by: (n, features)."""
        return functional.leaky_relu(self.dense(self.signal(windows).flatten(1)), SLOPE)

    def forward(self, windows: Tensor) -> Tensor:
        """Return a value for each image, (n, images)."""
        verdict: Tensor = self.verdict(self.dropout(self.features(windows)))
        return verdict


@dataclass(frozen=True, eq=False)
class Classified:
    """A Classified is a classifier that has learned, and how it does.

    Attributes
    ----------
    network : LfpClassifier
    scores : dict of str to float
        ``accuracy`` and ``top_5`` on presentations that it did not learn from, ``chance`` of the first, and their
        number, ``windows``.
    """

    network: LfpClassifier
    scores: dict[str, float]


def require_enough(settings: ClassifierSettings, shown: ShownWindows) -> None:
    """Refuse a classifier whose distances could not be taken of the tested windows.

    Raises
    ------
    ConfigError
        With both numbers.
    """
    needed = max(settings.features, len(np.unique(shown.training[1])))
    if settings.steps and len(shown.test[1]) <= needed:
        raise ConfigError(
            f"classifier: expected more windows of tested images than it has features and images, {needed}, came "
            f"{len(shown.test[1])}. Show images more often, or set classifier.steps to 0."
        )


def classify(
    config: LfpGanConfig, shown: ShownWindows, pretrained: Pretrained, progress: Progress
) -> Classified:
    """Train a classifier on the training images' windows but the last of each image, and score it on these."""
    settings = config.classifier
    require_enough(settings, shown)
    windows, which = shown.training
    present, label = np.unique(which, return_inverse=True)
    kept = last_of_each(label)
    torch.manual_seed(config.seed + 8)
    encoder = pretrained.networks.signal_encoder
    network = LfpClassifier(encoder.stack.table, settings.features, len(present), settings.dropout)
    network.signal.load_state_dict(encoder.state_dict())
    place = device_of(config.device)
    network.to(place)
    optimiser = torch.optim.Adam(network.parameters(), settings.rate)
    source, target = torch.from_numpy(windows[~kept]), torch.from_numpy(label[~kept])
    random = torch.Generator().manual_seed(config.seed + 9)
    for step in range(1, settings.steps + 1):
        optimiser.param_groups[0]["lr"] = settings.rate * (1 - (step - 1) / settings.steps)
        some = torch.randint(len(source), (settings.batch,), generator=random)
        with repeatable(place):
            loss = functional.cross_entropy(
                network(source[some].to(place)), target[some].to(place), label_smoothing=settings.smoothing
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        if step % max(1, settings.steps // _LOOKS) == 0:
            progress(step / settings.steps, f"classifier: cross-entropy {float(loss.detach().cpu()):.2f}")
    network.eval().cpu()
    order = np.argsort(-seen(network, windows[kept])[1], axis=1)
    right = order == label[kept][:, None]
    return Classified(
        network,
        {
            "accuracy": float(right[:, 0].mean()),
            "top_5": float(right[:, :5].any(1).mean()),
            "chance": 1 / len(present),
            "windows": float(kept.sum()),
        },
    )


def last_of_each(label: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which windows are among the last fifth of their image's, at least one of each.

    Examples
    --------
    >>> last_of_each(np.array([0, 1, 0, 1, 1])).tolist()
    [False, False, True, False, True]
    """
    kept = np.zeros(len(label), bool)
    for image in np.unique(label):
        places = np.flatnonzero(label == image)
        kept[places[-max(1, len(places) // _KEPT) :]] = True
    return kept


def seen(network: LfpClassifier, windows: Windows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return features and probabilities of windows: (n, features), (n, images)."""
    features, chances = [], []
    with torch.no_grad():
        for some in torch.from_numpy(windows).split(_AT_ONCE):
            features.append(network.features(some))
            chances.append(torch.softmax(network.verdict(features[-1]).double(), 1))
    return torch.cat(features).double().numpy(), torch.cat(chances).numpy()


def compare_seen(network: LfpClassifier, real: Windows, made: Mapping[str, Windows]) -> dict[str, Any]:
    """Return, by name, the Fréchet distance of features to those of measured windows, and the classes' divergence.

    Measured windows are compared too, a random half with the other: what no generator can be expected to go below.
    """
    features, chances = seen(network, real)
    order = np.random.default_rng(0).permutation(len(real))
    halves = features[order[::2]], features[order[1::2]]
    rows: dict[str, Any] = {"measured": {"divergence": class_divergence(chances, splits=1)[0]}}
    if min(map(len, halves)) > features.shape[1]:
        rows["measured"]["frechet"] = frechet_distance(*halves)
    for name, windows in made.items():
        theirs, said = seen(network, windows)
        rows[name] = {
            "divergence": class_divergence(said, splits=1)[0],
            "frechet": frechet_distance(features, theirs),
        }
    return rows
