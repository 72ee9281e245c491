"""What the operator sees of the experiment, never on the participant's screen."""
