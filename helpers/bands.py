"""Bands: the interval in which each result is expected, and the verdict that tells a reader so.

`bands.json` holds them by data set and result. They are measured, not chosen: `make bands` trains
every network with 20 seeds, and each band says with how many it was measured. A band is the mean
plus and minus four standard deviations, more if there were fewer seeds (benchmarks/bands.py), and
is written nowhere else.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BANDS_FILE = Path(__file__).with_name("bands.json")


@dataclass(frozen=True)
class Band:
    """Mean and standard deviation of one result, in percent, over trainings with many seeds.

    What varies by factors (`in_logs`) is measured on the scale of log(1 + result): `sd` is that of
    the logarithms, and `mean` what their mean stands for.
    """

    mean: float
    sd: float
    seeds: int
    in_logs: bool = False
    width: float = 4.0  # standard deviations on each side

    @property
    def low(self) -> float:
        """The lower end: `width` standard deviations down, rounded outwards to 0.1."""
        return max(math.floor(self._tenths(-self.width)) / 10, 0.0)

    @property
    def high(self) -> float:
        """The upper end: `width` standard deviations up, rounded outwards to 0.1."""
        return min(math.ceil(self._tenths(self.width)) / 10, 100.0)

    def _tenths(self, deviations: float) -> float:
        end = self.mean + deviations * self.sd
        if self.in_logs:
            end = math.expm1(math.log1p(self.mean) + deviations * self.sd)
        return round(10 * end, 6)  # so that a binary fraction's last bit can't move an end by 0.1

    def verdict(self, name: str, value: float) -> str:
        """Say in one line how `value` lies: "<name>: <value> %, expected <low> to <high>: ok"."""
        unit = "points" if name.endswith("gap") else "%"  # a difference of percentages
        if self.low <= round(value, 2) <= self.high:
            word = "ok"
        else:
            word = "TOO HIGH" if value > self.high else "TOO LOW"
        return f"{name}: {value:.2f} {unit}, expected {self.low:.1f} to {self.high:.1f}: {word}"


@cache
def load_bands() -> dict[str, dict[str, Band]]:
    """Return every band by data set ("MNIST", "stand-in", …), then by the result's name."""
    content = json.loads(BANDS_FILE.read_text(encoding="utf-8"))
    return {
        source: {name: Band(**values) for name, values in bands.items()}
        for source, bands in content.items()
    }


def verdict(name: str, value: float, source: str) -> None:
    """Print how the result called `name`, in percent, lies in its band on the data set `source`.

    Raises KeyError if no band of that name was measured on that data set.
    """
    bands = load_bands().get(source, {})
    if name not in bands:
        known = ", ".join(bands) or "none"
        raise KeyError(f"no band called {name!r} was measured on {source}; there are: {known}.")
    print(bands[name].verdict(name, value))
