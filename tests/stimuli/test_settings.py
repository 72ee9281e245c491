import pytest
from pydantic import ValidationError

from bci.config.display import DisplaySettings
from bci.errors import ConfigError
from stimuli.display.settings import DisplaySpec


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"feeds": [{"hop_seconds": 0.5}]}, 1.5),
        ({"feeds": [{"hop_seconds": 0.01}]}, 0.25),
        ({"feeds": [{"hop_seconds": 0.5}], "fresh_for": 0.125}, 0.125),
    ],
)
def test_a_picture_is_fresh_for_three_hops_or_a_quarter_second_unless_the_session_says(told, seconds):
    spec = DisplaySpec.of(told)
    assert spec.fresh_seconds(spec.feeds[0]) == seconds


def test_a_stream_is_silent_after_three_samples_or_half_a_second_unless_the_session_says():
    assert DisplaySettings().data_age_seconds_at(1 / 1000) == 0.5
    assert DisplaySettings().data_age_seconds_at(1.5) == 4.5
    assert DisplaySettings(data_age_limit=2.0).data_age_seconds_at(1.5) == 2.0
    with pytest.raises(ConfigError, match=r"longer than the 1\.5 s from sample to sample, came 0\.5 s"):
        DisplaySettings(data_age_limit=0.5).data_age_seconds_at(1.5)


def test_freshness_without_a_hop_or_a_setting_is_refused():
    with pytest.raises(ConfigError, match="fresh_for is not set"):
        DisplaySpec.of({})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("fullscreen", True),
        ("refresh_hz", 5),
        ("refresh_hz", float("nan")),
        ("background", 256),
        ("image_deg", 0),
        ("fresh_for", float("inf")),
        ("size_px", (800,)),
        ("gamma", -1.0),
        ("gamma", (0,) * 255),
        ("photodiode_corner", "middle"),
        ("kind", "hologram"),
    ],
)
def test_a_wrong_key_or_value_is_named(key, value):
    with pytest.raises(ConfigError, match=key):
        DisplaySpec.of({"feeds": [{"hop_seconds": 0.1}], key: value})


def test_settings_survive_the_way_through_a_spec():
    settings = DisplaySettings(kind="headless", monitor="DP-1", gamma=2.2, size_px=(320, 200))
    spec = DisplaySpec.of(settings.model_dump(exclude={"decoders"}) | {"feeds": [{"hop_seconds": 0.1}]})
    assert {key: getattr(spec, key) for key in settings.model_dump()} == settings.model_dump()


def test_settings_cannot_change_during_a_run():
    with pytest.raises(ValidationError, match="frozen"):
        DisplaySettings().background = 0
