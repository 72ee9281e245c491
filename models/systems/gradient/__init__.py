"""Reconstruction by gradient (Shen et al. 2019, PLoS Computational Biology), and its distilled form that runs live.

With the paper in hand: its decoding of features, unit by unit, is `models.readouts.decoded_features`; its
optimisation, of pixels or of a generator's latent, `models.networks.matching`; its network,
`models.networks.convnet`, with VGG-19's weights from the user's file. What runs live is `models.readouts.distilled`.
Here they are trained on a simulated participant, scored side by side, and exported.
"""
