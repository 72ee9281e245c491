"""Planted states are those of a simulated participant's eyes: the answer that the terminal sets beside what is read."""

from bci.config.session import SessionConfig
from bci.config.sources import SimulateSettings
from bci.sim.eeg import AlphaSimulator

STATES = ("open", "closed")


def planted_states(config: SessionConfig) -> AlphaSimulator | None:
    """Return the simulator whose planted state is known, or None where the source is real."""
    source = config.source_of(config.decoded_by(0)) if config.decoders else None
    return AlphaSimulator(source.seed) if isinstance(source, SimulateSettings) else None
