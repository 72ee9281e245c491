"""Templates of training files: a decoder of two states for a stream that is there, or one in silico."""

from bci.cli.templates import comment, toml
from bci.signal.types import Signal


def states(name: str, signal: Signal, address: str, file: str) -> str:
    """Return a training file of two states for the channels, the unit and the rate of a stream."""
    block = max(1, round(signal.rate / 10))
    return f"""{
        comment(
            f"Train with: bci train {file} --out bundles/{name}",
            f"For {address}: {len(signal.channels)} channels at {signal.rate:g} Hz. Record each state for a minute, by "
            f"bci record {address} --seconds 60 --name eyes-open, and write the paths below. They start at the data "
            "root: --data FOLDER, else $BCI_DATA, else ../shared/data.",
            f"bci check {file} says what is still to be recorded. Every key: docs/keys.md.",
        )
    }
name = {toml(name)}
seed = 1

# One recording for each end of the latent: state 0, and state 1.
[[recordings]]
path = "eyes-open/recording.xdf"
state = 0
label = "eyes open"

[[recordings]]
path = "eyes-closed/recording.xdf"
state = 1
label = "eyes closed"

# The first half of each is fitted, the other scored.
[split]
train = [0.0, 0.5]
test = [0.5, 1.0]

# Those that carry the rhythm are enough: over the back of the head for alpha.
[signal]
channels = {toml(signal.channels)}
unit = {toml(signal.unit or "uV")}

# An electrode that came off is marked, not decoded.
[[pipeline]]
step = "flat"
seconds = 0.5

# Covariance of the channels in the alpha rhythm (band 0) and in all around it (band 1), one every tenth of a second:
# its diagonal is the power that is read, the rest tells input unlike training.
[[pipeline]]
step = "band_covariance"
bands = [[8.0, 13.0], [2.0, 30.0]]
block = {block}
order = 2

# One second of them, decoded ten times a second.
[window]
length = 10
hop = 1

# Band 0 over band 1, at each channel; what is chosen is chosen on the training part.
[readout]
bands = [0]
reference = 1
single = 0
shrinkage = [0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9]
"""


def in_silico(name: str, file: str, unfit: list[str]) -> str:
    """Return a training file for the simulated participant, which needs no recording."""
    return f"""{
        comment(
            f"Train with: bci train {file} --out bundles/{name}",
            "A simulated participant looks at drawn faces and answers with EEG; a decoder learns to read which face it "
            "was. Nothing that comes of it is a measurement of a brain.",
            f"Try it with: bci check {file}. Every key: docs/keys.md.",
            *unfit,
        )
    }
kind = "hyper-insilico"
name = {toml(name)}
seed = 1

# What draws the faces, by its name; and where those for live sessions are written, from this file's folder.
generator = "dcgan-faces"
stimuli = {toml(f"stimuli/{name}")}

[participant]
modality = "eeg"
subject = 1
# Signal-to-noise ratio of single trials, a ratio of variances.
snr = 0.4

[trials]
train = 1050
test = 24
repeats = 6
runs = 6
stimulus_s = 0.4
blank_s = 0.5

# What is read of each trial, seconds from the flip.
[epoch]
start = 0.04
stop = 0.56

# Slow drifts and what lies above the answers' own band are taken out, and every fifth sample is kept.
[[pipeline]]
step = "band_pass"
low = 0.7
high = 20.0
order = 2

[[pipeline]]
step = "decimate"
factor = 5
order = 4

# readouts: docs/keys.md lists them.
[readout]
name = "ridge"
"""
