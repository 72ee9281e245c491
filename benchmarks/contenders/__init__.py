"""What stream_latency and overload measure: one program per contender, each ending in a `WindowLog`."""
