"""Second-order sections: the design of recursive filters, and the loop that runs them.

They are SciPy's: the same arithmetic as `scipy.signal.butter` and `iirnotch` with ``output="sos"``, and its compiled
loop, so the same bits. Only its package is not imported: `scipy.signal` brings `scipy.stats` and most else of SciPy,
which costs every program that filters a second of its start and 60 MB. The tests compare the two.

Sources: Butterworth's poles, the bilinear transform and its prewarping: Oppenheim and Schafer, Discrete-Time Signal
Processing, ch. 7; the notch: Orfanidis, Introduction to Signal Processing, ch. 11.
"""

import math
from collections.abc import Callable
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray

#: (sections, 6) float64: b0, b1, b2, a0 = 1, a1, a2 of each.
Sections = NDArray[np.float64]

Passes = Literal["lowpass", "highpass", "bandpass"]

Roots = NDArray[np.complex128]

#: Roots whose imaginary part is smaller than this share of them are real.
_REAL = 100 * float(np.finfo(np.float64).eps)

#: Twice the rate at which filters are designed, after frequencies were divided by the real one.
_RATE = 4.0


def butterworth(order: int, edges: float | tuple[float, float], kind: Passes, rate: float) -> Sections:
    """Design a Butterworth filter.

    Parameters
    ----------
    order : int
        Of each edge.
    edges : float or (low, high)
        Hertz, above 0 and below half the rate; two for a band-pass.
    kind : str
        What passes.
    rate : float
        Samples per second.
    """
    # The bilinear transform bends the frequency axis: edges are bent the other way first.
    warped = _RATE * np.tan(np.pi * (np.asarray(edges, np.float64) / (rate / 2)) / 2.0)
    angles = np.pi * np.arange(1 - order, order, 2, dtype=np.float64)
    poles = -np.exp(1j * angles / (2 * order))
    if kind == "lowpass":
        zeros, gain, poles = np.empty(0), float(warped) ** order, float(warped) * poles
    elif kind == "highpass":
        gain = float(np.real(1.0 / np.prod(-poles)))
        zeros, poles = np.zeros(order), float(warped) / poles
    else:
        width, middle = float(warped[1] - warped[0]), float(np.sqrt(warped[0] * warped[1]))
        half = poles * width / 2
        apart = np.sqrt(half**2 - middle**2)
        zeros, gain, poles = np.zeros(order), width**order, np.concatenate((half + apart, half - apart))
    return _bilinear(zeros, poles, gain)


def notch(frequency: float, quality: float, rate: float) -> Sections:
    """Design a second-order notch at `frequency` hertz, `quality` times narrower than that, for `rate` per second."""
    at = 2 * float(frequency) / rate
    width = math.tan(at / float(quality) * np.pi / 2.0)
    gain = 1.0 / (1.0 + width)
    turn = math.cos(at * np.pi)
    zeros = np.roots(gain * np.array([1.0, -2.0 * turn, 1.0]) / gain)
    poles = np.roots(np.array([1.0, -2.0 * gain * turn, 2.0 * gain - 1.0]))
    return _in_pairs(zeros, poles, gain)


def poles_of(sections: Sections) -> Roots:
    """Return the poles of a filter."""
    return np.concatenate([np.roots(section[3:]).astype(np.complex128) for section in sections])


def _bilinear(zeros: NDArray[Any], poles: Roots, gain: float) -> Sections:
    """Return the digital filter of an analogue one; its zeros at infinity go to half the rate."""
    gain *= float(np.real(np.prod(_RATE - zeros) / np.prod(_RATE - poles)))
    at_half = -np.ones(len(poles) - len(zeros))
    zeros = np.concatenate(((_RATE + zeros) / (_RATE - zeros), at_half))
    return _in_pairs(zeros, (_RATE + poles) / (_RATE - poles), gain)


def _in_pairs(zeros: NDArray[Any], poles: NDArray[Any], gain: float) -> Sections:
    """Share out as many zeros as poles over sections: the pole nearest to the unit circle last, each with its zeros.

    Of complex pairs one is held, and stands for both.
    """
    if len(poles) % 2:
        zeros, poles = np.append(zeros, 0.0), np.append(poles, 0.0)
    count = len(poles) // 2
    sections = np.zeros((count, 6))
    left, zeros = _halved(poles), _halved(zeros)
    for place in reversed(range(count)):
        pole, left = _taken(left, np.abs(1 - np.abs(left)))
        if pole.imag:
            pair = [pole, pole.conj()]
        else:
            real = np.where(left.imag == 0, np.abs(1 - np.abs(left)), np.inf)
            other, left = _taken(left, real)
            pair = [pole, other]
        zero, zeros = _taken(zeros, np.abs(zeros - pole))
        if zero.imag:
            near = [zero, zero.conj()]
        else:
            second, zeros = _taken(zeros, np.where(zeros.imag == 0, np.abs(zeros - pole), np.inf))
            near = [zero, second]
        sections[place, :3], sections[place, 3:] = _polynomial(near), _polynomial(pair)
    sections[0, :3] *= gain
    return sections


def _taken(roots: Roots, distances: NDArray[np.float64]) -> tuple[np.complex128, Roots]:
    """Return the root that is nearest, and the others."""
    at = int(np.argmin(distances))
    return roots[at], np.delete(roots, at)


def _polynomial(roots: list[np.complex128]) -> NDArray[np.float64]:
    """Return the coefficients of the polynomial with two roots, both real or conjugate."""
    if all(root.imag == 0 for root in roots):
        return np.asarray(np.poly(np.real(roots)), np.float64)
    return np.asarray(np.real(np.poly(roots)), np.float64)


def _halved(roots: NDArray[Any]) -> Roots:
    """Return one of each complex pair, its rounding shared with the other, then the real roots; by their real parts."""
    roots = np.asarray(roots, np.complex128)
    roots = roots[np.lexsort((np.abs(roots.imag), roots.real))]
    real = np.abs(roots.imag) <= _REAL * np.abs(roots)
    pairs = roots[~real]
    upper, lower = pairs[pairs.imag > 0], pairs[pairs.imag < 0]
    # Real parts that are equal but for their rounding: within such a run the imaginary part orders.
    begins = np.flatnonzero(np.diff(upper.real) > _REAL * np.abs(upper[:-1])) + 1
    for run in np.split(np.arange(len(upper)), begins):
        for half in (upper, lower):
            half[run] = half[run][np.argsort(np.abs(half[run].imag), kind="stable")]
    return np.concatenate(((upper + lower.conj()) / 2, roots[real].real))


#: Filters rows of samples in place, float64: (sections, 6), (rows, n), and the state (rows, sections, 2).
Loop = Callable[[Sections, NDArray[np.float64], NDArray[np.float64]], object]


@cache
def section_loop() -> Loop:
    """Return SciPy's compiled loop; through `scipy.signal` where it does not lie where it always lay."""
    found = PathFinder.find_spec("_sosfilt", [str(Path(scipy.__file__).parent / "signal")])
    if found is None or found.loader is None:
        return through_scipy
    module = module_from_spec(found)
    found.loader.exec_module(module)
    loop: Loop | None = getattr(module, "_sosfilt", None)
    return through_scipy if loop is None else loop


def through_scipy(sections: Sections, rows: NDArray[np.float64], state: NDArray[np.float64]) -> None:
    """Do what the loop does by SciPy's public function."""
    filtered, after = scipy.signal.sosfilt(sections, rows, axis=-1, zi=np.moveaxis(state, 1, 0))
    rows[:], state[:] = filtered, np.moveaxis(after, 0, 1)
