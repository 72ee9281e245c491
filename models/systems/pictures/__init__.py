"""Pictures, read from the answers to pictures whose latents are known, and drawn by the generator that drew them."""
