"""Builds `bci/_hot.c` where there is a compiler; all else is in pyproject.toml. ``BCI_PURE=1`` leaves it out."""

import os
import sys

from setuptools import Extension, setup

HOT = Extension(
    "bci._hot",
    ["bci/_hot.c"],
    py_limited_api=True,
    extra_compile_args=["-std=gnu11", "-O3", "-ffp-contract=off"],
    libraries=["m", "pthread"],
    optional=True,  # without a compiler, or Python's headers, everything works in Python
)

if sys.platform.startswith("linux") and not os.environ.get("BCI_PURE"):
    setup(ext_modules=[HOT], options={"bdist_wheel": {"py_limited_api": "cp311"}})
else:
    setup()
