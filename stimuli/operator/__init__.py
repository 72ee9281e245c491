"""Operator: the preview of an experiment for the operator, never on the participant's screen."""
