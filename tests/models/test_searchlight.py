"""A searchlight finds the layer that voxels were planted with, and none where there is noise."""

import numpy as np
import pytest

from bci.errors import DataError
from models.systems.hyper_release.searchlight import (
    NONE,
    LinearOcclusion,
    cubes,
    exchanges,
    joined,
    occluded,
    search,
)


def test_planted_voxels_find_their_layer_and_noise_finds_none() -> None:
    random = np.random.default_rng(0)
    places = np.stack(np.meshgrid(np.arange(12), np.arange(3), np.arange(3), indexing="ij"), -1).reshape(
        -1, 3
    )
    planted = np.full(12, NONE)
    planted[:4], planted[8:] = 0, 1
    of = planted[places[:, 0]]
    truth = [random.standard_normal((200, 2)), random.standard_normal((200, 5))]
    brain, weights = random.standard_normal((200, 108)), []
    for k, values in enumerate(truth):
        axes = random.standard_normal((values.shape[1], 108)) * (of == k)
        brain += values @ axes
        weights.append(axes.T / 36)
    lights = cubes(places, 3)
    assert {len(light) for light in lights} == {8, 12, 18, 27}
    occlusion = LinearOcclusion(brain, weights)
    found = search(occlusion, truth, lights, random=np.random.default_rng(1))
    # In parts, as units of a cluster, it is the same map to the bit.
    orders = exchanges(200, 200, np.random.default_rng(1))
    parts = [occluded(occlusion, truth, some, orders) for some in (lights[:1], lights[1:70], lights[70:])]
    again = joined(parts)
    assert again.threshold == found.threshold
    assert all(
        np.array_equal(getattr(again, name), getattr(found, name)) for name in ("layer", "growth", "z")
    )
    assert (found.layer == of)[of != NONE].mean() > 0.9
    alone = np.array([(of[light] == NONE).all() for light in lights])
    assert alone.sum() == 18
    assert (found.layer[alone] == NONE).all()
    # With stimuli exchanged there is no layer anywhere.
    order = random.permutation(200)
    exchanged = search(occlusion, [one[order] for one in truth], lights, random=random)
    assert (exchanged.layer != NONE).mean() <= 0.05


def test_places_and_activations_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="each once"):
        cubes(np.zeros((2, 3), int), 3)
    with pytest.raises(DataError, match="an odd side"):
        cubes(np.arange(3)[None], 4)
    with pytest.raises(DataError, match=r"shapes \[\(4, 3\)\], as the true ones, came \[\(4, 2\)\]"):
        search(
            lambda voxels: [np.zeros((4, 2))],
            [np.zeros((4, 3))],
            cubes(np.arange(3)[None], 1),
            random=np.random.default_rng(0),
        )
