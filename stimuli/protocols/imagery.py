"""Imagery: a cue, a time to imagine it in, a rest.

::

    cue (a word, or a picture that is seen) ──> "imagine" ──> "rest" ──> the next cue

Each is a trial with a flip of its own: markers read ``stimulus 3 cue face``, ``stimulus 3 imagine face``,
``stimulus 3 rest face``, so that a bundle can decode epochs around the beginning of imagery alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stimuli.protocols.order import order
from stimuli.protocols.pictures import PictureSet, picture_paths
from stimuli.trials import Palette, Picture, Protocol, Text, timed


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.protocols.ImagerySettings`.

    Raises
    ------
    ConfigError
        If the cues are pictures and the folder holds none, or one that cannot be read.
    """
    pictures = None if spec["folder"] is None else PictureSet.load(Path(spec["folder"]), palette.size)
    return _trials(spec, pictures)


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be: cue, imagery and rest count each."""
    cues = len(spec["words"]) if spec["folder"] is None else len(picture_paths(Path(spec["folder"])))
    return 3 * cues * int(spec["repeats"])


def _trials(spec: Mapping[str, Any], pictures: PictureSet | None) -> Protocol:
    names = list(spec["words"]) if pictures is None else pictures.names
    size = spec["size_deg"]
    for number in order(len(names), spec["repeats"], "random", spec["seed"]):
        name = " ".join(names[number].split())
        cue = Text(names[number], size) if pictures is None else Picture(pictures.images[number])
        file = "" if pictures is None else pictures.files[number]
        yield timed(spec, number, f"cue {name}", cue, kind="cue", file=file, feedback_s=0.0)
        imagine, rest = (Text(spec[words], size) for words in ("imagine_words", "rest_words"))
        yield timed(
            spec,
            number,
            f"imagine {name}",
            imagine,
            kind="imagery",
            stimulus_s=spec["imagine_s"],
            blank_s=0.0,
        )
        yield timed(
            spec,
            number,
            f"rest {name}",
            rest,
            kind="rest",
            stimulus_s=spec["rest_s"],
            feedback_s=0.0,
            blank_s=0.0,
        )
