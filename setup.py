"""Builds `bci._hot` where there is a compiler; all else is in pyproject.toml. ``BCI_PURE=1`` leaves it out."""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel

HOT = Extension(
    "bci._hot",
    ["bci/_hot.c", "bci/_hot_decoder.c"],
    py_limited_api=True,
    extra_compile_args=["-std=gnu11", "-O3", "-ffp-contract=off"],
    libraries=["m", "pthread"],
    optional=True,  # without a compiler, or Python's headers, everything works in Python
)


class Wheel(bdist_wheel):
    """A Wheel is one for any platform where nothing was compiled, although it should have been."""

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags of what was built."""
        self.root_is_pure = not any(Path(self.bdist_dir).glob("bci/_hot*.so"))
        return super().get_tag()


if sys.platform.startswith("linux") and not os.environ.get("BCI_PURE"):
    setup(
        ext_modules=[HOT],
        cmdclass={"bdist_wheel": Wheel},
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
    )
else:
    setup()
