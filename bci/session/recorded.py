"""A RecordedSession is what a session left of itself: its facts, its tables and its samples, over all their parts.

A recorder that was restarted has begun further files (see `bci.session.part`), an engine another table of trials; here
they are one session again. It is the one reader of a session's folder: whatever asks about a session asks here.

::

    config, environment, summary     what was asked for, where it ran, what it said of itself at its end
    table(name)                      rows of frames, shown, marks, trials
    decoding(decoder)                frames, pipeline resets, events and epochs of one decoder
    stream(name)                     samples: by their counts, or with their times
    trials()                         what was shown in each trial, and what was read of it

Each is read when it is first asked for, and refuses with the file that is missing or not whole.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from numpy.typing import NDArray

from bci.config.phosphenes import PhospheneSettings
from bci.config.toml import check_settings
from bci.errors import BundleError, BundleMismatch, RecordingError
from bci.io.files.run import read_run
from bci.session.facts import EXPECTED, read_facts
from bci.session.frames import Decoding, RecordedFrame
from bci.session.part import Part
from bci.session.ran import RanDecoder, first_name, sections
from bci.session.rows import recorder_rows, trial_rows
from bci.session.samples import RecordedStream, stream_names
from bci.session.swaps import LoadedBundle, read_swaps, swaps_path
from bci.session.tables import RECORDER_TABLES, decoder_source, table_file
from bci.session.trials import Flip, RecordedTrial, join_trials, read_flips, trials_by_flip
from bci.signal.phosphenes.view import PhospheneView
from bci.signal.run import Run
from bci.signal.types import Event, Shown, Signal

if TYPE_CHECKING:
    from bci.decoder.bundle import Bundle, Repeats


@dataclass(frozen=True)
class RecordedSession:
    """One session's folder.

    Attributes
    ----------
    folder : Path
        Where it is.
    """

    folder: Path

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the session in a folder.

        Raises
        ------
        RecordingError
            If the folder holds nothing of a session.
        """
        if not (folder / "config.json").is_file() and not Part.all_in(folder):
            raise RecordingError(
                f"{folder} is not a whole session: it holds neither config.json nor a file of a recorder. {EXPECTED}"
            )
        return cls(folder)

    # -- facts -------------------------------------------------------------------------------------------

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The session file as it was used, ``config.json``; RecordingError where it is missing or no such file."""
        return read_facts(self.folder, "config.json")

    @cached_property
    def environment(self) -> Mapping[str, Any]:
        """Where it ran, ``environment.json``; RecordingError where it is missing or no such file."""
        return read_facts(self.folder, "environment.json")

    @cached_property
    def summary(self) -> Mapping[str, Any] | None:
        """What it said of itself at its end; None where the supervisor was killed before that."""
        return read_facts(self.folder, "summary.json") if (self.folder / "summary.json").is_file() else None

    @cached_property
    def run(self) -> Run:
        """What it fixed beyond its bundle (see `bci.io.files.run.read_run`); RecordingError where that has changed."""
        return read_run(self.folder)

    @property
    def simulated(self) -> bool:
        """Whether no brain was involved, as its summary says or the sender of its samples."""
        if self.summary is not None and self.summary.get("simulated"):
            return True
        return bool(self.recordings) and self.stream().info.extra.get("simulated") == "true"

    @property
    def collects(self) -> bool:
        """Whether it ran no decoder: it showed stimuli and recorded, and nothing was read."""
        if not (self.folder / "config.json").is_file():
            return False
        return "decoder" in self.config and not sections(self.config, "decoder")

    def require_read(self) -> None:
        """Refuse a session in which nothing was decoded.

        Raises
        ------
        RecordingError
            If it ran no decoder.
        """
        if self.collects:
            raise RecordingError(
                f"{self.folder} holds no reconstructions: its session file names no decoder, so it collected stimuli "
                "and samples. Train on it (sessions = [...] in a training file; bci data shows what it holds), or name "
                "a session that decoded."
            )

    def experiment(self) -> Mapping[str, Any]:
        """Return the session file's ``[experiment]``.

        Raises
        ------
        RecordingError
            If there was none.
        """
        experiment = self.config.get("experiment")
        if not experiment:
            raise RecordingError(
                f"{self.folder} is no session of an experiment: its session file has no [experiment], so "
                "nothing was shown to compare with. `bci reproduce` decodes its recording again and compares; what its "
                "decoder is worth, `bci evaluate BUNDLE` says by what training held out."
            )
        settings: Mapping[str, Any] = experiment
        return settings

    def ran(self, decoder: str | None = None, index: int = 0) -> RanDecoder:
        """Return a decoder as it ran: its bundle, its stream, its environment; the first when none is named.

        `index` says which of its bundles, where they were exchanged while it ran (see `swaps`).

        Raises
        ------
        RecordingError
            If there was none of that name, or no decoder at all, or the session does not say what it was.
        """
        self.require_read()
        ran = RanDecoder.of(self.folder, self.config, self.environment, decoder)
        if index == 0:
            return ran
        swaps = self.swaps(decoder)
        if index > len(swaps):
            raise RecordingError(
                f"{swaps_path(self.folder, self.canonical(decoder))}: expected bundle {index}, which made frames of "
                f"this session, came {len(swaps)} entries. Put the file back."
            )
        return ran.after(swaps[index - 1])

    @property
    def driver(self) -> str | None:
        """The decoder that fed the display in phases that name no other, and is scored; None for the first."""
        if not (self.folder / "config.json").is_file():
            return None
        return self.canonical((self.config.get("display") or {}).get("decoder"))

    @property
    def feeds(self) -> list[str | None]:
        """The decoders whose reconstructions were shown in some phase, the `driver` first; None for the first one."""
        if self.collects:
            return []
        return list(dict.fromkeys([self.driver, *map(self.canonical, self._feed_of_phase.values())]))

    def feed_of(self, phase: str) -> str | None:
        """Return the decoder whose reconstructions were shown in a phase of the experiment; None for the first."""
        return self.canonical(self._feed_of_phase[phase]) if phase in self._feed_of_phase else self.driver

    def swaps(self, decoder: str | None = None) -> Sequence[LoadedBundle]:
        """Return the bundles that a decoder loaded while the session ran, in order; the first is number 1."""
        return read_swaps(self.folder, self.canonical(decoder))

    def bundle(self, path: Path | None = None, decoder: str | None = None, index: int = 0) -> "Bundle":
        """Load a bundle that a decoder ran, to read repeats of a stimulus as it did.

        Parameters
        ----------
        path : Path, optional
            Where it is now, if not where it was.
        decoder : str, optional
            Which decoder, where there were several; the first when absent.
        index : int
            Which of its bundles, where they were exchanged while it ran; 0 for the one that it began with.

        Raises
        ------
        BundleError
            If there is no whole bundle.
        BundleMismatch
            If it is not the one that the session ran.
        """
        from bci.decoder.bundle import Bundle

        ran = self.ran(decoder, index)
        bundle = Bundle.load(path or ran.bundle)
        if path is not None and self.swaps(decoder) and bundle.hash != ran.hash:
            bundle = Bundle.load(ran.bundle)  # the one named is another of those that it ran
        if bundle.hash != ran.hash:
            raise BundleMismatch(
                f"the session ran bundle {ran.hash[:12]}, {bundle.folder} holds {bundle.hash[:12]}. "
                "Name the one it ran with --bundle, or put it back."
            )
        return bundle.reading(cast("Repeats", ran.repeats))

    def sole_bundle(self, decoder: str | None = None) -> "Bundle":
        """Load the bundle that made all of a decoder's reconstructions, for what can speak of one only.

        Raises
        ------
        RecordingError
            If there were several, because they were exchanged while it ran.
        BundleError, BundleMismatch
            As `bundle`.
        """
        if swaps := self.decoding(decoder).swaps:
            raise RecordingError(
                f"{self.folder}: expected reconstructions of one bundle, came those of {1 + len(swaps)}: it was "
                f"exchanged at sample {', '.join(map(str, swaps.values()))}. One score would mix them; see the column "
                "bundle of frames.csv. `bci reproduce` takes them all."
            )
        return self.bundle(decoder=decoder)

    # -- tables ------------------------------------------------------------------------------------------

    @property
    def recordings(self) -> list[Path]:
        """The files that hold its samples, in order; ``….partial`` where a recorder was killed."""
        return [path for part in Part.all_in(self.folder) if (path := part.recorded) is not None]

    @cached_property
    def decoders(self) -> list[str]:
        """Names of the decoders beside the first, whose tables are their own."""
        names = [path.name.split(".") for path in sorted(self.folder.glob("frames.*.csv"))]
        return list(dict.fromkeys(name.partition("-")[0] for _, name, _ in names))

    def table(self, name: str, decoder: str | None = None) -> list[dict[str, str]]:
        """Return the rows of a table over all its parts, in order; a row that two parts hold stands once.

        Parameters
        ----------
        name : str
            ``"frames"``, ``"shown"``, ``"marks"``, ``"markers"`` (none in sessions without them) or ``"trials"``.
        decoder : str, optional
            Whose frames, where there were several decoders; the first one's when absent.

        Raises
        ------
        RecordingError
            If it is missing although something of it was recorded, or a row is not whole.
        """
        decoder = self.canonical(decoder)
        key = table_file(name, decoder)
        if key not in self._rows:
            self._rows[key] = self._read_table(name, decoder)
        return self._rows[key]

    def decoding(self, decoder: str | None = None) -> Decoding:
        """Return what a decoder left: frames, resets of its pipeline, epochs and their events.

        Raises
        ------
        RecordingError
            If a table is missing or not whole.
        """
        decoder = self.canonical(decoder)
        if decoder not in self._decodings:
            source = decoder_source(decoder)
            self._decodings[decoder] = Decoding.of(
                [RecordedFrame.of(row) for row in self.table("frames", decoder)],
                [mark for mark in self.table("marks") if mark["source"] == source],
                trials_by_flip(self.flips),
                lambda: self._epoch_offset(decoder),
                self.folder,
            )
        return self._decodings[decoder]

    def frames_of(self, decoder: str | None = None) -> Sequence[RecordedFrame]:
        """Return every reconstruction of a decoder; errors as of `decoding`."""
        return self.decoding(decoder).frames

    @property
    def frames(self) -> Sequence[RecordedFrame]:
        """Every reconstruction of the first decoder; errors as of `decoding`."""
        return self.decoding().frames

    @property
    def resets(self) -> Mapping[int, str]:
        """Count of the sample that the first decoder's pipeline was reset at: why."""
        return self.decoding().resets

    @property
    def epochs(self) -> Sequence[int]:
        """Output counts of the samples that the first decoder put events on."""
        return self.decoding().epochs

    @property
    def events(self) -> Sequence[Event]:
        """The event of each of `epochs`."""
        return self.decoding().events

    def shown(self, decoder: str | None = None) -> Mapping[int, tuple[int, str]]:
        """Return the changes of picture that put a decoder's frames on the screen.

        Returns
        -------
        mapping of int to (int, str)
            Count of the change: the frame's number, and the digest of its pixels.
        """
        decoder = self.canonical(decoder)
        return {
            int(row["change"]): (int(row["frame"]), row["digest"])
            for row in self.table("shown")
            if row["kind"] == "frame" and row["frame"] and self.fed_by(row) == decoder
        }

    def phosphenes(self, image_shape: tuple[int, int]) -> PhospheneView | None:
        """Return how pictures of this height and width were seen where reconstructions were shown as phosphenes.

        Raises
        ------
        ConfigError
            If the session's settings of them are damaged.
        """
        display = self.config.get("display") or {}
        if not display.get("phosphenes"):
            return None
        settings = check_settings(
            display["phosphenes"], PhospheneSettings, "the session's [display.phosphenes]"
        )
        return settings.open(image_shape, display["image_deg"]) if settings.show(Shown.FRAME) else None

    def fed_by(self, row: Mapping[str, str]) -> str | None:
        """Return the decoder that fed the display at a row of ``shown``; None for the first.

        In older sessions, whose rows do not say it, one decoder fed it all the time.
        """
        return self.driver if row.get("decoder") is None else row["decoder"] or None

    # -- trials ------------------------------------------------------------------------------------------

    @cached_property
    def flips(self) -> Sequence[Flip]:
        """The flips that brought stimuli, each with its trial where something says; errors as of `table`."""
        return read_flips(self.table("shown"), trial_rows(self.folder))

    def trials(self, decoder: str | None = None) -> list[RecordedTrial]:
        """Return every trial in order: what was shown, and what a decoder read of it.

        Raises
        ------
        RecordingError
            If a table is missing or not whole.
        """
        decoder = self.canonical(decoder)
        rows = self.table("trials")
        own = {int(row["trial"]) for row in rows if self.feed_of(row.get("phase") or "") == decoder}
        return join_trials(rows, self.flips, self.decoding(decoder), own, self.uncertain)

    @cached_property
    def uncertain(self) -> Collection[float]:
        """Times of the markers that were marked uncertain: they may be wrong by more than the session file allows."""
        return {float(row["time"]) for row in self.table("marks") if row["kind"] == "uncertain"}

    # -- samples -----------------------------------------------------------------------------------------

    def stream(self, name: str | None = None) -> RecordedStream:
        """Return a stream of its recording, by role, source id or name; the first one when none is named.

        Raises
        ------
        RecordingError
            If there is none of that name, or a recording has no checksums beside it, which hold the counts.
        """
        return RecordedStream(self.folder, self.recordings, name)

    def stream_names(self) -> list[str]:
        """Return the names of the streams of numbers in its recording, by which `stream` finds them."""
        return stream_names(self.recordings)

    def signal(self, stream: str | None = None) -> Signal:
        """Return what the samples of a stream are.

        Raises
        ------
        RecordingError
            If there is no recording, or none that says so.
        """
        return self.stream(stream).signal

    def pieces(self, stream: str | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the samples of a stream in order: (count of the first, samples (n, channels)).

        Counts are the rig's own; where a piece does not begin at the end of the one before, samples were not recorded
        or are damaged.

        Raises
        ------
        RecordingError
            If a recording has no checksums beside it, which hold the counts.
        """
        return self.stream(stream).pieces()

    @property
    def _feed_of_phase(self) -> Mapping[str, str]:
        if not (self.folder / "config.json").is_file():
            return {}
        return (self.config.get("display") or {}).get("decoders") or {}

    # -- its parts ---------------------------------------------------------------------------------------

    @cached_property
    def _rows(self) -> dict[str, list[dict[str, str]]]:
        return {}

    @cached_property
    def _decodings(self) -> dict[str | None, Decoding]:
        return {}

    def _read_table(self, name: str, decoder: str | None) -> list[dict[str, str]]:
        if name in RECORDER_TABLES:
            if name == "frames" and self.collects:
                return []
            if not Part.all_in(self.folder):
                raise RecordingError(f"{self.folder / table_file(name, decoder)} is missing. {EXPECTED}")
            return recorder_rows(self.folder, name, decoder)
        if name != "trials":
            raise ValueError(
                f"a session has the tables frames, shown, marks, markers and trials; {name!r} was asked for"
            )
        rows = trial_rows(self.folder)
        if not rows and (self.folder / "config.json").is_file() and self.config.get("experiment"):
            stimuli = sum(row["kind"] == "stimulus" for row in self.table("shown"))
            if stimuli:
                raise RecordingError(
                    f"{self.folder / 'trials.csv'} is missing or empty: the engine writes a row of each trial, and "
                    f"{stimuli} stimuli were shown. Put it back."
                )
        return rows

    def canonical(self, decoder: str | None) -> str | None:
        """Return None for the first decoder, also where it is called by its name; others have tables of their own."""
        if decoder is not None and (self.folder / "config.json").is_file():
            return None if decoder == first_name(self.config, "decoder") else decoder
        return decoder

    def _epoch_offset(self, decoder: str | None) -> int | None:
        """Return how many output samples an epoch's first lies behind its event's; None where its bundle is gone."""
        try:
            return self.bundle(decoder=decoder).cut.offset
        except (BundleError, RecordingError):
            return None
