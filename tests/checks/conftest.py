"""What all tests of the checks share."""

import pytest

from checks import diagnosis


@pytest.fixture(autouse=True)
def _time_for_slow_processors(monkeypatch):
    """Let a search for a cause take three times as long: what it finds is tested, not how fast."""
    monkeypatch.setitem(diagnosis.SECONDS, False, 3 * diagnosis.SECONDS[False])
    monkeypatch.setattr(diagnosis, "PAIRS", 2 * diagnosis.PAIRS)
    monkeypatch.setattr(diagnosis, "WHOLE", 3 * diagnosis.WHOLE)
