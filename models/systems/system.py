"""A System is one way from recorded answers to what was seen: how it is trained, held out, bounded and reported.

Each lies in a folder of its own, ``models/systems/<name>/``, whose ``system.py`` holds its description under the name
``SYSTEM``. `models.systems.registry` finds it; commands and reports know systems by these promises alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bci.decoder.bundle import Bundle
from models.datasets.comparable import ComparableTrials
from models.reports.decoded import Decoded

#: The kind of a training file or a bundle that names none.
UNNAMED = "decoder"

#: Takes the share done, 0 to 1, and a line of text.
Progress = Callable[[float, str], None]


class Train(Protocol):
    """Trains what a file describes, writes its bundle, and returns the scores.

    Raises
    ------
    ConfigError
        If the file cannot be used.
    BundleError
        If `out` holds something else than a bundle.
    """

    def __call__(
        self, path: Path, out: Path, *, data_root: Path | None, progress: Progress
    ) -> dict[str, Any]:
        """Train the file at `path` into the folder `out`; recordings' paths start from `data_root`."""
        ...


class HeldOut(Protocol):
    """Decodes, as a live session would, what a bundle was not trained on.

    Raises
    ------
    BundleError
        If the bundle does not say what was held out.
    """

    def __call__(self, bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
        """Return the held-out trials of a bundle, and what it reads of each."""
        ...


class Oracle(Protocol):
    """Identifies the held-out trials as well as anything could that knew where they came from.

    Raises
    ------
    BundleError
        If the trials cannot be made again.
    """

    def __call__(self, bundle: Bundle, *, snr: float | None = None) -> dict[str, dict[str, Any]]:
        """Return ``two_way``, ``n_way`` and ``candidates``, by what was averaged; at `snr` where it is given."""
        ...


class Report(Protocol):
    """Scores a bundle and writes its page, where a system has more to say than `models.reports.bundle`."""

    def __call__(
        self, bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
    ) -> dict[str, Any]:
        """Return what the page in the folder `out` says; `weights` holds networks that some metrics need."""
        ...


class Comparable(Protocol):
    """Gives the training trials of a file, for a comparison of readouts."""

    def __call__(self, path: Path) -> ComparableTrials:
        """Return the training trials that the training file at `path` describes."""
        ...


@dataclass(frozen=True, slots=True)
class System:
    """One system.

    Attributes
    ----------
    kind : str
        What training files and the provenance of bundles call it.
    about : str
        What it does, in a few words.
    train : Train
    held_out : HeldOut
    oracle : Oracle, optional
        None where nothing knows the truth behind the trials.
    own_report : Report, optional
        None where the report on held-out trials and oracle says it all.
    comparable : Comparable, optional
        None where its training trials are not in runs, or have no latents.
    extra : str
        The extra of this distribution that training needs.
    """

    kind: str
    about: str
    train: Train
    held_out: HeldOut
    oracle: Oracle | None = None
    own_report: Report | None = None
    comparable: Comparable | None = None
    extra: str = "train"

    def report(
        self,
        bundle: Bundle,
        out: Path,
        *,
        data_root: Path | None = None,
        weights: Path | None = None,
        progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Score a bundle of this system on what it was not trained on, and write the page.

        Parameters
        ----------
        bundle : Bundle
            Of this system.
        out : Path
            Folder of ``index.html`` and ``report.json``.
        data_root : Path, optional
            Folder that recordings' paths start from; see `models.settings.find_data_root`.
        weights : Path, optional
            Folder of the networks that some metrics need.
        progress : callable, optional
            Takes the share done, 0 to 1, and a line of text.

        Raises
        ------
        BundleError
            If the bundle does not say what was held out.
        """
        say = progress or (lambda done, text: None)
        if self.own_report is not None:
            return self.own_report(bundle, out, data_root=data_root, weights=weights, progress=say)
        from models.reports.bundle import report_bundle

        decoded = self.held_out(
            bundle, data_root=data_root, progress=lambda done, text: say(0.4 * done, text)
        )
        say(0.4, "asking the oracle")
        return report_bundle(
            bundle,
            decoded,
            out,
            oracle=self.oracle(bundle) if self.oracle else None,
            weights=weights,
            progress=lambda done, text: say(0.5 + 0.5 * done, text),
        )
