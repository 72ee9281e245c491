"""Numbers of settings files that mean the same everywhere, each with the bounds within which it means something.

A limit of a billion seconds is no limit, and a wait of one is a hang: what no laboratory can mean is refused by name.
"""

from typing import Annotated

from pydantic import Field

from bci.signal.rates import FASTEST_HZ, SLOWEST_HZ

#: Seconds that something is waited for.
Wait = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]

#: Seconds that something lasts: a session, a recording, a simulation. The most is four months.
Lasting = Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)]

#: Seconds after which something is too old to be shown.
Age = Annotated[float, Field(ge=0.001, le=600, allow_inf_nan=False)]

#: How many times faster than real time.
Speed = Annotated[float, Field(ge=1e-3, le=1e4, allow_inf_nan=False)]

#: Samples per second.
Rate = Annotated[float, Field(ge=SLOWEST_HZ, le=FASTEST_HZ, allow_inf_nan=False)]

#: Which random order.
Seed = Annotated[int, Field(ge=0, lt=2**63)]

#: Milliseconds, or refreshes, that something may take.
Allowed = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]

#: Centimetres of a screen, or to it.
Centimetres = Annotated[float, Field(ge=0.1, le=100_000, allow_inf_nan=False)]

#: A ratio of variances, of signal and noise.
Ratio = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
