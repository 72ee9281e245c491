"""Picture scores have their pinned values, and a network's row says when its weights are missing."""

import os

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper
from skimage.metrics import structural_similarity

from bci.errors import ConfigError, DataError
from models.metrics.images import (
    pictures,
    pixel_correlation,
    resize,
    ssim_anchor,
    ssim_hyper,
    windowed_ssim,
)
from models.metrics.networks import SCORES, score_networks
from models.metrics.table import latent_rows, picture_rows, rows_as_text


@pytest.fixture(scope="module")
def pair():
    """A pair drawn from formulas: no file, no random numbers."""
    y, x = np.mgrid[:48, :48] / 47
    a = np.stack([x, y, 0.5 + 0.5 * np.sin(9 * x) * np.cos(7 * y)], -1)
    b = np.stack([x**2, 0.8 * y + 0.1, 0.5 + 0.4 * np.sin(9 * x + 0.4) * np.cos(7 * y)], -1)
    grain = 0.1 * np.cos(np.arange(48 * 48 * 3) * 2.1).reshape(48, 48, 3)
    return a[None], np.clip(b + grain, 0, 1)[None]


def test_scores_have_their_pinned_values(pair):
    assert pixel_correlation(*pair)[0] == pytest.approx(0.89155906, abs=1e-7)
    assert ssim_anchor(*pair)[0] == pytest.approx(0.51460142, abs=1e-7)
    assert ssim_hyper(*pair)[0] == pytest.approx(0.79986684, abs=1e-6)


def test_the_profiles_differ_from_each_other_and_from_the_librarys_defaults(pair):
    default = structural_similarity(pair[0][0], pair[1][0], channel_axis=-1, data_range=1.0)
    assert (
        len({round(float(score), 3) for score in (ssim_anchor(*pair)[0], ssim_hyper(*pair)[0], default)}) == 3
    )


def test_windowed_ssim_is_that_of_the_library_where_both_can_do_it(pair):
    theirs = structural_similarity(
        *(side[0] for side in pair),
        channel_axis=-1,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert windowed_ssim(*pair, taps=11, sigma=1.5)[0] == pytest.approx(theirs, abs=1e-9)


def test_a_picture_is_like_itself_and_bytes_count_as_fractions(pair):
    a = pair[0]
    for score in (pixel_correlation, ssim_anchor, ssim_hyper):
        assert score(a, a)[0] == pytest.approx(1)
    rounded = np.round(a * 255).astype(np.uint8)
    assert pixel_correlation(rounded, a)[0] == pytest.approx(1, abs=1e-4)
    assert np.isnan(pixel_correlation(a, np.full_like(a, 0.5))[0])


def test_what_is_no_picture_is_refused(pair):
    a, b = pair
    with pytest.raises(DataError, match=r"\(n, height, width, 3\), came \(1, 3, 48, 48\)"):
        pictures(a.transpose(0, 3, 1, 2))
    with pytest.raises(DataError, match=r"from 0 to 1 .* came 0 to 255"):
        ssim_anchor(a, b * 0 + np.linspace(0, 255, 48)[:, None])
    with pytest.raises(DataError, match=r"\(1, 48, 48, 3\) and \(1, 24, 24, 3\)"):
        pixel_correlation(a, resize(b, 24))


def network(path, inputs):
    """Write a network: the mean of each colour over 16 × 16 tiles, or of the squared difference of two pictures."""
    nodes = [helper.make_node("AveragePool", ["in0"], ["out"], kernel_shape=[16, 16], strides=[16, 16])]
    if inputs == 2:
        nodes = [
            helper.make_node("Sub", ["in0", "in1"], ["d"]),
            helper.make_node("Mul", ["d", "d"], ["s"]),
            helper.make_node("GlobalAveragePool", ["s"], ["out"]),
        ]
    given = [
        helper.make_tensor_value_info(f"in{k}", TensorProto.FLOAT, [1, 3, 224, 224]) for k in range(inputs)
    ]
    graph = helper.make_graph(
        nodes, "g", given, [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    path.write_bytes(model.SerializeToString())


def test_networks_that_are_there_score_and_the_others_say_that_their_weights_are_missing(tmp_path, pair):
    truth = np.concatenate([pair[0], pair[0][:, ::-1], pair[0][:, :, ::-1], 1 - pair[0]])
    made = np.clip(truth * 0.9 + 0.02, 0, 1)
    bare = score_networks(truth, made, None)
    assert [row.said for row in bare] == [f"weights missing: {score.file}" for score in SCORES]
    network(tmp_path / "alexnet_2.onnx", 1)
    network(tmp_path / "swav.onnx", 1)
    network(tmp_path / "lpips.onnx", 2)
    network(tmp_path / "inception_pool.onnx", 1)
    even = np.full(truth.shape[1:], 0.5)
    rows = {row.name: row for row in score_networks(truth, made, tmp_path, training_mean=even)}
    assert rows["AlexNet(2)"].values.tolist() == [1, 1, 1, 1]
    assert (rows["SwAV"].values < 0.01).all()
    wanted = 4 * ((resize(truth, 224) - resize(made, 224)) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(rows["LPIPS"].values, wanted, rtol=1e-4)
    assert rows["AlexNet(2)"].baselines["mean picture"] == 0.5
    assert rows["AlexNet(2)"].baselines["shuffled"] < 0.7
    assert rows["LPIPS"].baselines["shuffled"] > rows["LPIPS"].values.mean()
    distance = rows["Fréchet distance of inception_pool at 224²"]
    assert distance.baselines == {}
    assert "4 items of 588 features" in distance.said
    assert rows["CLIP"].said == "weights missing: clip_image.onnx"


def test_no_row_bears_the_name_of_a_score_that_is_defined_at_another_size(pair):
    for profile, side in (("brain-diffuser", 224), ("mindeye", 342)):
        names = [row.name for row in score_networks(*pair, None, profile=profile)]
        assert not {"FID", "KID", "Inception score", "FaceNet distance"} & set(names)
        assert f"Fréchet distance of inception_pool at {side}²" in names
        assert "distance of facenet at 160²" in names


def test_a_profile_sets_the_size_and_what_does_not_fit_is_named(tmp_path, pair):
    network(tmp_path / "alexnet_2.onnx", 1)
    truth = np.concatenate([pair[0], 1 - pair[0]])
    with pytest.raises(ConfigError, match=r"alexnet_2\.onnx: expected a network from \(1, 3, 256, 256\)"):
        score_networks(truth, truth, tmp_path, profile="mindeye")
    with pytest.raises(ConfigError, match="brain-diffuser, mindeye, came 'mine'"):
        score_networks(truth, truth, tmp_path, profile="mine")
    with pytest.raises(ConfigError, match="expected a folder of network weights"):
        score_networks(truth, truth, tmp_path / "nowhere")


def save(path, nodes, name="in0", **constants):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("swav.onnx", r"GiB|loads and runs|expected a network"),
        ("lpips.onnx", "expected a network of 2 pictures, came a graph of 1 inputs"),
        ("clip_image.onnx", "expected a regular file, came a named pipe"),
    ],
)
def test_a_network_from_elsewhere_is_tried_in_a_capped_child_and_refused_in_words(tmp_path, pair, name, said):
    if name == "swav.onnx":  # 400 bytes that ask for 64 GiB
        nodes = [
            helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["none"], keepdims=0),
            helper.make_node("GlobalAveragePool", ["in0"], ["mean"]),
            helper.make_node("Add", ["mean", "none"], ["out"]),
        ]
        save(tmp_path / name, nodes, size=np.array([2**34]))
    elif name == "lpips.onnx":
        network(tmp_path / name, 1)
    else:
        os.mkfifo(tmp_path / name)
    before = psutil.Process().memory_info().rss
    with pytest.raises(ConfigError, match=said):
        score_networks(pair[0], pair[1], tmp_path)
    assert psutil.Process().memory_info().rss < before + (200 << 20)


def test_every_row_stands_beside_its_baselines():
    rng = np.random.default_rng(1)
    truth = rng.uniform(size=(5, 12, 12, 3))
    systems = {"good": 0.7 * truth + 0.15, "guess": rng.uniform(size=truth.shape)}
    rows = picture_rows(
        systems,
        truth,
        np.full((12, 12, 3), 0.5),
        averaged="14 repeats",
        rng=rng,
        permutations=99,
        resamples=50,
    )
    by = {(row.system, row.metric): row for row in rows}
    assert by["good", "pixel correlation"].score == pytest.approx(1)
    assert by["good", "pixel correlation"].p == pytest.approx(0.02, abs=0.03)
    assert by["guess", "pixel correlation"].p > 0.05
    assert by["good", "2-way identification, pixels"].score == 1
    assert by["good", "5-way identification, pixels"].chance == pytest.approx(1 / 5)
    for row in rows:
        assert row.n == 5
        assert row.averaged == "14 repeats"
        assert "shuffled" in row.baselines
        assert "mean picture" in row.baselines or "identification" in row.metric
    header, lines = rows_as_text(rows)
    assert all(len(line) == len(header) for line in lines)


def test_latent_rows_show_that_similarity_rewards_a_constant():
    rng = np.random.default_rng(2)
    truth = rng.standard_normal((40, 512))
    rows = {
        row.metric: row
        for row in latent_rows(
            {"full-size guess": truth + 1.5 * rng.standard_normal(truth.shape)},
            truth,
            averaged="nothing",
            rng=rng,
            permutations=49,
            resamples=20,
        )
    }
    similar = rows["similarity 1/(1+MSE)"]
    assert similar.score < similar.baselines["zero latent"]
    assert rows["cosine"].score > 0.5 > rows["cosine"].baselines["zero latent"]
