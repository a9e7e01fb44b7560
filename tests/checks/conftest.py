"""What all tests of the checks share."""

import pytest

from checks import diagnosis


@pytest.fixture(autouse=True)
def _time_for_slow_processors(monkeypatch):
    """Let a search for causes take three times as long: what it finds is tested, not how fast."""
    for known, seconds in diagnosis.SECONDS.items():
        monkeypatch.setitem(diagnosis.SECONDS, known, 3 * seconds)
    for name in ("PAIRS", "ANOTHER"):
        monkeypatch.setattr(diagnosis, name, 3 * getattr(diagnosis, name))
