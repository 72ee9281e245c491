"""The score of a session of known stimuli is printed in the terminal when it has ended."""

from pathlib import Path
from typing import Any

from bci.cli.output import Output, styled
from bci.config.experiment import ImagesSettings, LatentsSettings
from bci.config.session import SessionConfig
from bci.decoder.bundle import Bundle
from bci.errors import RecordingError
from bci.session.recorded import RecordedSession


def score_session(config: SessionConfig, folder: Path) -> dict[str, Any]:
    """Return what the single trials of a session were worth; nothing where the true latents are unknown.

    Needs no extra: see `models.sessions.readings`.
    """
    from models.sessions.readings import (
        LATENTS,
        count_left_out,
        drawn_latents,
        known_latents,
        readings_of,
        score,
    )
    from models.systems.registry import compares_pictures

    shown = config.experiment
    if not config.decoders or shown is None:
        return {}
    folder_shown = shown.folder if isinstance(shown, ImagesSettings) else None
    try:
        session = RecordedSession.read(folder)
        bundle = session.sole_bundle(session.driver)
        if bundle.spec.result.kind == "classes":
            return _score_classes(session, bundle)
        if compares_pictures(bundle):
            return _score_as_pictures(session, bundle)
        if folder_shown is not None and not (folder_shown / LATENTS).is_file():
            return {}
        if folder_shown is None and not isinstance(shown, LatentsSettings):
            return {}
        _require_pictures(bundle)
        trials = session.trials(session.driver)
        size = bundle.latent_size
        latents = drawn_latents(session, size) if folder_shown is None else known_latents(folder_shown)
        scores: dict[str, Any] = score(readings_of(trials), latents)
    except RecordingError as error:
        return {"headline": f"not scored: {error}", "informed": False}
    left_out = count_left_out(trials)
    return scores | ({"left_out": left_out} if left_out else {})


def _score_as_pictures(session: RecordedSession, bundle: Bundle) -> dict[str, Any]:
    """Return what single trials were worth of a bundle whose latents are its own: pictures tell."""
    from models.sessions.readings import count_left_out, readings_of, score
    from models.sessions.stimuli import in_pixels, shown_in

    experiment = session.experiment()
    if experiment.get("protocol") != "latents" and "folder" not in experiment:
        return {}
    trials = session.trials(session.driver)
    _, readings, latents = in_pixels(bundle, readings_of(trials), shown_in(session, bundle))
    scores: dict[str, Any] = score(readings, latents)
    left_out = count_left_out(trials)
    return scores | ({"left_out": left_out} if left_out else {})


def _score_classes(session: RecordedSession, bundle: Bundle) -> dict[str, Any]:
    """Return what single trials tell of classes; nothing where the pictures of a session have none."""
    from models.sessions.classes import class_readings, knows_classes, score_classes

    if not knows_classes(session, bundle):
        return {}
    scores: dict[str, Any] = score_classes(class_readings(session, bundle))
    return scores


def score_scrambled(folder: Path, seed: int) -> dict[str, Any]:
    """Return what a recorded session is worth once its markers have been thrown to other times.

    If all is well, that is nothing.

    Raises
    ------
    BciError
        If the session is not whole, decoded no epochs, or showed pictures of unknown latents.
    """
    from bci.session.scrambled import scramble
    from models.sessions.readings import Reading, known_latents, score, stimulus_name

    session = RecordedSession.read(folder)
    session.require_read()
    _require_pictures(session.sole_bundle(session.driver))
    experiment = session.experiment()
    if "folder" not in experiment:
        raise RecordingError(
            f"{folder}: expected a session with an [experiment] that shows a folder of pictures, came one without. "
            "Name another."
        )
    latents = known_latents(Path(experiment["folder"]))
    scrambled = scramble(folder, seed)
    readings = [
        Reading(name, frame.latent, frame.confidence, frame.repeats)
        for text, frame in scrambled.readings
        if frame.valid and (name := stimulus_name(text))
    ]
    scores: dict[str, Any] = score(readings, latents)
    return scores | {"scrambled": True, "seed": seed, "lost": scrambled.lost}


def _require_pictures(bundle: Bundle) -> None:
    """Refuse a bundle whose readings are no latents of pictures.

    Raises
    ------
    RecordingError
        If its result is something else.
    """
    result = bundle.spec.result
    if result.kind != "picture":
        raise RecordingError(f"bundle {bundle.name!r} gives {result}, which cannot be compared with pictures")


def say_score(found: dict[str, Any], output: Output) -> None:
    """Say it: every score beside what guessing gives."""
    output.say("")
    output.say(styled("bold", found["headline"]))
    if "by_class" not in found and ("two_way" not in found or found.get("unread")):
        return
    if left_out := found.get("left_out"):
        output.say("left out: " + ", ".join(f"{n} {why}" for why, n in sorted(left_out.items())))
    if "by_class" in found:
        by_class = [(label, row["trials"], f"{row['right']:.1%}") for label, row in found["by_class"].items()]
        output.table(
            f"Which class was shown? {found['trials']} single trials", ("", "trials", "right"), by_class
        )
        return
    k = found["pictures"]
    rows = [
        _row("told from one other picture", found, "two_way", 1 / 2),
        _row(f"picked out of all {k} pictures", found, "n_way", 1 / k),
    ]
    averaged = found.get("by_repeats", [])
    rows += [
        _row(f"the same, {row['trials']} means of {row['repeats']}", row, "n_way", 1 / k) for row in averaged
    ]
    what = "readings, each of the mean of its picture's trials so far" if averaged else "single trials"
    output.table(
        f"Which picture was seen? {found['trials']} {what}",
        ("", "found", "guessing", "95 % of guessing", "p"),
        rows,
    )


def _row(what: str, found: dict[str, Any], name: str, guess: float) -> tuple[str, ...]:
    low, high = found[f"{name}_chance"]
    return (
        what,
        f"{found[name]:.1%}",
        f"{guess:.1%}",
        f"{low:.1%} to {high:.1%}",
        f"{found[f'{name}_p']:.4f}",
    )
