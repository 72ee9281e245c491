"""A session after the fact: what its folder holds, its latencies, and decoding it again."""
