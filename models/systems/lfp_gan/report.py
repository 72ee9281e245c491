"""The report on a bundle of LFP-GAN: pictures read as of any decoder, and the thesis's figures of what it makes."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.errors import BundleError
from bci.io.files.page import escape, table
from bci.io.files.regular import parse_json
from bci.sim.made import CODES, MadeLfp
from models.reports.bundle import report_bundle
from models.reports.charts import GREY, OCHRE, PLUM, TEAL, Line, chart
from models.systems.lfp_gan.data import ShownWindows
from models.systems.lfp_gan.heldout import data_of, decode_windows
from models.systems.lfp_gan.statistics import (
    HEAD,
    Likeness,
    as_rows,
    compare_windows,
    correlations,
    gaussian,
    mean_spectrum,
    plain,
    power_db,
    white_noise,
)
from models.systems.lfp_gan.variational import NO_GAME
from models.systems.system import Progress

Windows = NDArray[np.float32]

#: Pairs of windows that are drawn, the channel that is drawn, and images whose means are.
_PAIRS, _IMAGES = 4, 4


def evaluate_lfp_gan(
    bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
) -> dict[str, Any]:
    """Score a bundle on tested images and write its page; see `models.systems.system.Report`."""
    progress(0.0, "cutting windows of tested images")
    shown = data_of(bundle, data_root)
    decoded = decode_windows(bundle, shown)
    progress(0.3, "making windows for the same images")
    made, likeness = made_and_compared(bundle, shown)
    return report_bundle(
        bundle,
        decoded,
        out,
        facts=[
            ("Made by", f"{bundle.name}: {len(made)} windows for {int(shown.tested.sum())} tested images")
        ],
        more={"made": {name: plain(one) for name, one in likeness.items()}},
        last=figures(bundle, shown, made, likeness),
        weights=weights,
        progress=lambda done, text: progress(0.5 + 0.5 * done, text),
    )


def made_and_compared(bundle: Bundle, shown: ShownWindows) -> tuple[Windows, dict[str, Likeness]]:
    """Return windows that the bundle's graph makes for tested images, and how they and the baselines compare."""
    source = MadeLfp(bundle)
    real, which = shown.test
    training, _ = shown.training
    raw = np.stack([source.window_for(int(k), number).T for number, k in enumerate(which)])
    made = ((raw - shown.mean) / np.float32(shown.scale)).astype(np.float32)
    known = (which, which) if source.knows_images else None
    random = np.random.default_rng(31)
    rows = {
        "made": made,
        "Gaussian, training mean and covariance": gaussian(training, len(real), random),
        "white noise": white_noise(training, len(real), random),
    }
    return made, {
        name: compare_windows(real, some, shown.signal.rate, training=training, images=known)
        for name, some in rows.items()
    }


def figures(bundle: Bundle, shown: ShownWindows, made: Windows, likeness: dict[str, Likeness]) -> str:
    """Return the table and the figures, as HTML."""
    real, which = shown.test
    lines = [[escape(cell) for cell in row] for row in as_rows(likeness | at_training(bundle))]
    rate = shown.signal.rate
    charts = [
        amplitude_chart(real, made), spectrum_chart(real, made, rate), *sample_charts(real, made, rate),
        *(image_charts(real, made, which, rate) if CODES in bundle.spec.files else ()),
        edge_chart(real, made, rate), *game_charts(bundle, real, rate),
    ]  # fmt: skip
    left_out = bundle.spec.scores.get("left_out")
    note = (
        f" Pretraining left out {100 * float(str(left_out)):.1f} % of the places it drew, which lay in presentations "
        "of tested images; the thesis kept them."
        if left_out is not None
        else ""
    )
    first = next(iter(likeness.values()))
    return (
        "<h2>What it makes</h2>"
        + table(HEAD, lines, range(1, len(HEAD)))
        + '<p class="legend">Compared with measured windows of tested images, which nothing learned from: power in '
        "bins of 4 Hz, correlations between channels, excess kurtosis, time in which the envelope from 45 to 75 Hz is "
        "above three times its median, the mean window of each image, the share that a classifier tells right, and "
        f"the median distance to the nearest training window (of measured ones {first.nearest_real:.2f}). Measured: "
        f"kurtosis {first.kurtosis_real:.2f}, bursts {100 * first.bursts_real:.2f} % of time.{note}</p>"
        + classifier_section(bundle)
        + f'<div class="two">{"".join(charts)}</div>'
        + correlation_section(real, made)
    )


def at_training(bundle: Bundle) -> dict[str, Likeness]:
    """Return what a variational autoencoder made by itself, as it was compared at training; nothing of others."""
    made = bundle.spec.scores.get("made")
    row = made.get(NO_GAME) if isinstance(made, dict) else None
    if row is None:
        return {}
    return {NO_GAME: Likeness(**{name: float(row.get(name, "nan")) for name in Likeness.__slots__})}


def classifier_section(bundle: Bundle) -> str:
    """Return how well the classifier of training did, and what it saw in windows; nothing where there was none."""
    scores = bundle.spec.scores.get("classifier")
    if not isinstance(scores, dict):
        return ""
    rows = [
        [escape(name), *(f"{row[key]:.2f}" if key in row else "–" for key in ("frechet", "divergence"))]
        for name, row in scores["seen"].items()
    ]
    return (
        "<h2>What a classifier sees</h2>"
        + table(("windows", "Fréchet distance of its features", "divergence of its classes"), rows, (1, 2))
        + '<p class="legend">A network that names the training image of a window: right in '
        f"{scores['accuracy']:.1%} of {scores['windows']:.0f} windows that it did not learn from, among its first five "
        f"in {scores['top_5']:.1%}; chance is {scores['chance']:.1%}. Measured windows are compared half with half. "
        "The divergence is the inception score of this network; nothing goes by it.</p>"
    )


def amplitude_chart(real: Windows, made: Windows) -> str:
    """Draw the distributions of amplitude."""
    edges = np.linspace(-5, 5, 81)
    middle = (edges[1:] + edges[:-1]) / 2
    shares = [np.maximum(np.histogram(side, edges, density=True)[0], 1e-6) for side in (real, made)]
    return chart(
        [
            Line(name, middle.tolist(), np.log10(share).tolist(), colour, dots=False)
            for name, share, colour in zip(("measured", "made"), shares, (TEAL, OCHRE), strict=True)
        ],
        title="Distribution of amplitudes",
        x_label="amplitude, deviations",
        y_label="log10 of density",
    )


def spectrum_chart(real: Windows, made: Windows, rate_hz: float) -> str:
    """Draw the spectra, with their spread over channels."""
    lines = []
    for name, side, colour in (("measured", real, TEAL), ("made", made, OCHRE)):
        power = power_db(side, rate_hz).reshape(-1, side.shape[1])
        frequency = np.linspace(4, min(300.0, rate_hz / 2), len(power) + 1)[:-1] + 2
        lines.append(
            Line(
                name, frequency.tolist(), power.mean(1).tolist(), colour, power.min(1).tolist(), power.max(1).tolist(),
                dots=False,
            )
        )  # fmt: skip
    return chart(lines, title="Spectra; bands span channels", x_label="Hz", y_label="dB", x_log=False)


def sample_charts(real: Windows, made: Windows, rate_hz: float) -> list[str]:
    """Draw windows, a measured and a made one each, of the middle channel."""
    time, channel = (1000 * np.arange(real.shape[2]) / rate_hz).tolist(), real.shape[1] // 2
    return [
        chart(
            [
                Line("measured", time, real[k, channel].tolist(), TEAL, dots=False),
                Line("made", time, made[k, channel].tolist(), OCHRE, dots=False),
            ],
            title=f"A window of each, {k + 1} of {_PAIRS}",
            x_label="ms after the image",
            y_label="deviations",
        )
        for k in range(min(_PAIRS, len(real)))
    ]


def image_charts(real: Windows, made: Windows, which: NDArray[np.int64], rate_hz: float) -> list[str]:
    """Draw the mean windows of a few images, in the channel where images differ most."""
    present = np.unique(which)[:_IMAGES]
    means = [np.stack([side[which == k].mean(0) for k in np.unique(which)]) for side in (real, made)]
    channel = int(means[0].std(0).mean(1).argmax())
    time = (1000 * np.arange(real.shape[2]) / rate_hz).tolist()
    return [
        chart(
            [
                Line("measured", time, means[0][place, channel].tolist(), TEAL, dots=False),
                Line("made", time, means[1][place, channel].tolist(), OCHRE, dots=False),
            ],
            title=f"Mean window of image {k}",
            x_label="ms after the image",
            y_label="deviations",
        )
        for place, k in enumerate(present)
    ]


def edge_chart(real: Windows, made: Windows, rate_hz: float) -> str:
    """Draw the deviation at each sample: what convolutions do at the ends of windows."""
    time = (1000 * np.arange(real.shape[2]) / rate_hz).tolist()
    return chart(
        [
            Line(name, time, side.std((0, 1)).tolist(), colour, dots=False)
            for name, side, colour in (("measured", real, TEAL), ("made", made, OCHRE))
        ],
        title="Deviation along the window, its ends included",
        x_label="ms after the image",
        y_label="deviations",
    )


def game_charts(bundle: Bundle, real: Windows, rate_hz: float) -> list[str]:
    """Draw how the autoencoder and the game went, and the spectra that the first epoch made."""
    record = parse_json(bundle.read("training.json"), "training.json", BundleError).get("record", {})
    charts = []
    if game := record.get("game"):
        steps = [row["step"] for row in game]
        for key, name in (("frechet_power", "log power"), ("frechet_waves", "waveforms")):
            charts.append(
                chart(
                    [Line("", steps, [row[key] for row in game], PLUM)],
                    title=f"Fréchet distance of {name} to tested images",
                    x_label="updates of the generator",
                )
            )
    if early := record.get("early"):
        measured = mean_spectrum(real, rate_hz)
        frequency = [4.0 * k + 6 for k in range(len(measured))]
        colours = (GREY, PLUM, OCHRE, "#3b6ea5")
        lines = [
            Line(f"{float(share):.0%} of an epoch", frequency, power, colour, dots=False)
            for (share, power), colour in zip(early.items(), colours, strict=False)
        ]
        lines.append(Line("measured", frequency, measured, TEAL, dots=False))
        charts.append(chart(lines, title="Spectra early in the game", x_label="Hz", y_label="dB"))
    for name in ("signal", "image"):
        rows = [row for row in record.get("pretraining", []) if f"{name}_explained" in row]
        if rows:
            charts.append(
                chart(
                    [Line("", [r["step"] for r in rows], [r[f"{name}_explained"] for r in rows], GREY)],
                    title=f"Pretraining of the {name}'s autoencoder",
                    x_label="updates",
                    y_label="variance explained",
                )
            )
    return charts


def correlation_section(real: Windows, made: Windows) -> str:
    """Return the correlations between channels as two maps side by side."""
    from bci.io.files.page import picture

    maps = np.concatenate([correlations(side) for side in (real, made)], axis=1)
    red, blue = np.clip(maps, 0, 1), np.clip(-maps, 0, 1)
    colours = np.stack([1 - blue, 1 - red - blue, 1 - red], -1)
    pixels = np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8).repeat(12, 0).repeat(12, 1)
    words = "Correlations between channels: measured on the left, made on the right; red 1, white 0, blue −1"
    return f"<figure>{picture(pixels, words)}<figcaption>{escape(words)}.</figcaption></figure>"
