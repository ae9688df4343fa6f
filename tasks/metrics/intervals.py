"""95 % intervals, and how many rows a claim needs.

Proportions have score intervals: Wilson (1927) for one, Tango (1998) for the difference of two on
the same rows. Neither has zero width, also not at 0 or 100 %. Ratios of sums (nats per token,
right tokens per token) have percentile bootstraps over rows, seeded; where every row says the same
a bootstrap would collapse to a point, and the stated floor is used instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist

import numpy as np

from tasks.contracts import Measure

__all__ = [
    "mcnemar",
    "paired_proportions",
    "percentile",
    "resampled_sums",
    "rows_to_certify",
    "rows_to_see",
    "wilson",
    "with_floor",
]

#: 1.96: two-sided 95 %.
Z = NormalDist().inv_cdf(0.975)


def wilson(successes: float, trials: int) -> Measure:
    """Return successes / trials with Wilson's score interval.

    Worked example: 97 of 100 gives 0.9155 to 0.9897; 100 of 100 gives 0.9630 to 1.
    """
    p = successes / trials
    share = Z * Z / trials
    middle = (p + share / 2) / (1 + share)
    half = Z * math.sqrt(p * (1 - p) / trials + share / (4 * trials)) / (1 + share)
    return Measure(
        value=p, low=max(0.0, min(p, middle - half)), high=min(1.0, max(p, middle + half))
    )


def paired_proportions(only_tuned: int, only_base: int, rows: int) -> Measure:
    """Return the difference of two proportions on the same rows, with Tango's score interval.

    Tango 1998, "Equivalence test and confidence interval for the difference in proportions for
    the paired-sample design". Without any discordant row it is ± z² / (rows + z²).

    Args:
        only_tuned: Rows that the tuned model has right and the base has not.
        only_base: The reverse.
        rows: All rows.
    """
    difference = (only_tuned - only_base) / rows

    def score(delta: float) -> float:
        return _tango_score(only_tuned, only_base, rows, delta)

    low = _root(lambda delta: score(delta) - Z, -1.0, difference)
    high = _root(lambda delta: score(delta) + Z, difference, 1.0)
    return Measure(value=difference, low=low, high=high)


def _tango_score(b: int, c: int, rows: int, delta: float) -> float:
    """Return the score statistic of H0: difference = delta; falls as delta grows."""
    top = b - c - rows * delta
    if top == 0:
        return 0.0
    first = 2 * rows
    second = -b - c + (2 * rows - b + c) * delta
    third = -c * delta * (1 - delta)
    # The probability of `only_base` that is most likely if the difference is delta.
    likeliest = (math.sqrt(max(0.0, second * second - 4 * first * third)) - second) / (2 * first)
    variance = rows * (2 * likeliest + delta * (1 - delta))
    return top / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, top)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function crosses zero, by halving."""
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return (low + high) / 2


def mcnemar(only_tuned: int, only_base: int) -> float:
    """Return the two-sided p-value of McNemar's exact test; 1 without discordant rows."""
    discordant = only_tuned + only_base
    tail = sum(math.comb(discordant, k) for k in range(min(only_tuned, only_base) + 1))
    return min(1.0, 2 * tail / 2**discordant)


def resampled_sums(
    columns: np.ndarray, samples: int, seed: int, counts: np.ndarray | None = None
) -> np.ndarray:
    """Return the column sums of `samples` bootstrap draws of rows, (samples, columns).

    Args:
        columns: (rows, columns); columns of one row stay together, so comparisons are paired.
        samples: How many draws.
        seed: The same seed gives the same draws.
        counts: How many rows each line of `columns` stands for; None: one.
    """
    generator = np.random.default_rng(seed)
    lines = len(columns)
    rows = lines if counts is None else int(counts.sum())
    shares = np.full(lines, 1 / lines) if counts is None else counts / rows
    return np.concatenate(
        [generator.multinomial(rows, shares, size=n) @ columns for n in _portions(samples, lines)]
    )


def _portions(samples: int, rows: int) -> Iterator[int]:
    """Split the draws so that a count matrix stays near 32 MB."""
    portion = max(1, 4_000_000 // rows)
    for start in range(0, samples, portion):
        yield min(portion, samples - start)


def percentile(value: float, draws: np.ndarray) -> Measure:
    """Return a value with the 2.5th and 97.5th percentile of its draws, which enclose it."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return Measure(value=value, low=min(value, float(low)), high=max(value, float(high)))


def with_floor(measure: Measure, rows: int) -> Measure:
    """Return the measure, at least ± z·|value| / sqrt(rows) wide if its interval collapsed.

    A heuristic for the case that all rows are equal (or there is one): the spread of an
    exponential distribution, whose deviation is its mean. At value 0 it is ± 3 / rows, the rule
    of three.
    """
    if measure.high - measure.low > 1e-9 * abs(measure.value):
        return measure
    half = Z * abs(measure.value) / math.sqrt(rows) or 3 / rows
    return Measure(value=measure.value, low=measure.value - half, high=measure.value + half)


def rows_to_certify(rate: float, requirement: float) -> int | None:
    """Return the rows at which Wilson's lower bound reaches a requirement at an observed rate.

    Closed form of the score test: n = z² q (1 - q) / (p - q)². Worked example: 97 % observed,
    95 % required, 457 rows. None if the rate is not above the requirement.
    """
    if rate <= requirement:
        return None
    return math.ceil(Z * Z * requirement * (1 - requirement) / (rate - requirement) ** 2)


def rows_to_see(difference: float, discordant: float, power: float = 0.8) -> int:
    """Return the rows at which McNemar's test sees a difference, with that power.

    Connor 1987: n = (z sqrt(d) + z' sqrt(d - D²))² / D², D the difference and d the share of
    discordant rows. Worked example: 1 point at 5 % discordant rows, 3,923 rows.
    """
    reach = Z * math.sqrt(discordant)
    reach += NormalDist().inv_cdf(power) * math.sqrt(discordant - difference**2)
    return math.ceil((reach / difference) ** 2)
