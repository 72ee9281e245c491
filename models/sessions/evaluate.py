"""A closed-loop session, scored: live beside offline, beside the oracle, beside guessing."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.errors import BciError, RecordingError
from bci.io.files.folder import plain, write_whole
from bci.io.files.npy import load_array
from bci.io.files.page import header
from bci.io.installation import install_line
from bci.session.latency import latency_table
from bci.session.ran import sections
from bci.session.recorded import RecordedSession
from bci.sim.participant import DEFAULT_SNR
from models.generators.package import package_of
from models.reports.body import Body, Draw
from models.reports.bundle import artist
from models.reports.decoded import Decoded
from models.reports.sheet import draw_pairs
from models.reports.writing import make, write_report
from models.sessions.page import latency_section, live_section, oracle_words, repeats_section, volumes_section
from models.sessions.readings import Reading, count_left_out, read_of, readings_of, score
from models.sessions.stimuli import Shown, in_pixels, resized, shown_in
from models.systems.registry import compares_pictures, system_of_bundle

#: In a session's own folder: its report.
FOLDER = "report"


def evaluate_session(
    folder: Path,
    out: Path | None = None,
    seed: int = 0,
    *,
    reproduced: Mapping[str, Any] | None = None,
    weights: Path | None = None,
    permutations: int = 1000,
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, Any]:
    """Score a session in which stimuli of known latents were shown.

    Parameters
    ----------
    folder : Path
        The session's; its ``[experiment]`` folder holds ``latents.json`` beside the pictures.
    out : Path, optional
        Where ``index.html``, ``report.json`` and ``pairs.png`` are written; ``report`` in the session's folder when
        absent.
    seed : int
        Of the pairings of chance.
    reproduced : mapping, optional
        What decoding the session again gave, as `bci.session.reproduce.reproduce` returns it.
    weights : Path, optional
        Folder of the networks that some metrics need.
    permutations : int
        And resamples.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Returns
    -------
    dict
        What `models.sessions.readings.score` and `models.reports.scoring.score_decoded` return; ``confidence_mean``,
        ``pairs`` (the picture), ``reproduced``, ``offline`` (the bundle's own scores), ``snr``, ``other_conditions``
        (why those are no match for a session's, in words), ``oracle`` (of the bundle's held-out trials), ``latency``,
        ``left_out`` (trials that were aborted, or without a valid reconstruction, by reason).

    Raises
    ------
    RecordingError
        If the folder is no such session, or holds too little.
    BundleError
        If the bundle that it ran is not there any more.
    """
    say = progress or (lambda done, text: None)
    session = RecordedSession.read(folder)
    session.experiment()  # refuses what had none
    config, bundle = session.config, session.sole_bundle(session.driver)
    if bundle.spec.result.kind != "picture":
        raise RecordingError(
            f"{folder}: its bundle {bundle.name!r} gives {bundle.spec.result}, which cannot be compared with pictures. "
            "Name a session of a bundle that draws what it reads."
        )
    trials = session.trials(session.driver)
    readings = readings_of(trials)
    stimuli = shown_in(session, bundle)
    latents, package = stimuli.latents, package_of(bundle)
    draw: Draw | None = artist(bundle)
    if compares_pictures(bundle):  # attributes are of a generator's latents
        draw, readings, latents, package = *in_pixels(bundle, readings, stimuli), None
    scored = score(readings, latents, seed)
    decoded = _decoded(stimuli, readings, latents, bundle.image_size, session.simulated)
    body = Body.score(
        decoded,
        draw,
        package,
        weights=weights,
        seed=seed,
        permutations=permutations,
        say=lambda step: say(0.1 if step.startswith("scoring") else 0.6, step),
    )
    say(0.8, "asking the oracle")
    snr = _snr(config)
    best, why = _oracle(bundle, snr)
    out = out or folder / FOLDER
    make(out)
    pairs = out / "pairs.png"
    write_whole(pairs, draw_pairs(decoded, draw))
    report = {
        **body.scores,
        **scored,
        "session": str(folder),
        "bundle": bundle.name,
        "hash": bundle.hash,
        "confidence_mean": float(np.mean(decoded.confidence)),
        "pairs": str(pairs),
        "reproduced": dict(reproduced) if reproduced is not None else None,
        "offline": _offline(bundle),
        "snr": snr,
        "other_conditions": other_conditions(config, bundle),
        "oracle": best if best else {"missing": why},
        "latency": latency_table(folder),
        "left_out": count_left_out(trials),
    }
    ready: dict[str, Any] = plain(report)
    say(0.95, "writing the page")
    more = []
    if ready["offline"]:
        at = f", at SNR {ready['offline']['snr']:g}" if "snr" in ready["offline"] else ""
        more.append((f"offline: the bundle's held-out single trials{at}", ready["offline"]))
    more += [(f"oracle: {name}", row) for name, row in best.items()]
    parts = [
        header("Report on a session", folder.name, f"Decoder {bundle.name}, hash {bundle.hash}"),
        *body.sections(
            ready,
            beside=more,
            note=f'<p class="legend">{oracle_words(best, why, snr)}</p>'
            + repeats_section(ready)
            + live_section(ready),
            last=latency_section(ready["latency"]) + volumes_section(session),
            facts=[("Decoder", bundle.spec.title or bundle.name), ("Pictures", str(stimuli.folder))],
        ),
    ]
    ready["page"] = str(write_report(out, f"Report: {folder.name}", parts, ready))
    return ready


def _decoded(
    stimuli: Shown,
    readings: list[Reading],
    latents: Mapping[str, NDArray[np.float32]],
    size: tuple[int, int],
    simulated: bool,
) -> Decoded:
    """Put what was read beside what was seen; where a picture came more than once, its latents are averaged too."""
    names = sorted({reading.name for reading in readings})
    which = np.array([names.index(reading.name) for reading in readings])
    predicted = np.stack([reading.latent for reading in readings])
    counts = np.bincount(which)
    averaged, how = None, "mean of what was read in {} trials"
    if counts.min() > 1 and max(reading.repeats for reading in readings) > 1:
        # The newest of the means that hold most trials: averaged before it was read.
        best = [
            max(np.flatnonzero(which == k), key=lambda i: (readings[i].repeats, i)) for k in range(len(names))
        ]
        averaged, how = predicted[best], "mean of the epochs of {} trials"
        counts = np.array([readings[i].repeats for i in best])
    elif counts.min() > 1:
        averaged = np.stack([predicted[which == k].mean(0) for k in range(len(names))])
    repeats = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    seen = np.stack([stimuli.picture(name) for name in names])
    reference = stimuli.folder / "reference.npy"
    if reference.is_file():
        over = np.stack([resized(pixels, size) for pixels in load_array(reference, RecordingError)])
        mean, of = over.astype(np.float64).mean(0) / 255.0, f"{len(over)} training pictures"
    else:
        mean, of = (
            seen.astype(np.float64).mean(0) / 255.0,
            "the pictures shown (no training pictures are at hand)",
        )
    return Decoded(
        names=tuple(names),
        latents=np.stack([latents[name] for name in names]),
        seen=seen,
        predicted=predicted,
        which=which,
        confidence=np.array([reading.confidence for reading in readings], np.float64),
        averaged=averaged,
        how=how.format(repeats),
        mean_picture=mean,
        mean_of=of,
        simulated=simulated,
        read_of=read_of(readings),
    )


def _offline(bundle: Bundle) -> dict[str, Any]:
    scores = bundle.spec.scores
    return dict(scores) if "two_way" in scores and "n_way" in scores else {}


def _snr(config: Mapping[str, Any]) -> float | None:
    """Return the signal-to-noise ratio of a session's simulated participant, where there was one."""
    source = _participant(config)
    if source is None:
        return None
    snr = source.get("snr")
    return float(DEFAULT_SNR[str(source.get("modality", "eeg"))] if snr is None else snr)


def _participant(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the source section of a session's simulated participant, where there was one."""
    return next((one for one in sections(config, "source") if one.get("kind") == "insilico"), None)


def other_conditions(config: Mapping[str, Any], bundle: Bundle) -> list[str]:
    """Return what was another thing live than offline, in words; nothing where only the trials were others.

    A score at another signal-to-noise ratio, of another subject or of channels in another order differs for that
    reason, and its difference is none of live and offline.
    """
    source, trained = _participant(config), bundle.spec.provenance.config.get("participant")
    if source is None or not isinstance(trained, dict):
        return []
    live, offline = _snr(config), bundle.spec.scores.get("snr", trained.get("snr"))
    found = []
    if isinstance(offline, int | float) and live != offline:
        found.append(f"SNR {live:g} live, {offline:g} offline")
    if (subject := source.get("subject", 1)) != trained.get("subject", 1):
        found.append(f"subject {subject} live, {trained.get('subject', 1)} offline")
    if source.get("permute_channels") is not None:
        found.append("channels in another order live")
    return found


def _oracle(bundle: Bundle, snr: float | None) -> tuple[dict[str, dict[str, Any]], str]:
    """Ask the oracle of the bundle's held-out trials, at this session's SNR; needs what training needs."""
    try:
        oracle = system_of_bundle(bundle).oracle
        if oracle is None:
            return {}, "the bundle was not trained in silico"
        return oracle(bundle, snr=snr), ""
    except ModuleNotFoundError as error:
        return {}, f"{error.name} is not installed ({install_line('train')})"
    except BciError as error:
        return {}, str(error)
