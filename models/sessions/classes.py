"""A session whose decoder gives classes, scored: what was read of each trial beside the class of what was shown.

The class of a trial is that of its marker, as the bundle's training file told classes; of a bundle that does not say,
the folder of the picture. Where no experiment ran, the markers of a recording or of another program are the trials.
Chance is what exchanging the classes of whole pictures gives, since trials of one picture are not independent.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.marker_names import MarkerNames
from bci.errors import BundleError, ConfigError, RecordingError, counted
from bci.io.files.folder import plain
from bci.io.files.page import escape, facts, header, table
from bci.session.latency import latency_table
from bci.session.recorded import RecordedSession
from bci.session.trials import RecordedTrial
from models.metrics.ranks import class_area
from models.reports.figures import number, p_value, share
from models.reports.writing import write_report
from models.sessions.marked import learned_recording, marked_trials
from models.sessions.page import latency_section, live_section
from models.sessions.readings import count_left_out
from models.systems.registry import system_of_bundle

FOLDER = "report"

#: Fewer trials than that tell little, whatever they give: half of the interval of guessing is then above a tenth.
FEW = 40

#: With fewer distinct pictures, exchanging the classes of whole pictures has too few ways; single trials are exchanged.
_PICTURES = 6


@dataclass(frozen=True, slots=True, eq=False)
class ClassReadings:
    """ClassReadings are the trials of a session whose class is known and of which something was read.

    Attributes
    ----------
    labels : tuple of str
        The classes.
    probabilities : (n, k) float64
        As read.
    classes : (n,) int64
        Of what was shown, by their place among `labels`.
    pictures : (n,) int64
        Which picture was shown.
    left_out : mapping of str to int
        Other trials, by reason.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    classes: NDArray[np.int64]
    pictures: NDArray[np.int64]
    left_out: Mapping[str, int]


def class_readings(session: RecordedSession, bundle: Bundle) -> ClassReadings:
    """Return the trials of a session by class.

    Raises
    ------
    RecordingError
        If the bundle gives no classes, a table is not whole, or fewer than two trials of two classes can be scored.
    """
    result = bundle.spec.result
    if result.kind != "classes":
        raise RecordingError(
            f"bundle {bundle.name!r} gives {result}, which is no class. Name another session."
        )
    trials = session.trials(session.driver) or marked_trials(session)
    left_out = Counter(count_left_out(trials))
    label_of = _classes_of(session, bundle)
    rows: list[tuple[NDArray[Any], int, str]] = []
    for trial in trials:
        if trial.left_out or trial.latent is None:
            continue
        label = label_of(trial)
        if label not in result.labels:
            left_out["of no class"] += 1
            continue
        rows.append((trial.latent, result.labels.index(label), trial.name))
    counts = Counter(result.labels[place] for _, place, _ in rows)
    enough = [label for label in result.labels if counts[label] >= 2]
    if len(enough) < 2:
        raise RecordingError(
            f"{session.folder}: expected at least 2 trials of two classes, of which something was read, came "
            f"{', '.join(f'{counts[label]} of {label!r}' for label in result.labels)}; left out: "
            f"{counted(left_out)}. Run it longer, or look at frames.csv for why nothing was read."
        )
    names = list(dict.fromkeys(name for _, _, name in rows))
    return ClassReadings(
        result.labels,
        np.stack([latent for latent, _, _ in rows]).astype(np.float64),
        np.array([place for _, place, _ in rows], np.int64),
        np.array([names.index(name) for _, _, name in rows], np.int64),
        dict(left_out),
    )


def knows_classes(session: RecordedSession, bundle: Bundle) -> bool:
    """Whether anything tells the class of what a session showed: a P300 decoder's says nothing of pictures."""
    labels = getattr(bundle.spec.result, "labels", ())
    label_of = _classes_of(session, bundle)
    return any(label_of(trial) in labels for trial in session.trials(session.driver))


def _classes_of(session: RecordedSession, bundle: Bundle) -> Callable[[RecordedTrial], str]:
    """Return what tells the class of a trial: the bundle's system, else the folder of the picture; empty for none."""
    try:
        class_of = system_of_bundle(bundle).class_of
    except (BundleError, ConfigError):
        class_of = None
    if class_of is None:
        return lambda trial: trial.name.rpartition("/")[0]
    tell, events = class_of, session.ran(session.driver).events
    named = MarkerNames(events).trained_as if events else str

    def class_of_trial(trial: RecordedTrial) -> str:
        marked = trial.number < 0 and trial.stimulus < 0
        return tell(bundle, named(trial.name if marked else f"stimulus {trial.stimulus} {trial.name}"))

    return class_of_trial


def score_classes(readings: ClassReadings, seed: int = 0, permutations: int = 1000) -> dict[str, Any]:
    """Score what was read of single trials.

    Returns
    -------
    dict
        ``headline``, in words; ``informed``, whether the area under the curve lies above the chance interval; ``few``,
        whether there are fewer than `FEW` trials; ``trials``, ``pictures``; ``auc`` with ``auc_chance`` (middle 95 %)
        and ``p``; ``accuracy``, ``balanced_accuracy``, ``guessing``; ``confusion`` (shown by read, counts);
        ``by_class`` (trials and share right of each), ``exchanged`` ("pictures" or "trials"), ``left_out``.
    """
    there = np.unique(readings.classes)
    scores, classes = readings.probabilities[:, there], np.searchsorted(there, readings.classes)
    read = readings.probabilities.argmax(axis=1)
    right = read == readings.classes
    random = np.random.default_rng(seed)
    area = class_area(scores, classes)
    pictures, first = np.unique(readings.pictures, return_index=True)
    whole = len(pictures) >= _PICTURES
    null = []
    for _ in range(permutations):
        mixed = (
            classes[first][random.permutation(len(pictures))][np.searchsorted(pictures, readings.pictures)]
            if whole
            else random.permutation(classes)
        )
        null.append(class_area(scores, mixed))
    low, high = (float(end) for end in np.quantile(null, [0.025, 0.975]))
    confusion = np.zeros((len(readings.labels),) * 2, np.int64)
    np.add.at(confusion, (readings.classes, read), 1)
    by_class = {
        readings.labels[one]: {
            "trials": int((readings.classes == one).sum()),
            "right": float(right[readings.classes == one].mean()),
        }
        for one in there
    }
    balanced = float(np.mean([row["right"] for row in by_class.values()]))
    informed, few = area > high, len(classes) < FEW
    figures = f"area under the curve {area:.3f}, exchanged {low:.3f} to {high:.3f}"
    words = "single trials tell the classes apart" if informed else "no information"
    too_few = f" {len(classes)} trials are few: longer sessions may tell otherwise." if few else ""
    return {
        "headline": f"{words}: {balanced:.0%} right of {len(there)} classes, {figures}.{too_few}",
        "informed": bool(informed),
        "few": few,
        "trials": len(classes),
        "pictures": len(pictures),
        "auc": area,
        "auc_chance": [low, high],
        "p": (1 + sum(value >= area for value in null)) / (1 + permutations),
        "accuracy": float(right.mean()),
        "balanced_accuracy": balanced,
        "guessing": 1 / len(there),
        "confusion": confusion.tolist(),
        "by_class": by_class,
        "exchanged": "pictures" if whole else "trials",
        "left_out": dict(readings.left_out),
    }


def evaluate_classes(
    folder: Path, out: Path | None = None, seed: int = 0, *, reproduced: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Score a session by class, and write its page.

    Parameters
    ----------
    folder : Path
        The session's.
    out : Path, optional
        Where ``index.html`` and ``report.json`` are written; ``report`` in the session's folder when absent.
    seed : int
        Of the exchanges.
    reproduced : mapping, optional
        What decoding the session again gave, as `bci.session.reproduce.reproduce` returns it.

    Returns
    -------
    dict
        What `score_classes` returns; ``session``, ``bundle``, ``hash``, ``simulated``, ``reproduced``, ``offline``
        (the bundle's own area under the curve), ``latency``, ``page``; ``learned``, the recording that was played if
        the bundle was trained on it, else empty.

    Raises
    ------
    RecordingError
        As `class_readings`.
    BundleError
        If the bundle that it ran is not there any more.
    """
    session = RecordedSession.read(folder)
    bundle = session.sole_bundle(session.driver)
    readings = class_readings(session, bundle)
    report: dict[str, Any] = plain(
        {
            **score_classes(readings, seed),
            "labels": readings.labels,
            "session": str(folder),
            "bundle": bundle.name,
            "hash": bundle.hash,
            "simulated": session.simulated,
            "learned": learned_recording(session, bundle),
            "reproduced": dict(reproduced) if reproduced is not None else None,
            "offline": bundle.spec.scores.get("auc"),
            "latency": latency_table(folder),
        }
    )
    if report["learned"]:
        report["headline"] += (
            f" The decoder was trained on this recording, {report['learned']}: of others this says nothing."
        )
    parts = [
        header("Report on a session", folder.name, f"Decoder {bundle.name}, hash {bundle.hash}"),
        _verdict(report),
        _by_class(report),
        live_section(report | {"offline": None}),
        _facts(report),
        latency_section(report["latency"]),
    ]
    page = write_report(out or folder / FOLDER, f"Report: {folder.name}", parts, report)
    return report | {"page": str(page)}


def _verdict(report: Mapping[str, Any]) -> str:
    words, _, figures = str(report["headline"]).partition(": ")
    notice = (
        '<p class="notice">The participant is simulated. Nothing on this page is a measurement of a brain.</p>'
        if report["simulated"]
        else ""
    )
    kind = "passed" if report["informed"] else "void"
    return (
        f'<section class="verdict {kind}"><strong>{escape(words.capitalize())}</strong>'
        f"<p>{escape(figures)}</p></section>{notice}"
    )


def _by_class(report: Mapping[str, Any]) -> str:
    labels: Sequence[str] = report["labels"]
    rows = []
    for one, label in enumerate(labels):
        own = report["by_class"].get(label, {"trials": 0, "right": None})
        rows.append(
            (escape(label), str(own["trials"]), share(own["right"]), *map(str, report["confusion"][one]))
        )
    columns = ("shown", "trials", "right", *(f"read as {escape(label)}" for label in labels))
    return "<h2>Single trials by class</h2>" + table(columns, rows, range(1, len(columns)))


def _facts(report: Mapping[str, Any]) -> str:
    low, high = report["auc_chance"]
    rows = [
        ("Area under the curve", f"{number(report['auc'])} live, {number(report['offline'])} offline"),
        (
            f"With the classes of {report['exchanged']} exchanged",
            f"{number(low)} to {number(high)}, p {p_value(report['p'])}",
        ),
        (
            "Right, all classes alike",
            f"{share(report['balanced_accuracy'])}; guessing {share(report['guessing'])}",
        ),
        ("Pictures", str(report["pictures"])),
        ("Hash", report["hash"]),
    ]
    return "<h2>What was tested</h2>" + facts(rows)
