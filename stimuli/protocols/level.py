"""A level is a number from 0 to 1 as a picture: a bar as high, or a disc as large, in the frame of its full size."""

import numpy as np
from numpy.typing import NDArray

#: Grey levels of what lies around, of the full size, and of the level itself.
AROUND, FRAME, INK = 64, 110, 255


def level_picture(share: float, shape: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the picture of a level.

    Edges are as sharp as a pixel, which is partly inked where it is partly covered: the picture moves with every value.

    Parameters
    ----------
    share : float
        The level, 0 to 1.
    shape : "bar" or "disc"
        Whose height or area it is.
    size : (int, int)
        Height and width, pixels.

    Returns
    -------
    (height, width, 3) uint8

    Examples
    --------
    >>> level_picture(0.5, "bar", (4, 3))[:, 1, 0].tolist()
    [110, 110, 255, 255]
    """
    height, width = size
    if shape == "disc":
        y, x = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
        inwards = 0.5 - np.hypot(y[:, None], x[None, :])
        full = min(size) / 2
        # A disc of no area covers nothing of its middle pixel.
        frame, ink = (
            np.clip(inwards + radius, 0, min(1.0, radius)) for radius in (full, full * np.sqrt(share))
        )
    else:
        frame, ink = np.zeros(size), np.zeros(size)
        columns = slice(width // 4, max(width // 4 + 1, width - width // 4))
        frame[:, columns] = 1.0
        ink[:, columns] = np.clip(share * height - np.arange(height)[::-1], 0, 1)[:, None]
    grey = AROUND + (FRAME - AROUND) * frame
    grey += (INK - grey) * ink
    return np.repeat(np.rint(grey).astype(np.uint8)[:, :, None], 3, axis=2)
