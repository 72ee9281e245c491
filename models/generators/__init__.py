"""Networks that turn latents into pictures; they need torch."""
