"""How good a signal is: channels, mains, rails, pace, and verdicts on them."""
