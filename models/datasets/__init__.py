"""Pictures and recordings that models are trained on."""
