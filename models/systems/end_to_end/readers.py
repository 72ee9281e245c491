"""End-to-end reconstruction as a row of the table of all brain readers."""

import numpy as np
from numpy.typing import NDArray

from models.datasets.reader_trials import Lesson
from models.systems.end_to_end.learning import learn, open_comparator
from models.systems.end_to_end.settings import (
    ComparatorSettings,
    EndToEndConfig,
    LearningSettings,
    PlantedData,
)
from models.systems.reader import PictureReader

Pictures = NDArray[np.uint8]

#: Updates; published: a million.
UPDATES = 1000


def readers() -> tuple[PictureReader, ...]:
    """Return the one."""
    about = (
        f"Shen et al. (2019, Frontiers): one network from responses to pictures, {UPDATES} updates of a small one; its "
        "comparator is a small network of random weights"
    )
    return (PictureReader("end to end", about, read_end_to_end),)


def read_end_to_end(lesson: Lesson, brain: NDArray[np.float64]) -> Pictures:
    """Learn by the three terms, and draw.

    Raises
    ------
    DataError
        If the pictures are too small for the networks.
    """
    config = EndToEndConfig(
        kind="end-to-end",
        name="reader",
        seed=lesson.seed,
        data=PlantedData(),  # not looked at: responses and pictures are the lesson's
        comparator=ComparatorSettings(side=32, power=1.0),
        learning=LearningSettings(steps=lesson.scaled(UPDATES)),
    )

    def quietly(done: float, text: str) -> None:
        return None

    comparator = open_comparator(config, lesson.pictures, quietly)
    return learn(config, lesson.brain, lesson.pictures, comparator, quietly)(brain)
