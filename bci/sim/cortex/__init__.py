"""The simulated visual cortex: gaze, early and higher stages, adaptation."""
