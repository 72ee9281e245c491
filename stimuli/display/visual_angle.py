"""A visual angle is a size as seen by the eye, in degrees; it is converted to pixels on one screen here."""

import math


def pixels(degrees: float, distance_cm: float, pixels_per_cm: float) -> int:
    """Return the length on the screen that spans `degrees` around the line of sight, in whole pixels.

    Exactly ``2 · distance · tan(degrees / 2) · pixels_per_cm``, rounded to the nearest pixel, at least one.

    Parameters
    ----------
    degrees : float
        Degrees of visual angle, more than 0 and less than 180.
    distance_cm : float
        From the eye to the screen, centimetres.
    pixels_per_cm : float
        The screen's pixels per centimetre.

    Examples
    --------
    At 57.3 cm one degree is one centimetre:

    >>> pixels(1.0, 57.3, 40.0)
    40

    Ten degrees are a little more than ten times that, because the screen is flat:

    >>> pixels(10.0, 57.3, 40.0)
    401
    """
    return max(1, round(2.0 * distance_cm * math.tan(math.radians(degrees) / 2.0) * pixels_per_cm))
