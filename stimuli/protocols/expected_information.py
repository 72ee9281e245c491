"""Expected information: the next picture is the one whose answer is expected to tell most of how the brain answers.

Candidates are the pictures of a folder, or random points of the generator's latent space. What the decoder reads of a
trial is taken as linear in the latent that was shown, or in features of the picture (`stimuli.information`): after each
reading the weights, their uncertainty and the noise are known better, and the candidate is shown that is expected to
take most from the uncertainty. Pictures whose readings are still to come count as if they had come. With ``choose =
"random"`` the same candidates come in random order: the control.

No candidate is shown more than ``repeats`` times. A trial of which nothing was read, although a later one was, tells
nothing and is not counted: its picture may come again. The same outcomes give the same pictures.

With ``encoding`` a bundle's encoding model (`bci.io.files.encoding`) is what is known before the first picture: the
features are its own, and its training counts as answers that were heard. With ``learns = false`` what it says stays as
it is, and only what was shown counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.io.files.encoding import read_encoding
from stimuli.information import AnswerSums, LinearAnswers
from stimuli.protocols.pictures import (
    FEATURES,
    LATENTS,
    PictureSet,
    load_numbers,
    load_pictures,
    picture_paths,
)
from stimuli.trials import Ending, Latent, Outcome, Palette, Picture, Protocol, Stimulus, timed

Floats = NDArray[np.float64]


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.adaptive.ExpectedInformationSettings`.

    Raises
    ------
    ConfigError
        If the session reads nothing, the pictures or their latents cannot be read, no generator draws the points, or
        the encoding model is of another decoder.
    BundleError
        If the bundle has no encoding model, or is not the one that the session began with.
    """
    if not palette.reading:
        raise ConfigError(
            '[experiment] protocol "expected_information": expected a session that reads each trial, came one without '
            "a [decoder]. Name one, or collect with another protocol."
        )
    if spec["folder"] is not None:
        pictures = PictureSet.load(Path(spec["folder"]), palette.size)
        if spec.get("encoding") is not None:
            chooser = Chooser.believing(spec, palette.reading)
            return _trials(
                spec, chooser, pictures.names, [Picture(one) for one in pictures.images], pictures.files
            )
        file = FEATURES if spec["features"] == "pictures" else LATENTS
        rows = load_numbers(Path(spec["folder"]), pictures.names, file)
        stimuli: list[Stimulus] = [Picture(image) for image in pictures.images]
        return _trials(spec, Chooser(spec, rows, palette.reading), pictures.names, stimuli, pictures.files)
    if not palette.latent:
        raise ConfigError(
            '[experiment] protocol "expected_information": expected a bundle with a generator graph, came one without, '
            "which cannot draw latents. Name another bundle in [decoder], or a folder of pictures."
        )
    random = np.random.default_rng(int(spec["seed"]) & 0xFFFFFFFF)
    latents = np.asarray(
        spec["spread"] * random.standard_normal((spec["points"], palette.latent)), np.float32
    )
    names = [f"point-{number}" for number in range(len(latents))]
    points: list[Stimulus] = [Latent(latent) for latent in latents]
    return _trials(spec, Chooser(spec, latents, palette.reading), names, points, [""] * len(names))


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be."""
    n = spec["points"] if spec["folder"] is None else len(picture_paths(Path(spec["folder"])))
    return min(int(spec["trials"]), n * int(spec["repeats"]))


@dataclass(slots=True, eq=False)
class Chooser:
    """A Chooser picks the next of some candidates by what was read of those before; it knows no screen.

    Parameters
    ----------
    spec : mapping
        ``choose``, ``repeats`` and ``seed`` of the session file.
    numbers : (n, d) float32
        Latents of the candidates, or features.
    answers : int
        How many values a reading has.
    before : AnswerSums, optional
        What is known before the first picture; `numbers` are then taken as they are, (n, features) float64.
    """

    spec: Mapping[str, Any]
    numbers: NDArray[np.floating[Any]]
    answers: int
    before: AnswerSums | None = None
    features: Floats = field(init=False)
    known: LinearAnswers = field(init=False)
    _left: NDArray[np.int64] = field(init=False)
    _shown: dict[int, int] = field(init=False, default_factory=dict)
    _pending: list[int] = field(init=False, default_factory=list)
    _random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.features = scaled(self.numbers) if self.before is None else self.numbers.astype(np.float64)
        learns = bool(self.spec.get("learns", True))
        self.known = LinearAnswers(self.features.shape[1], self.answers, self.before, learns=learns)
        self._left = np.full(len(self.numbers), int(self.spec["repeats"]))
        self._random = np.random.default_rng([int(self.spec["seed"]) & 0xFFFFFFFF, 1])

    @classmethod
    def believing(cls, spec: Mapping[str, Any], reading: int) -> "Chooser":
        """Return one for the pictures of a folder that begins with the encoding model of a bundle, `spec`'s.

        Raises
        ------
        ConfigError
            If the bundle reads another number of values than `reading`, those of the session.
        BundleError
            As `bci.io.files.encoding.read_encoding`.
        """
        encoding = read_encoding(Path(spec["encoding"]), spec.get("encoding_hash"))
        if encoding.latent != reading:
            raise ConfigError(
                f'[experiment] protocol "expected_information": expected the encoding model of a bundle that reads '
                f"{reading} values, as the session does, came one of {encoding.latent}. Name the session's own bundle."
            )
        _, images = load_pictures(Path(spec["folder"]), encoding.size)
        return cls(spec, encoding.components(images), reading, AnswerSums.of(encoding))

    def next(self) -> int | None:
        """Return the number of the candidate to show; None when all were shown often enough."""
        open_ = np.flatnonzero(self._left > 0)
        if not len(open_):
            return None
        if self.spec["choose"] == "random":
            # Those that were shown less often come first, so that each block holds every candidate once.
            least = open_[self._left[open_] == self._left[open_].max()]
            return int(self._random.choice(least))
        pending = self.features[[self._shown[trial] for trial in self._pending]] if self._pending else None
        return int(open_[np.argmax(self.known.information(self.features[open_], pending))])

    def take(self, number: int, outcome: Outcome) -> None:
        """Take in what became of the trial that showed a candidate, and what was read of it or of trials before."""
        if outcome.ending is Ending.SHOWN:
            self._left[number] -= 1
            self._shown[outcome.trial] = number
            self._pending.append(outcome.trial)
        for reading in outcome.readings:
            shown = self._shown.get(reading.trial)
            if shown is None:
                continue
            self.known.learn(self.features[shown], np.asarray(reading.latent, np.float64))
            lost = [trial for trial in self._pending if trial < reading.trial]
            for trial in lost:
                self._left[self._shown.pop(trial)] += 1
            self._pending = [trial for trial in self._pending if trial > reading.trial]


def scaled(numbers: NDArray[np.floating[Any]], of: NDArray[np.floating[Any]] | None = None) -> Floats:
    """Return numbers, (n, d), about the means of candidates and in units of their power, with a constant: (n, d + 1).

    The candidates are `of`, (m, d), by default `numbers` themselves.

    >>> scaled(np.array([[1, 2], [3, 2]], np.float32)).tolist()
    [[-1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]
    """
    of = numbers if of is None else of
    mean = of.mean(axis=0, dtype=np.float64)
    power = np.sqrt(((of - mean) ** 2).sum(axis=1).mean())
    rows = (numbers - mean) / (power if power > 0 else 1.0)
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def _trials(
    spec: Mapping[str, Any],
    choice: Chooser,
    names: Sequence[str],
    stimuli: Sequence[Stimulus],
    files: Sequence[str],
) -> Protocol:
    for _ in range(int(spec["trials"])):
        number = choice.next()
        if number is None:
            return
        outcome = yield timed(spec, number, names[number], stimuli[number], file=files[number])
        choice.take(number, outcome)
