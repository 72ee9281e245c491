"""Signal quality: figures of each channel, mains noise, rails, the pace of a stream, and verdicts on them."""
