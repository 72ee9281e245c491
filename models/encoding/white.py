r"""A WhiteEncoding predicts a brain's answers along axes in which their noise is white and their signal is ordered.

A trial is some thousand values, mostly noise. Its principal components are predicted from the picture
(`models.encoding.model`); the noise about the predictions makes them white; and of the white answers only those axes
are kept along which the *predictions* vary most. There an encoding model is fitted again: each axis has a penalty of
its own, and few axes have a noise covariance that hardly needs to be shrunk. The distance between an answer and a
prediction, squared and halved, is then the negative log likelihood of the picture, up to a constant (Kay et al. 2008).

Shrinking matters. In principal components of variance 1 the noise is least where the signal is, and a shrinkage as
Ledoit and Wolf's (2004), made for the whole matrix, takes that away: on the simulated participants of this project,
single trials of EEG were then identified by their likelihood in 87 % of 24 instead of 97 % (mean of three designs).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoding.model import EncodingModel
from models.encoding.ridge import PictureRidge
from models.readouts.principal import principal_axes

Floats = NDArray[np.float64]

#: Shrinkage of the noise covariance of principal components.
_SHRINKAGE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class WhiteEncoding:
    """A WhiteEncoding holds the way from brain data to white answers, and the model that predicts these.

    Attributes
    ----------
    weights : (voxels, axes) float64
        From standardised brain data to white answers.
    offset : (axes,) float64
    model : EncodingModel
        Along the axes, before the last whitening.
    whiten : (axes, axes) float64
        From the model's answers, about its mean, to white ones.
    """

    weights: Floats
    offset: Floats
    model: EncodingModel
    whiten: Floats

    @classmethod
    def fit(
        cls,
        x: Floats,
        features: NDArray[np.float32],
        runs: NDArray[np.intp],
        *,
        components: int = 150,
        axes: int = 60,
    ) -> "WhiteEncoding":
        """Fit to trials.

        Parameters
        ----------
        x : (n, voxels)
            Standardised brain data.
        features : (n, features)
            Of the pictures.
        runs : (n,) int
            Numbered from 0.
        components : int
            Principal components that are looked at.
        axes : int
            Axes that are kept, no more than there are components.
        """
        middle = x.mean(axis=0)
        project = _principal(x - middle, components)
        ridge = PictureRidge.of(features, runs)
        first = EncodingModel.of(ridge, (x - middle) @ project, _SHRINKAGE)
        white = _root(first.noise)
        said = first.predicted @ white
        _, vectors = np.linalg.eigh(np.cov(said.T))
        project = project @ white @ vectors[:, ::-1][:, :axes]
        model = EncodingModel.of(ridge, (x - middle) @ project)
        whiten = _root(model.noise)
        return cls(project @ whiten, -(middle @ project + model.mean) @ whiten, model, whiten)

    def answers(self, x: Floats) -> Floats:
        """Return the white answers in standardised brain data: (n, voxels) to (n, axes)."""
        white: Floats = x @ self.weights + self.offset
        return white

    def predict(self, features: NDArray[np.float32]) -> Floats:
        """Return the white answers that are expected to pictures of these features: (n, features) to (n, axes)."""
        return self.white(self.model(features))

    def white(self, answers: Floats) -> Floats:
        """Return white answers of those of the model: (n, axes) to the same."""
        white: Floats = (answers - self.model.mean) @ self.whiten
        return white

    def log_likelihood(self, x: Floats, features: NDArray[np.float32], counts: float = 1.0) -> Floats:
        """Return the log likelihood of each picture in each trial, up to a constant of the trial.

        Parameters
        ----------
        x : (n, voxels)
            Standardised brain data.
        features : (k, features)
            Of candidate pictures, as many as are wanted.
        counts : float
            Presentations that a trial averages; its noise falls as much.

        Returns
        -------
        (n, k) float64
        """
        answers, expected = self.answers(x), self.predict(features)
        logs: Floats = counts * (answers @ expected.T - (expected**2).sum(axis=1) / 2)
        return logs


def _principal(centred: Floats, count: int) -> Floats:
    """Return the strongest principal axes over the deviation along them: (n, voxels) to (voxels, at most `count`)."""
    axes = principal_axes(centred, count)
    scaled: Floats = axes / (centred @ axes).std(axis=0)
    return scaled


def _root(covariance: Floats) -> Floats:
    """Return the symmetric inverse root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = vectors / np.sqrt(values) @ vectors.T
    return root
