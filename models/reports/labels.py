"""Labels state which generated pictures show which attribute, so that boundaries among latents can be fitted.

A generator that started from attributes says in ``attributes.json`` along which direction of its latents each lies:
the answer is known. One that learned drawn faces otherwise is asked through its pictures, by linear classifiers that
were fitted on drawn faces.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bci.errors import BundleError
from bci.io.files.regular import read_json
from models.generators.package import GeneratorPackage

Draw = Callable[[NDArray[Any]], NDArray[np.uint8]]

#: Attributes that are read, and how reports call them.
ATTRIBUTES = {
    "eyeglasses": "eyeglasses",
    "smile": "smile",
    "beard": "beard",
    "hair_length": "long hair",
    "age": "age",
    "skin_tone": "dark skin",
    "yaw": "pose (yaw)",
    "mouth_open": "open mouth",
}
_TABLE = "attributes.json"
_FACES = 1500


@dataclass(frozen=True, eq=False)
class Labels:
    """A Labels holds latents and the labels of their pictures.

    Attributes
    ----------
    latents : (n, d) float32
        Theirs.
    present : mapping of str to (n,) bool
        Which of them show an attribute.
    directions : mapping of str to (d,) float64
        Where an attribute truly lies, of those where that is known.
    how : str
        Where labels come from, in words.
    """

    latents: NDArray[np.float32]
    present: dict[str, NDArray[np.bool_]]
    directions: dict[str, NDArray[np.float64]]
    how: str


def label(package: GeneratorPackage | None, draw: Draw, n: int = 1500, seed: int = 0) -> Labels | str:
    """Draw latents and label them.

    Parameters
    ----------
    package : GeneratorPackage, optional
        The generator's.
    draw : callable
        Draws latents as the decoder does.
    n : int
        Number of latents.
    seed : int
        Of the latents, which no test picture has, and of the faces that classifiers learn from.

    Returns
    -------
    Labels, or str
        Why there are none.
    """
    if package is None:
        return "the generator's package is not at hand, so the attributes of its pictures are unknown"
    latents = np.random.default_rng([seed, 77]).standard_normal((n, package.spec.latent)).astype(np.float32)
    if _TABLE in package.spec.files:
        return _known(package, latents)
    pictures: Any = package.spec.provenance.config.get("pictures", {})
    if not isinstance(pictures, dict) or pictures.get("source") != "faces":
        return f"{package.spec.name} did not learn drawn faces: the attributes of its pictures are unknown"
    return _asked(package, draw, latents, seed)


def _known(package: GeneratorPackage, latents: NDArray[np.float32]) -> Labels:
    from models.drawings import face as faces

    table = read_json(package.folder / _TABLE, BundleError)
    of = {attribute.name: attribute for attribute in faces.ATTRIBUTES}
    directions, present = {}, {}
    for key, name in ATTRIBUTES.items():
        if key in table and key in of:
            direction = np.asarray(table[key], np.float64)
            rare = of[key].kind in ("switch", "partly")
            # A switch is on in the share of pictures with the highest scores; else the upper half has it.
            directions[name] = direction
            present[name] = latents @ direction > (ndtri(1 - of[key].share) if rare else 0.0)
    return Labels(
        latents, present, directions, "the directions along which the generator was told each attribute"
    )


def _asked(package: GeneratorPackage, draw: Draw, latents: NDArray[np.float32], seed: int) -> Labels:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    from models.drawings.face import NAMES, draw_faces
    from models.generators.features import edges_and_colours
    from models.generators.quality import QUESTIONS

    known = draw_faces(_FACES, seed=seed + 4096, size=package.spec.image.height)
    learned, asked = edges_and_colours(known.images), edges_and_colours(draw(latents))
    present = {}
    for key, no, yes, _ in QUESTIONS:
        if key in ATTRIBUTES:
            value = known.attributes[:, NAMES.index(key)]
            sure = (value <= no) | (value >= yes)
            classifier = make_pipeline(StandardScaler(), LinearSVC(C=0.003, random_state=seed, max_iter=5000))
            classifier.fit(learned[sure], value[sure] >= yes)
            present[ATTRIBUTES[key]] = np.asarray(classifier.predict(asked), bool)
    how = f"linear classifiers of edges and colours, fitted on {_FACES} drawn faces"
    return Labels(latents, present, {}, how)
