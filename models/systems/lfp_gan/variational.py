r"""The variational variant of the signal's autoencoder (the thesis's future work): its code is a distribution.

.. math:: L = \frac{E\lVert x - \hat x\rVert^2}{\operatorname{var} x} + \beta\, E\left[\tfrac12
          (\mu^2 + \sigma^2 - 1 - \ln \sigma^2)\right]

with the code drawn as :math:`\mu + \sigma\epsilon`, and both means over all values (Kingma and Welling 2014; the
weight :math:`\beta` as of Higgins et al. 2017). The decoder then knows codes that are normal with variance 1, so
windows can be decoded of noise before any game. What goes on into the game is the encoder of the means.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bci.errors import ConfigError
from models.systems.lfp_gan.networks import SignalEncoder, Stack, standardise, with_deviation
from models.systems.lfp_gan.tables import CODE_CHANNELS, Table, across

#: What windows are called that a variational autoencoder makes by itself.
NO_GAME = "codes drawn, no game"
#: Logarithms of variances are held within these.
_LOG_VARIANCE = (-10.0, 10.0)


class VariationalSignals(nn.Module):
    """A VariationalSignals codes windows as distributions, and decodes what is drawn of them.

    Parameters
    ----------
    encoder : Table
        To twice the channels that the decoder takes.
    decoder : Stack
        Table 4.1's; it learns here and is then the generator's.

    Raises
    ------
    ConfigError
        If the encoder does not give a mean and a variance for each value that the decoder takes.
    """

    def __init__(self, encoder: Table, decoder: Stack) -> None:
        super().__init__()
        taken = decoder.table.channels, decoder.table.size
        expected = 2 * taken[0], taken[1]
        if encoder.gives != expected:
            raise ConfigError(
                f"{encoder.name} gives {across((encoder.gives[0], *encoder.gives[1]))}, expected a mean and a variance "
                f"for each value of {decoder.table.name}: {across((expected[0], *expected[1]))}. Give its last layer "
                f"{expected[0]} channels."
            )
        self.encoder, self.decoder = Stack(encoder), decoder

    def distribution(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Return means and logarithms of variances of windows (n, channels, length): (n, 10, 115) each."""
        means, spread = self.encoder(with_deviation(windows)).chunk(2, 1)
        return means, spread.clamp(*_LOG_VARIANCE)

    def forward(self, windows: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return windows decoded of codes that were drawn, and the divergence of each code: (n, …), (n,)."""
        means, spread = self.distribution(windows)
        noise = torch.randn(means.shape, generator=random).to(means)
        decoded: Tensor = self.decoder(means + (spread / 2).exp() * noise) * standardise(windows)[1]
        return decoded, divergence(means, spread)

    def into(self, encoder: SignalEncoder) -> None:
        """Give the part that codes means to an encoder of the same layers."""
        given = self.encoder.state_dict()
        last = f"convolutions.{len(self.encoder.convolutions) - 1}."
        encoder.stack.load_state_dict(
            {name: value[:CODE_CHANNELS] if name.startswith(last) else value for name, value in given.items()}
        )


def divergence(means: Tensor, spread: Tensor) -> Tensor:
    r"""Return :math:`\tfrac12(\mu^2 + \sigma^2 - 1 - \ln\sigma^2)`, the mean over a sample's values: (n,).

    Parameters
    ----------
    means, spread : (n, …)
        The second as :math:`\ln \sigma^2`.

    Examples
    --------
    >>> divergence(torch.tensor([[0.0], [2.0]]), torch.zeros(2, 1)).tolist()
    [0.0, 2.0]
    """
    each = 0.5 * (means.square() + spread.exp() - 1 - spread)
    return each.flatten(1).mean(1)


def drawn_windows(
    decoder: Stack, deviations: NDArray[np.float32], random: torch.Generator, at_once: int = 128
) -> NDArray[np.float32]:
    """Decode codes that are normal with variance 1: what a variational autoencoder makes without a game.

    Parameters
    ----------
    decoder : Stack
    deviations : (n,)
        Of the windows: the decoder gives them standardised.
    random : torch.Generator
        Draws the codes.

    Returns
    -------
    windows : (n, channels, length)
    """
    parts = []
    with torch.no_grad():
        for sizes in torch.from_numpy(deviations).split(at_once):
            code = torch.randn(len(sizes), decoder.table.channels, *decoder.table.size, generator=random)
            parts.append(decoder(code) * sizes[:, None, None])
    return np.asarray(torch.cat(parts).numpy())
