"""The family of readouts by name, for configurations and reports; torch is loaded only by those that need it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from bci.errors import ConfigError, nearest
from models.readouts.bayes import InvertedEncoder
from models.readouts.interface import Readout
from models.readouts.kernel import KernelReadout
from models.readouts.linear import LinearReadout
from models.readouts.solvers import BandedRidge, ChosenVoxels, LeastSquares, Principal, PseudoInverse, Ridge
from models.readouts.sparse import ElasticNet, PartialLeastSquares

Build = Callable[..., Readout]


def _linear(solver: Callable[..., Any]) -> Build:
    return lambda **options: LinearReadout(solver(**options))


def _principal(**options: Any) -> Readout:
    return LinearReadout(Principal(options.pop("components"), Ridge(**options)))


def _principal_encoder(**options: Any) -> Readout:
    return LinearReadout(Principal(options.pop("components"), PseudoInverse(**options)))


def _dense(**options: Any) -> Readout:
    from models.readouts.dense import Dense
    from models.readouts.gradient import Schedule

    return LinearReadout(Dense(schedule=Schedule(**options)), folds=3)


def _network(variant: str) -> Build:
    def build(**options: Any) -> Readout:
        from models.readouts.deep import LEVIN, DeepReadout
        from models.readouts.gradient import Schedule

        return DeepReadout(LEVIN[variant], schedule=Schedule(**{"epochs": 300, "rate": 1e-4} | options))

    return build


FAMILY: Mapping[str, Build] = MappingProxyType(
    {
        "inverted-encoder": InvertedEncoder,
        "least-squares": _linear(LeastSquares),
        "ridge": _linear(Ridge),
        "banded-ridge": _linear(BandedRidge),
        "chosen-voxels": _linear(ChosenVoxels),
        "components-ridge": _principal,
        "encoder": _linear(PseudoInverse),
        "components-encoder": _principal_encoder,
        "elastic-net": _linear(ElasticNet),
        "partial-least-squares": _linear(PartialLeastSquares),
        "kernel-ridge": KernelReadout,
        "dense": _dense,
        "network-linear-no-bias": _network("linear, no bias"),
        "network-linear": _network("linear"),
        "network-1": _network("one hidden layer"),
        "network-2": _network("two hidden layers"),
        "network-3": _network("three hidden layers"),
    }
)


def build_readout(name: str, **options: Any) -> Readout:
    """Build an unfitted readout.

    Parameters
    ----------
    name : str
        One of `FAMILY`.
    **options
        Of its solver or class; of the schedule for ``dense`` and the networks.

    Raises
    ------
    ConfigError
        If there is no such readout, or it takes no such option.
    """
    if name not in FAMILY:
        raise ConfigError(
            f"expected one of the readouts {', '.join(FAMILY)}, came {name!r}{nearest(name, FAMILY)}. Name one of "
            "them."
        )
    try:
        return FAMILY[name](**options)
    except (TypeError, KeyError) as error:
        raise ConfigError(
            f"expected options that the readout {name!r} takes, came {sorted(options)}: {error}. See models/readouts."
        ) from error
