"""What can be checked again of a session that collected: its recording, and the pictures that it showed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bci.cli.output import Output, styled
from bci.io.files.xdf.verify import verify
from bci.memory.frames import image_digest
from bci.session.recorded import RecordedSession


def verify_collected(folder: Path, output: Output) -> dict[str, Any]:
    """Verify the recordings of a session without a decoder, and compare what it showed with the pictures' folder.

    Returns
    -------
    dict
        ``frames`` (0: nothing was decoded), ``sound`` (whether every recording is), ``pictures`` (changes of the screen
        to a picture that has a file), ``pictures_equal`` (those whose pixels are the file's, to the bit),
        ``pictures_changed`` (names of the others), ``reproduced`` (sound, and all equal).

    Raises
    ------
    RecordingError
        If the session is not whole.
    ConfigError
        If a picture of the folder cannot be read.
    """
    session = RecordedSession.read(folder)
    output.say("This session collects: nothing was decoded that could be decoded again.")
    reports = [verify(path) for path in session.recordings]
    for report in reports:
        for sentence in report.sentences():
            output.say(sentence)
    sound = bool(reports) and all(report.sound for report in reports)
    output.say(
        styled("bold green", "the recording is sound")
        if sound
        else styled("bold red", "the recording is not whole: see above")
    )
    shown, changed = _compare_pictures(session)
    if shown:
        output.say(f"{shown - len(changed)} of {shown} stimuli are the pictures of the folder, bit for bit")
    if changed:
        names = ", ".join(dict.fromkeys(changed))
        output.say(styled("bold red", f"not as they were shown, or not there any more: {names}"))
    return {
        "frames": 0,
        "sound": sound,
        "pictures": shown,
        "pictures_equal": shown - len(changed),
        "pictures_changed": list(dict.fromkeys(changed)),
        "reproduced": sound and not changed,
    }


def _compare_pictures(session: RecordedSession) -> tuple[int, list[str]]:
    """Return how many pictures of a folder were shown, and the names of those whose pixels are not the files'."""
    experiment = session.experiment()
    as_they_are = not (session.config.get("display") or {}).get("phosphenes")
    files = {int(row["trial"]): row["name"] for row in session.table("trials") if row.get("file")}
    rows = [row for row in session.table("shown") if row["kind"] == "stimulus" and int(row["trial"]) in files]
    if "folder" not in experiment or not rows or not as_they_are:
        return 0, []
    now = _digests(Path(experiment["folder"]), session)
    return len(rows), [
        files[int(row["trial"])] for row in rows if now.get(files[int(row["trial"])]) != row["digest"]
    ]


def _digests(folder: Path, session: RecordedSession) -> Mapping[str, str]:
    """Return the digest of each picture of a folder, at the size of the session's, by its name."""
    from bci.config.collecting import PICTURE_PX
    from stimuli.protocols.pictures import load_pictures, picture_paths

    if not picture_paths(folder):
        return {}
    width, height = (session.config.get("display") or {}).get("picture_px") or (PICTURE_PX, PICTURE_PX)
    names, images = load_pictures(folder, (int(height), int(width)))
    return {name: image_digest(image) for name, image in zip(names, images, strict=True)}
