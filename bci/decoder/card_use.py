"""How well a graphics card is used: one bundle's windows decoded on it and on the processor, told in one line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bci.decoder.bundle import Bundle
from bci.decoder.cuda import TENSOR_CORES, CardSettings, describe_card, lacks
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.parity import compare
from bci.decoder.quantiser import Quantiser
from bci.signal.clock import Clock

#: Windows that are timed on each, and compared.
_TIMED, _COMPARED = 50, 4


@dataclass(frozen=True)
class CardUse:
    """A CardUse holds what a card was seen to do with a bundle.

    Attributes
    ----------
    bundle : str
        Its name.
    card_ms, cpu_ms : float
        Median of a window on the card and on the processor, milliseconds, back to back.
    agrees : bool
        Whether both give the same, by `bci.decoder.parity`.
    record : mapping
        What the decoder recorded of itself on the card.
    tensor_cores : tuple of str
        The precisions that the card has tensor cores for; empty where it does not say.
    """

    bundle: str
    card_ms: float
    cpu_ms: float
    agrees: bool
    record: Mapping[str, Any]
    tensor_cores: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the card gives what the processor gives, and sooner."""
        return self.agrees and self.card_ms <= self.cpu_ms

    def __str__(self) -> str:
        share = self.cpu_ms / self.card_ms
        told = [
            f"{self.bundle} takes {self.card_ms:.2f} ms a window on it, {self.cpu_ms:.2f} ms on the processor "
            + (f"({share:.1f} times as fast)" if share >= 1 else "(the card is slower)"),
            "the same results" if self.agrees else "OTHER RESULTS than the processor's",
            in_words(self.record),
        ]
        if self.tensor_cores:
            told.append(f"tensor cores for {' and '.join(self.tensor_cores)}")
        return "; ".join(told)


def in_words(record: Mapping[str, Any]) -> str:
    """Return what a decoder that runs on a card recorded of itself, in a phrase.

    Examples
    --------
    >>> in_words({"repeats": {"runs": 10, "equal": True}, "cuda_graph": ["captured", "captured"]})
    'bits repeat (10 runs of a window); CUDA graph captured'
    >>> in_words({"repeats": {"runs": 10, "equal": False}, "cuda_graph": ["captured", "none: control flow: If"]})
    'bits DO NOT repeat (10 runs of a window); CUDA graph captured, then none: control flow: If'
    """
    repeats, graphs = record["repeats"], list(dict.fromkeys(record["cuda_graph"]))
    told = [
        f"bits {'repeat' if repeats['equal'] else 'DO NOT repeat'} ({repeats['runs']} runs of a window)",
        f"CUDA graph {', then '.join(graphs)}",
    ]
    if parity := record.get("parity"):
        told.append(
            f"{record['precision']} within {parity['latent']:.1g} of float32 on {parity['windows']} windows"
        )
    return "; ".join(told)


def measure_use(bundle: Bundle, clock: Clock, card: CardSettings | None = None) -> CardUse:
    """Decode windows on a card and on the processor.

    Parameters
    ----------
    bundle : Bundle
        Whose windows; noise where it holds none.
    clock : Clock
        Takes the time.
    card : CardSettings, optional
        Which card.

    Raises
    ------
    ProviderError
        If no card can be used, or the bundle's graphs do not run on it.
    """
    card = card or CardSettings()
    on_card = OnnxDecoder(bundle, clock=clock, provider="cuda", card=card)
    on_cpu = OnnxDecoder(bundle, clock=clock)
    windows = list(bundle.recorded()[:_COMPARED]) or [
        np.random.default_rng(seed).standard_normal(bundle.window_shape, np.float32)
        for seed in range(_COMPARED)
    ]
    parity = compare(
        [on_cpu.raw(window) for window in windows],
        [on_card.raw(window) for window in windows],
        Quantiser(bundle.spec.image),
    )
    taken = {}
    for name, decoder in (("card", on_card), ("cpu", on_cpu)):
        decoder.warm_up()
        spent = []
        for number in range(_TIMED):
            began = clock.now()
            decoder.raw(windows[number % len(windows)])
            spent.append(1e3 * (clock.now() - began))
        taken[name] = float(np.median(spent))
    facts = describe_card(card.device)
    cores = tuple(p for p in TENSOR_CORES if "compute" in facts and not lacks(p, facts))
    return CardUse(bundle.name, taken["card"], taken["cpu"], parity.holds, on_card.environment, cores)
