"""A session without a decoder collects: it shows an experiment's stimuli, and records what a decoder learns from.

Nothing is read while it runs, so whatever waits for a reading is refused before it starts.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bci.config.session import SessionConfig

#: Height and width of the pictures of a session that collects, where it does not say them, pixels.
PICTURE_PX = 256


def require_collectable(config: "SessionConfig") -> None:
    """Refuse a session without a decoder that has nothing to show, or waits for what a decoder would read.

    Raises
    ------
    ValueError
        Naming what needs a decoder.
    """
    experiment = config.experiment
    if experiment is None:
        raise ValueError(
            "neither [decoder] nor [experiment]: a session decodes ([decoder] bundle), or shows stimuli and collects "
            "([experiment]), or both. bci record records streams alone"
        )
    if config.publications:
        raise ValueError(
            "[publish] offers what a decoder reads, and there is no [decoder]. Name one, or leave this out"
        )
    why = ""
    if experiment.reads:
        why = f'protocol = "{experiment.protocol}" goes by what a decoder reads'
    elif experiment.feedback_s > 0:
        why = f"feedback_s = {experiment.feedback_s:g} shows what a decoder reads"
    elif experiment.draws_latents and getattr(experiment, "drawn_by", None) is None:
        why = f'protocol = "{experiment.protocol}" shows latents that a generator draws, and drawn_by names no bundle'
    if why:
        raise ValueError(f"[experiment] {why}, and there is no [decoder]. Name one, or leave this out")
