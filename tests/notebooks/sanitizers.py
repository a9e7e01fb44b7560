"""What strict nbval may overlook: digits that differ between machines and data sets, never words.

nbval compares a cell's printed text with the committed text exactly, after both went through these
replacements. A verdict is replaced only if its value lies in its band, so a result out of band,
like any changed word, stays different and fails.
"""

import re
from collections.abc import Callable

from nbval.plugin import get_sanitize_patterns

from helpers.bands import Band, load_bands

SIZES = "50,000 training, 10,000 validation, 10,000 test images"

# Each replacement is kept free of spaces at its end, which nbval would silently drop.
PATTERNS = {
    "which data": (rf"(?s)(Data: MNIST - {SIZES}|!{{88}}\n! Data: NOT MNIST.*!{{88}})", "DATA"),
    "device": (r"Device: (cpu|cuda|mps|xpu)\b", "Device: any"),
    "epoch": (
        r"(epoch +\d+): loss \d+\.\d{4}, training \d{1,3}\.\d\d %, validation \d{1,3}\.\d\d %",
        r"\1",
    ),
    # The logits are 32-bit numbers, whose rounding differs between CPUs.
    "logits": (
        r"logits: (exact|approximate), "
        r"relative difference (0\.0e\+00|\d\.\de-(0[6-9]|[1-9]\d)), (right|close)",
        "logits: RIGHT",
    ),
    "gradient": (r"relative difference (0\.0e\+00|\d\.\de-(0[89]|[1-9]\d)), right", "RIGHT"),
    "first label": (r"\[[01. ]+\] for the digit \d", "ONE-HOT"),
    "untrained loss": (r"untrained network: [23]\.\d\d nats", "LOSS"),
    "gap": (r"is \d\.\d points better (.*) only \d\.\d points", r"is better \1 only less"),
    "hard digit": (r"digit \d: \d\d\.\d % right, most often taken for \d \(\d+ images\)", "DIGIT"),
    "hard for sure": (
        r"\d is right in \d\d\.\d % of [\d,]+ images, . \d\.\d points (.*): (none|\d(, \d)*)\.",
        r"DIGIT is right in PERCENT \1: DIGITS.",
    ),
    "said untrained": (r"result: \d, for [\d,]+ of [\d,]+ images", "result: DIGIT for IMAGES"),
    "guessed result": (r"result: (\d+\.\d %|by \d+\.\d points|\d(?![\d., ]))", "result: NUMBER"),
    "apart": (r"differ by at most \d\.\de[+-]\d\d", "differ by APART"),
    "saturated": (r"\b(9\d|100)\.\d % of the hidden", "PERCENT of the hidden"),
    "mistakes left": (r"hidden units makes [1-9]\d\b", "hidden units makes FEWER"),
    "lead": (r"better by \d\.\d points", "better by POINTS"),
    "passed": (r"after epoch \d{1,2}\.", "after epoch N."),
    "blank pixels": (r"\b\d{1,3} of 784 pixels", "PIXELS"),
    "place of the page": (r"[\w./%-]*/playground\.html", "playground.html"),
    "revealed share": (r"(The result:) \d{1,3}\.\d %", r"\1 PERCENT"),
    "revealed count": (r"(?m)(The result:) \d[\d,]*$", r"\1 NUMBER"),
    "black maps": (r"(The result:) \d+ of 22 \(\d+ in", r"\1 SOME of 22 (SOME in"),
    "progress bar": (r" *\d+%\|.*\| *\d+/\d+ \[.*\]", "BAR"),
}


def band_pattern(name: str, band: Band) -> str:
    """Return a pattern that matches only the verdict "ok" with a value from low to high."""
    tenths = range(round(10 * band.low), round(10 * band.high))
    values = [rf"{tenth // 10}\.{tenth % 10}\d" for tenth in tenths]
    values.append(re.escape(f"{band.high:.2f}"))
    expected = re.escape(f"expected {band.low:.1f} to {band.high:.1f}: ok")
    return rf"{re.escape(name)}: ({'|'.join(values)}) (%|points), {expected}"


def sanitizer_file() -> str:
    """Return the text for --nbval-sanitize-with: the patterns above and one for every band."""
    patterns = dict(PATTERNS)
    for source, bands in load_bands().items():
        for name, band in bands.items():
            patterns[f"{source}: {name}"] = (band_pattern(name, band), f"{name}: IN BAND")
    return "".join(
        f"[{title}]\nregex: {regex}\nreplace: {replacement}\n\n"
        for title, (regex, replacement) in patterns.items()
    )


def sanitizer() -> Callable[[str], str]:
    """Return what nbval does to every text before it compares."""
    patterns = [(re.compile(regex), to) for regex, to in get_sanitize_patterns(sanitizer_file())]

    def sanitize(text: str) -> str:
        for regex, replacement in patterns:
            text = regex.sub(replacement, text)
        return text

    return sanitize
