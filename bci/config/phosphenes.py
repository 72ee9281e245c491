"""PhospheneSettings is what an experimenter fixes about phosphenes: the ``[display.phosphenes]`` section."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bci.errors import StimulationRefused
from bci.signal.phosphenes.features import Feature
from bci.signal.phosphenes.grid import Layout
from bci.signal.phosphenes.pulses import PulseTrain
from bci.signal.phosphenes.view import ElectrodeLimit, PhospheneView
from bci.signal.types import Shown

_Microamperes = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
_Microseconds = Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)]
_Hertz = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]

#: What may be shown as phosphenes, by the kind of picture on the screen.
_KINDS = {Shown.STIMULUS: "stimuli", Shown.UPDATE: "stimuli", Shown.FRAME: "reconstructions"}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class LimitSettings(_Section):
    """LimitSettings holds the highest current and frequency of some electrodes, where they are below those of all."""

    electrodes: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
    """Which, counted from 0."""
    amplitude_ua: _Microamperes
    """Highest current, microampere; 0 switches them off."""
    frequency_hz: _Hertz | None = None
    """Highest frequency; absent means that of all."""


class PhospheneSettings(_Section):
    """Pictures as the bearer of a visual prosthesis would see them; nothing is ever stimulated.

    A pulse whose charges do not cancel, or that moves more than a limit, is refused.
    """

    applies_to: Annotated[tuple[Literal["stimuli", "reconstructions"], ...], Field(min_length=1)] = (
        "stimuli",
        "reconstructions",
    )
    """What is shown so; text never is."""
    electrodes: Annotated[int, Field(ge=4, le=5000)] = 1000
    """How many."""
    layout: Layout = "cortex"
    """"cortex": a grid on both visual cortices, whose phosphenes are small and dense in the middle of gaze; "even": a
    grid in the visual field, of equal phosphenes."""
    feature: Feature = "edges"
    """What of a picture is conveyed: its edges, what stands out in it, or how light it is."""
    threshold_ua: _Microamperes = 20.0
    """Current below which nothing is seen."""
    amplitude_ua: _Microamperes = 80.0
    """Highest current of an electrode."""
    frequency_hz: _Hertz = 300.0
    """Pulses in a second, at most."""
    cathodic_us: _Microseconds = 170.0
    """Duration of a pulse's first phase, microseconds."""
    gap_us: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = 60.0
    """Pause between its phases."""
    anodic_us: _Microseconds = 170.0
    """Duration of its second phase."""
    anodic_ratio: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 1.0
    """Current of the second phase, in shares of the first."""
    charge_limit_nc: Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)] = 20.0
    """Charge that a phase may move, nanocoulomb."""
    limits: tuple[LimitSettings, ...] = ()
    """Electrodes that may give less, or that are broken."""

    @model_validator(mode="after")
    def _may_flow(self) -> Self:
        try:
            self.open((8, 8), 8.0)
        except StimulationRefused as refused:
            raise ValueError(str(refused)) from None
        return self

    def open(self, image_shape: tuple[int, int], image_deg: float) -> PhospheneView:
        """Return the view of pictures of this height and width, whose longer side is `image_deg` degrees."""
        pulse = (
            "amplitude_ua",
            "frequency_hz",
            "cathodic_us",
            "gap_us",
            "anodic_us",
            "anodic_ratio",
            "charge_limit_nc",
        )
        return PhospheneView(
            image_shape,
            image_deg,
            self.electrodes,
            PulseTrain(**self.model_dump(include=set(pulse))),
            threshold_ua=self.threshold_ua,
            feature=self.feature,
            layout=self.layout,
            limits=[
                ElectrodeLimit(one.electrodes, one.amplitude_ua, one.frequency_hz) for one in self.limits
            ],
        )

    def show(self, kind: Shown) -> bool:
        """Whether a picture of this kind is shown as phosphenes."""
        return _KINDS.get(kind) in self.applies_to
