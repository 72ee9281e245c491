"""LFP-GAN (Asprusten 2020) and EEG-GAN (Hartmann et al. 2018): responses that a network makes up for a picture."""
