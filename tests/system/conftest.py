"""What several system tests read: one session that was run and recorded once."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sessions import Done, bci

BUNDLE = Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha"


@pytest.fixture(scope="session")
def kept_session(eegmmidb: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Run the alpha decoder over the whole of S001R02 at ten times its speed, once; no test may change it."""
    folder = tmp_path_factory.mktemp("recorded")
    config = folder / "session.toml"
    config.write_text(
        f'name = "recorded"\nnetwork = "machine"\n'
        f'[source]\nkind = "replay"\nfile = {json.dumps(str(eegmmidb / "S001R02.edf"))}\nspeed = 10\n'
        f'[decoder]\nbundle = {json.dumps(str(BUNDLE))}\naudit = true\n[display]\nkind = "headless"\n'
    )
    done = bci("run", config, "--out", folder / "sessions", "--json")
    assert done.status == 0, done.words
    return done


@pytest.fixture
def recorded_session(kept_session: Done, tmp_path: Path) -> Done:
    """Give a copy of the recorded session that a test may spoil."""
    folder = tmp_path / "copied"
    shutil.copytree(kept_session.folder, folder)
    return replace(kept_session, result=kept_session.result | {"session": str(folder)})
