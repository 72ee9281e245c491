"""The family of readouts by name, for configurations and reports; torch is loaded only by those that need it."""

import inspect
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


def _dreamed(**options: Any) -> Readout:
    from models.readouts.dreamed import Dreamed

    return Dreamed(**options)


def _dreamed_network(**options: Any) -> Readout:
    from models.readouts.dreamed_network import DreamedNetwork

    return DreamedNetwork(**options)


def _distilled(**options: Any) -> Readout:
    from models.readouts.distilled import Distilled

    return Distilled(**options)


#: Readouts that know the generator whose latents they read: they take it beside their options.
WITH_GENERATOR: Mapping[str, Build] = MappingProxyType(
    {"dreamed": _dreamed, "dreamed-network": _dreamed_network, "distilled": _distilled}
)


def classes_of(name: str) -> tuple[type, ...]:
    """Return the classes whose settings are the options of a readout."""
    if name == "dense" or name.startswith("network-"):
        from models.readouts.gradient import Schedule

        return (Schedule,)
    if name == "dreamed":
        from models.readouts.dreamed import Dreamed

        return (Dreamed,)
    if name == "dreamed-network":
        from models.readouts.dream_schedule import DreamSchedule
        from models.readouts.dreamed_network import DreamedNetwork

        return (DreamedNetwork, DreamSchedule)
    if name == "distilled":
        from models.readouts.distilled import Distillation, Distilled

        return (Distilled, Distillation)
    return _CLASSES[name]


def options_of(name: str) -> list[str]:
    """Return the names of the options that a readout takes.

    >>> options_of("components-ridge"), options_of("least-squares")
    (['components', 'alphas'], [])
    """
    names = [option for cls in classes_of(name) for option in inspect.signature(cls).parameters]
    return [option for option in dict.fromkeys(names) if option not in _NOT_SAID]


#: The classes of each readout that learns without gradients.
_CLASSES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "inverted-encoder": (InvertedEncoder,),
        "least-squares": (LeastSquares,),
        "ridge": (Ridge,),
        "banded-ridge": (BandedRidge,),
        "chosen-voxels": (ChosenVoxels,),
        "components-ridge": (Principal, Ridge),
        "encoder": (PseudoInverse,),
        "components-encoder": (Principal, PseudoInverse),
        "elastic-net": (ElasticNet,),
        "partial-least-squares": (PartialLeastSquares,),
        "kernel-ridge": (KernelReadout,),
    }
)

#: Settings of those classes that the name of the readout decides.
_NOT_SAID = frozenset({"then", "generator", "schedule", "distillation"})


def build_readout(name: str, *, generator: Any = None, **options: Any) -> Readout:
    """Build an unfitted readout.

    Parameters
    ----------
    name : str
        One of `FAMILY` or `WITH_GENERATOR`.
    generator : GeneratorPackage, optional
        That drew the pictures, for readouts that know it.
    **options
        Of its solver or class; of the schedule for ``dense`` and the networks.

    Raises
    ------
    ConfigError
        If there is no such readout, or it takes no such option.
    """
    known_names = {**FAMILY, **WITH_GENERATOR}
    if name not in known_names:
        raise ConfigError(
            f"expected one of the readouts {', '.join(known_names)}, came {name!r}{nearest(name, known_names)}. Name "
            "one of them."
        )
    known = options_of(name)
    if unknown := [option for option in options if option not in known]:
        said = ", ".join(option + nearest(option, known) for option in unknown)
        raise ConfigError(
            f"expected options that the readout {name!r} takes ({', '.join(known) or 'none'}), came {said}."
        )
    if name in WITH_GENERATOR:
        if generator is None:
            raise ConfigError(
                f"the readout {name!r} needs the generator of its latents, and there is none here"
            )
        options["generator"] = generator
    try:
        return known_names[name](**options)
    except (TypeError, KeyError) as error:
        raise ConfigError(
            f"expected options that the readout {name!r} takes, came {sorted(options)}: {error}. "
            "docs/keys.md lists them."
        ) from error
