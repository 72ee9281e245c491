"""PageFacts are what a session's files say once its decoders are ready: its limits, and the words for its results."""

import contextlib
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from bci.config.display import DisplaySettings
from bci.control.line import named
from bci.errors import BciError
from bci.session.ran import sections
from bci.session.recorded import RecordedSession

if TYPE_CHECKING:
    from bci.decoder.bundle import Bundle


@dataclass(frozen=True, eq=False)
class PageFacts:
    """PageFacts of one session.

    Attributes
    ----------
    lasts : float or None
        Seconds that it is to run.
    budgets : mapping of str to float
        What stages may take by the session's limits, seconds: ``decode`` a hop, ``total`` as long as a picture may be
        shown after its data, ``transport`` as long as a stream may be silent.
    bundles : mapping of str to Bundle
        Of each decoder, by its program.
    affine : (4, 4) float64 or None
        From voxels of its reference volume to millimetre, where it has one.
    """

    lasts: float | None = None
    budgets: Mapping[str, float] = field(default_factory=dict)
    bundles: "Mapping[str, Bundle]" = field(default_factory=dict)
    affine: NDArray[np.float64] | None = None

    @staticmethod
    def there(folder: Path) -> bool:
        """Whether a session's folder says them by now."""
        return all((folder / name).is_file() for name in ("config.json", "environment.json"))

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """Return those of a session's folder; None while it does not say them yet."""
        if not cls.there(folder):
            return None
        session = RecordedSession(folder)
        budgets: dict[str, float] = {}
        bundles: dict[str, Bundle] = {}
        lasts = None
        # A bundle that was moved since, or settings of another version: then the page says less.
        with contextlib.suppress(BciError, ValueError, KeyError, TypeError):
            lasts = session.config.get("seconds")
            for place, section in enumerate(sections(session.config, "decoder")):
                name = section.get("name")
                bundles[named("decode", str(name) if place else "")] = session.bundle(decoder=name)
        affine = None
        with contextlib.suppress(BciError, ValueError, KeyError):
            affine = session.run.affine
        with contextlib.suppress(BciError, ValueError, KeyError, TypeError):
            display = DisplaySettings.model_validate(session.config["display"])
            if not (bundle := next(iter(bundles.values()), None)):
                return cls(lasts, affine=affine)  # a session that collects, or a bundle that was moved
            source = next(iter(sections(session.config, "source")), {})
            rate = bundle.signal.rate * float(source.get("speed") or 1.0)
            hop = bundle.hop * bundle.pipeline.ratio(bundle.signal) / rate
            budgets["total"] = display.fresh_seconds_at(hop)
            budgets["transport"] = display.data_age_seconds_at(1 / rate)
            if not bundle.cut.needs_markers:
                budgets["decode"] = hop
        return cls(lasts, budgets, bundles, affine)

    def describe(self, program: str, latent: list[float]) -> str:
        """Return what a decoder read in a few words; empty where its bundle is not known."""
        bundle = self.bundles.get(program)
        return "" if bundle is None or not latent else bundle.spec.result.describe(latent)


class FactsReader:
    """Reads the facts of a session in a thread of its own, for bundles are tried: seconds on a busy machine.

    A page that waited for them would answer no browser meanwhile, and its heart would stand still.

    Parameters
    ----------
    folder : Path
        The session's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: Future[PageFacts | None] | None = None

    def __call__(self) -> PageFacts | None:
        """Return them; None while the session does not say them yet, or they are being read."""
        if self._read is None:
            if not PageFacts.there(self._folder):
                return None
            self._read = Future()
            threading.Thread(target=self._fill, args=(self._read,), name="page facts", daemon=True).start()
        return self._read.result() if self._read.done() else None

    def _fill(self, read: "Future[PageFacts | None]") -> None:
        try:
            read.set_result(PageFacts.of(self._folder))
        except BaseException as error:  # raised again where the facts are asked for
            read.set_exception(error)
