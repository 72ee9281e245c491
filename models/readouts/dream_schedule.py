"""A DreamSchedule holds width and length of a network's training in dreams; it needs no torch."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DreamSchedule:
    """A DreamSchedule is how a network learns from dreams, and then from real trials.

    Attributes
    ----------
    hidden : int
        Width of each of the two hidden layers.
    steps : int
        The most updates on dreams.
    batch : int
        Dreams of one update; each is a dream with fresh noise.
    learning_rate : float
        The highest rate of AdamW; it rises over the first third and falls to nothing at the last step.
    decay : float
        Weight decay.
    temperature : float
        Of the dreams' noise.
    checks : int
        How often on the way it is looked at; runs held out choose where it stops.
    tuning : int
        The most updates on batches of which half are real trials.
    device : str
        What it learns on: ``cpu`` or ``cuda``. Not run on a card yet.
    """

    hidden: int = 256
    steps: int = 2000
    batch: int = 256
    learning_rate: float = 3e-3
    decay: float = 0.01
    temperature: float = 1.0
    checks: int = 3
    tuning: int = 120
    device: str = "cpu"
