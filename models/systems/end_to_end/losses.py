r"""The three terms of the generator's loss on the published scale, and the rule by which the two networks take turns.

Caffe's squared error is :math:`\tfrac{1}{2N}\sum` over a batch of `N`, pixels are levels from 0 to 255, and the softmax
loss is a mean, so with the published weights

.. math:: L = \frac{2\cdot10^{-6}}{2N}\sum\lVert G(v)-x\rVert^2 + \frac{0.01}{2N}\sum\lVert C(G(v))-C(x)\rVert^2
          - \frac{100}{N}\sum\log D(G(v)).

Our pictures go from -1 to 1: the first sum is multiplied by 127.5². A smaller picture has fewer values to sum: both
sums are brought to the numbers of values of the paper, 3 · 227² and 256 · 6 · 6, so that an error counts alike at any
size.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from models.systems.end_to_end.architecture import FEATURE_VALUES, PICTURE_VALUES

#: Levels of a pixel for one unit of ours.
LEVELS = 127.5
#: Places of the discriminator's two values.
DRAWN, REAL = 0, 1


def image_term(drawn: Tensor, shown: Tensor, weight: float) -> Tensor:
    """Return the first term: pictures (n, 3, height, width) from -1 to 1.

    Examples
    --------
    An error of 60 levels everywhere, at any size, gives the paper's 557.

    >>> import torch
    >>> shown = torch.zeros(2, 3, 32, 32)
    >>> round(float(image_term(shown + 60 / 127.5, shown, 2e-6)))
    557
    """
    return _halved((drawn - shown) * LEVELS, weight * PICTURE_VALUES)


def feature_term(drawn: Tensor, shown: Tensor, weight: float) -> Tensor:
    """Return the second term: activations (n, values) of what is drawn and of what was shown."""
    return _halved(drawn - shown, weight * FEATURE_VALUES)


def adversarial_term(judged: Tensor, weight: float) -> Tensor:
    """Return the third term: the discriminator's values (n, 2) of what is drawn.

    Examples
    --------
    A discriminator that cannot tell gives the paper's 69.

    >>> import torch
    >>> round(float(adversarial_term(torch.zeros(4, 2), 100.0)))
    69
    """
    return weight * -functional.log_softmax(judged, 1)[:, REAL].mean()


def discriminator_loss(real: Tensor, drawn: Tensor) -> Tensor:
    """Return what the discriminator makes small: its values (n, 2) of real pictures and of drawn ones."""
    return -(
        functional.log_softmax(real, 1)[:, REAL].mean() + functional.log_softmax(drawn, 1)[:, DRAWN].mean()
    )


def _halved(error: Tensor, weight: float) -> Tensor:
    """Return half the weighted mean square of a batch, (n, …)."""
    return 0.5 * weight * error.square().mean()


@dataclass(slots=True)
class Turns:
    """Turns says which of the two networks learns, by the ratio of their losses.

    Below `low` the discriminator is too far ahead and stops; above `resume` both learn; above `high` the generator
    stops.

    Examples
    --------
    >>> turns = Turns()
    >>> [turns(ratio) for ratio in (1.0, 0.05, 0.3, 0.6, 20.0, 5.0)]
    [(True, True), (False, True), (False, True), (True, True), (True, False), (True, True)]
    """

    low: float = 0.1
    resume: float = 0.5
    high: float = 10.0
    discriminator: bool = True
    generator: bool = True

    def __call__(self, ratio: float) -> tuple[bool, bool]:
        """Return whether discriminator and generator learn next.

        Parameters
        ----------
        ratio : float
            The discriminator's loss over the generator's third term without its weight.
        """
        if ratio < self.low:
            self.discriminator, self.generator = False, True
        elif ratio > self.high:
            self.discriminator, self.generator = True, False
        elif ratio > self.resume:
            self.discriminator = self.generator = True
        return self.discriminator, self.generator
