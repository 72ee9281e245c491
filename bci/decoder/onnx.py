"""OnnxDecoder runs a bundle: one class for live decoding, reproduction, evaluation and rendering.

The same window gives the same bits, whatever came before it: graphs with state or random operators were refused
when the bundle was loaded, and every buffer is overwritten whole. The tests show it on processors; on a graphics card
it has not been run yet (`python -m benchmarks.gpu` checks it there).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bci.decoder.adaptation import OnlineAdaptation
from bci.decoder.bundle import Bundle
from bci.decoder.confidence import in_range, lower
from bci.decoder.cuda import CardSettings
from bci.decoder.intake import WindowIntake
from bci.decoder.parity import require_parity
from bci.decoder.precision import require_precision
from bci.decoder.providers import CpuRunner, Provider, Tensors, machine, open_runner
from bci.decoder.quantiser import Quantiser
from bci.decoder.renderers import open_renderer
from bci.decoder.spec import Arithmetic
from bci.errors import BundleMismatch
from bci.io.lettering import lettering_version
from bci.signal.clock import Clock
from bci.signal.types import Reconstruction, Window

#: Windows of zeros decoded before the first real one. On a CPU only the first is slow (2 ms against 0.6 with the
#: demo's sizes); on CUDA algorithm choice and graph capture take the first few. The rest is margin.
WARM_UP = 20

#: Seconds without a window after which a card is run once more between windows. Not measured on a card yet: cards are
#: known to lower their clocks within tenths of a second.
KEEP_WARM_S = 0.1

#: A softmax in float32 may step over its bounds by a rounding error, and add up to 1 within a thousandth in float16.
_ROUNDING, _SUM_TOLERANCE = 1e-6, 1e-3

#: Why a reconstruction of input unlike the training data is invalid.
UNLIKE = "unlike what the decoder was trained on"

#: What becomes of such input: its reconstruction is invalid, or it stays valid with a confidence at chance.
Unlike = Literal["refuse", "keep"]


class OnnxDecoder:
    """Decodes windows with the graphs of a bundle.

    Parameters
    ----------
    bundle : Bundle
        What to run.
    provider : str
        ``cpu``, or ``cuda`` for an NVIDIA GPU; asking for what is not there is an error, never a CPU run.
    card : CardSettings, optional
        Which card of provider ``cuda``, and how much of it.
    clock : Clock
        Stamps the stages.
    precision : str
        ``float16`` runs the bundle's float16 graphs where it has them; ``tf32``, on a card, the float32 ones with what
        is multiplied rounded to 10 bits. Either is accepted once it gives what float32 gives on `parity`.
    unlike : str
        What becomes of a window whose novelty is above 1, where the bundle tells it: ``refuse`` makes it invalid;
        ``keep`` leaves it valid, at a confidence no better than chance, for null runs.
    adaptation : OnlineAdaptation, optional
        Corrects latents between readout and generator; the decode program has it learn (`learn`).
    lends : bool
        Whether a picture may be the card's own buffer, which the next window overwrites: for one who copies it at once.
    parity : sequence of arrays, each (length, *output.shape) float32
        Windows on which another precision must agree with float32; by default those that the bundle holds.

    Raises
    ------
    ProviderError
        If the provider is not there, the graphs do not run on it, or a precision was asked for that the bundle has no
        graphs for or the provider does not compute in, with no windows to compare on, or with other results.

    Notes
    -----
    The rules for one window, in this order. It is *invalid*, with the reason in words, when the pipeline has not
    settled, when more than the bundle's `masked_limit` of its values are bad, when a value is not finite, or when
    the graphs give a latent, confidence or image that is not finite (or a confidence outside 0–1), or say that the
    window is unlike what the decoder was trained on (a novelty above 1). Otherwise its
    confidence is the graph's, lowered by the share of bad values (`bci.decoder.confidence.lower`), and its
    image is converted by the rule in `bci.decoder.quantiser.Quantiser`. An invalid window before the graphs is not
    run; its latent is NaN and its image black.

    Where the bundle's result is no picture (`bci.decoder.result`), the latent holds its values: k probabilities, or one
    number. It is *invalid* too when probabilities are outside 0–1 or do not add up to 1 within 0.001. The image is what
    the bundle's drawing makes of the values, else what `bci.decoder.renderers` draws of them.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        clock: Clock,
        provider: Provider = "cpu",
        card: CardSettings | None = None,
        precision: Arithmetic = "float32",
        unlike: Unlike = "refuse",
        adaptation: OnlineAdaptation | None = None,
        parity: Sequence[NDArray[np.float32]] = (),
        lends: bool = False,
    ) -> None:
        self.bundle = bundle
        self._lends = lends
        self.length = bundle.length
        self.hop = bundle.hop
        self._clock = clock
        self._shape = bundle.window_shape
        self._intake = WindowIntake(self._shape, bundle.spec.masked_limit)
        self._quantise = Quantiser(bundle.spec.image)
        self._result = bundle.spec.result
        self._render = (
            open_renderer(self._result, bundle.image_size, bundle.read)
            if self._result.kind != "picture" and bundle.spec.graph("drawing") is None
            else None
        )
        self._claim = bundle.spec.confidence
        self._refuses = bundle.spec.novelty is not None and unlike == "refuse"
        self.adaptation = adaptation
        self._read = np.full(bundle.spec.latent, np.nan, np.float32)
        self._card = card
        if precision != "float32":
            device = 0 if card is None else card.device
            require_precision(bundle, provider, precision, windows=len(parity), device=device)
        self._just_ran, self._idle_since = True, -math.inf
        self._open(provider, precision)
        if precision != "float32":
            self._compare(provider, parity if len(parity) else list(bundle.recorded()))

    def _open(self, provider: Provider, precision: Arithmetic) -> None:
        bundle = self.bundle
        chain, reduced = (
            bundle.chain("float16" if precision == "float16" else "float32"),
            bundle.reduced(precision),
        )
        models = [(role, bundle.read(name), bundle.facts[name]) for role, name, _ in chain.graphs]
        self._runner = open_runner(provider, models, chain, bundle.spec.options, self._card, reduced)
        if self.adaptation is not None:
            require_adaptable(bundle, provider)
            assert isinstance(self._runner, CpuRunner)  # or it was refused
            self._runner.correct = self.adaptation.correct
        #: What must be equal for the same window to give the same bits; goes to the session's folder.
        self.environment: dict[str, Any] = {
            "bundle": bundle.hash,
            "precision": precision,
            **machine(),
            **self._runner.settings,
        }
        if self._render is not None:
            self.environment["letters"] = lettering_version()

    def _compare(self, provider: Provider, windows: Sequence[NDArray[np.float32]]) -> None:
        """Refuse a precision that does not give what float32 gives on the same provider; record how near it comes."""
        exact = OnnxDecoder(self.bundle, clock=self._clock, provider=provider, card=self._card)
        expected, came = ([decoder.raw(window) for window in windows] for decoder in (exact, self))
        parity = require_parity(expected, came, self._quantise)
        self.environment["parity"] = {
            "windows": len(windows),
            "latent": parity.latent,
            "pixels": parity.pixels,
        }

    def warm_up(self) -> None:
        """Decode windows of zeros until nothing of the first time is left."""
        signal = self.bundle.output
        zeros = Window(
            signal,
            first=0,
            samples=np.zeros(self._shape, np.float32),
            times=np.zeros(self.length),
            bad=np.zeros((self.length, *signal.flag_shape), bool),
            last_sample=0,
        )
        for _ in range(WARM_UP):
            self.decode(zeros)

    def decode(self, window: Window, stamps: Mapping[str, float] | None = None) -> Reconstruction:
        """Return what one window shows.

        Parameters
        ----------
        window : Window
            Of the pipeline's output, `length` samples.
        stamps : mapping of str to float, optional
            Stamps known already, e.g. ``arrived``. Added here where not given: ``data``, the time of the newest
            sample; ``cut``, now; and always ``decoded``, when the image is ready.

        Raises
        ------
        BundleMismatch
            If the window has another shape than the bundle's.
        """
        reached = {"cut": self._clock.now(), **(stamps or {})}
        if window.samples.shape != self._shape:
            raise BundleMismatch(
                f"bundle {self.bundle.name!r}: expected windows of shape {self._shape}, came {window.samples.shape}. "
                "Cut them with the bundle's own pipeline and length."
            )
        reached.setdefault("data", float(window.times[-1]))
        masked, reason = self._intake(window)
        if reason:
            return self._invalid(window, reason, reached)
        outputs = self._run()
        if not window.intact:
            return self._invalid(window, "overwritten while it was decoded", reached)
        latent = outputs["latent"][0].copy() if self._runner.lends else outputs["latent"][0]
        if "read" in outputs:
            self._read = outputs["read"][0]
        given = float(outputs["confidence"][0]) if "confidence" in outputs else math.nan
        image, trouble = self._draw(outputs, latent)
        if image is None:
            return self._invalid(window, trouble, reached)
        if self._claim.kind != "none" and not in_range(given):
            return self._invalid(window, f"confidence {given:g} not in 0–1", reached)
        # Not `> 1`: what is no number is like nothing. The graph lets its confidence fall by itself.
        if self._refuses and not outputs["novelty"][0] <= 1.0:
            return self._invalid(window, UNLIKE, reached)
        confidence = lower(min(1.0, max(0.0, given)), masked, self._claim)
        reached["decoded"] = self._clock.now()
        return Reconstruction(
            image,
            latent,
            confidence,
            True,
            "",
            window.first,
            window.last_sample,
            window.skipped,
            reached,
            window.event,
            window.repeats,
        )

    def learn(self, frame: Reconstruction) -> bool:
        """Let the adaptation learn from the trial decoded last, once its reconstruction is published.

        Returns whether it did: there is an adaptation, the reconstruction is valid, and its stimulus' latent is known.
        """
        if self.adaptation is None or not frame.valid or frame.event is None:
            return False
        return self.adaptation.learn(frame.event.text, self._read)

    def raw(self, samples: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """Return what the graphs give for one window, unconverted and unchecked.

        Parameters
        ----------
        samples : (length, *output.shape) float32

        Returns
        -------
        dict of str to array
            ``latent`` (1, d), ``image`` (1, 3, height, width) where the graphs make one, or in its place ``pixels`` (1,
            height, width, 3) uint8 and ``finite`` (1,) where they make bytes of it themselves, ``confidence`` (1,)
            where one is claimed, and ``novelty`` (1,) where the bundle tells it.
        """
        self._intake.put(samples)
        outputs = self._run()
        return {name: array.copy() for name, array in outputs.items()} if self._runner.lends else outputs

    def keep_warm(self) -> None:
        """Run the last window again where a card has been idle for long enough to lower its clocks.

        Called between windows. On a processor it does nothing; on a card a window that comes meanwhile waits for at
        most one run. Every buffer is overwritten by the next window, so no result depends on it.
        """
        now = self._clock.now()
        if self._just_ran:
            self._just_ran, self._idle_since = False, now
        elif now - self._idle_since >= KEEP_WARM_S:
            self._runner.again()
            self._idle_since = now

    def _run(self) -> Tensors:
        """Return what the graphs give of the window taken in; on a card it is overwritten by the next one."""
        outputs = self._runner(self._intake.window)
        self._just_ran = True
        if self._result.kind != "picture":
            outputs["latent"] = outputs.pop(self._result.output).reshape(1, -1)
        return outputs

    def _draw(
        self, found: Mapping[str, NDArray[Any]], latent: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8] | None, str]:
        """Return the picture, or None and what is wrong with what the graphs gave."""
        # Of a picture the image is judged first, as always: reasons stand in recorded sessions.
        image = self._quantise.of(found) if self._render is None else None
        if image is not None and "pixels" in found and self._runner.lends and not self._lends:
            image = image.copy()
        if self._result.kind == "picture" and image is None:
            return None, "image not finite"
        if not np.isfinite(latent).all():
            return None, f"{self._result.output} not finite"
        if self._result.output == "probabilities" and not _are_probabilities(latent):
            return None, "probabilities not in 0–1 with sum 1"
        if self._render is not None:
            return self._render(latent), ""
        return (image, "") if image is not None else (None, "image not finite")

    def _invalid(self, window: Window, reason: str, reached: dict[str, float]) -> Reconstruction:
        reached["decoded"] = self._clock.now()
        return Reconstruction(
            self._quantise.blank(),
            np.full(self.bundle.spec.latent, np.nan, np.float32),
            math.nan,
            False,
            reason,
            window.first,
            window.last_sample,
            window.skipped,
            reached,
            window.event,
            window.repeats,
        )


def require_adaptable(bundle: Bundle, provider: Provider) -> None:
    """Refuse an adaptation where there is nothing to correct, or nothing to learn from.

    Raises
    ------
    BundleMismatch
        If the bundle decodes no epochs, reads no picture's latent, is one graph, or does not run on the processor.
    """
    roles = {graph.role for graph in bundle.spec.graphs}
    why = ""
    if bundle.spec.result.kind != "picture" or roles != {"readout", "generator"}:
        why = "a readout of latents and a generator that draws them, came " + ", ".join(sorted(roles))
    elif not bundle.cut.needs_markers:
        why = "epochs around stimuli, whose latents are known, came sliding windows"
    elif provider != "cpu":
        why = f"the provider cpu, where a latent can be corrected on its way, came {provider}"
    if why:
        raise BundleMismatch(f"[decoder.adaptation] of bundle {bundle.name!r}: expected {why}. Leave it out.")


def _are_probabilities(values: NDArray[np.float32]) -> bool:
    """Whether values, (k,), are in 0–1 and add up to 1, to what float32 makes of it."""
    total = float(values.sum(dtype=np.float64))
    return bool(
        values.min() >= -_ROUNDING and values.max() <= 1 + _ROUNDING and abs(total - 1) <= _SUM_TOLERANCE
    )
