"""Is a series of measurements flat? Pure.

The first part of a run fills caches and pools and is left out. What is left is cut into three; the medians of the first
and the last third are compared. Medians do not mind single peaks, and what grows for ever grows within minutes too: the
middles of those thirds are half of the run apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

WARM_UP = 0.25  # of the samples
SAMPLES_MIN = 12  # with fewer nothing can be said
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much the last third's median may be above the first third's: by share of it, plus a fixed part."""

    share: float
    fixed: float
    why: str


@dataclass(frozen=True, slots=True)
class Trend:
    """What became of a series. `early`, `middle` and `late` are medians of thirds."""

    name: str
    early: float
    middle: float
    late: float
    allowed: float
    flat: bool


def trend(name: str, values: Sequence[float], tolerance: Tolerance) -> Trend:
    """Compare the thirds. Raises ValueError when there are too few samples."""
    if len(values) < SAMPLES_MIN:
        raise ValueError(f"{name}: {len(values)} samples; {SAMPLES_MIN} are needed")
    steady = values[int(len(values) * WARM_UP) :]
    third = len(steady) // 3
    early, middle, late = median(steady[:third]), median(steady[third:-third]), median(steady[-third:])
    allowed = early * (1 + tolerance.share) + tolerance.fixed
    return Trend(name, early, middle, late, allowed, late <= allowed)


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """The series as a line of blocks, from its lowest to its highest value."""
    if not values:
        return ""
    step = max(1, -(-len(values) // width))
    shown = [median(values[start : start + step]) for start in range(0, len(values), step)]
    low, high = min(shown), max(shown)
    return "".join(BARS[int((value - low) / (high - low) * 7.999)] if high > low else BARS[0] for value in shown)
