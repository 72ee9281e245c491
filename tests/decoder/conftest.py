"""What the tests of bundles and decoders share: small true bundles with known answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import tiny_bundle

from bci.decoder.bundle import Bundle


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Bundle]:
    """Give `tiny_bundle` bound to a folder of this test; each call replaces the bundle there."""

    def make(**options: Any) -> Bundle:
        return tiny_bundle(tmp_path / "tiny", **options)

    return make
