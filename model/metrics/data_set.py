"""Statistics of a whole data set, merged from those of its parts.

The result does not depend on order or grouping, to the last digit. For that, every value is rounded
to a multiple of 2^-40 when its image is added, and sums are exact integers. The size of the
statistics does not depend on the number of images.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

DESCRIPTION_MEANS = ("foreground_fraction", "mean_confidence", "uncertain_fraction")
METRIC_MEANS = (
    "mae",
    "s_measure",
    "weighted_f",
    "f_adaptive",
    "e_adaptive",
    "iou",
    "dice",
    "boundary_iou",
    "relaxed_boundary_f",
)

_AVERAGED = DESCRIPTION_MEANS + METRIC_MEANS
_ONE = 2**40
_THRESHOLDS = 256
_NO_CURVE = (0,) * _THRESHOLDS


@dataclass(frozen=True)
class DatasetStatistics:
    """Counts and exact sums over images.

    Attributes:
        images: Number of images.
        empty_masks: Images without a foreground pixel in the predicted mask.
        with_truth: Images that were measured against a ground truth.
        counts: For each averaged key, how many images had a value.
        sums: For each averaged key, the sum of those values x 2^40.
        curves: Images that came with curves.
        f_curve: 256 sums of F-measure x 2^40, by threshold.
        e_curve: 256 sums of E-measure x 2^40, by threshold.
    """

    images: int
    empty_masks: int
    with_truth: int
    counts: tuple[int, ...]
    sums: tuple[int, ...]
    curves: int
    f_curve: tuple[int, ...]
    e_curve: tuple[int, ...]

    @classmethod
    def empty(cls) -> "DatasetStatistics":
        """Returns the statistics of no image, which change nothing when merged."""
        keys, curve = (0,) * len(_AVERAGED), _fixed_point(None)
        return cls(0, 0, 0, counts=keys, sums=keys, curves=0, f_curve=curve, e_curve=curve)

    def add_row(
        self, row: dict, f_curve: np.ndarray | None = None, e_curve: np.ndarray | None = None
    ) -> "DatasetStatistics":
        """Returns these statistics with one image added.

        Args:
            row: What ``pair.describe_mask`` returned and, with a truth, also the values of
                ``pair.compare``; other keys are ignored. A metric that is missing or None is left
                out of its average.
            f_curve: float64 (256,) of the ``pair.Comparison``; None without a truth.
            e_curve: As ``f_curve``.
        """
        values = [row.get(key) for key in _AVERAGED]
        image = DatasetStatistics(
            images=1,
            empty_masks=int(row["empty"]),
            with_truth=int(row.get("mae") is not None),
            counts=tuple(int(value is not None) for value in values),
            sums=tuple(0 if value is None else round(value * _ONE) for value in values),
            curves=int(f_curve is not None),
            f_curve=_fixed_point(f_curve),
            e_curve=_fixed_point(e_curve),
        )
        return self.merge(image)

    def merge(self, other: "DatasetStatistics") -> "DatasetStatistics":
        """Returns the statistics of the images of both; commutative and associative.

        Args:
            other: Statistics of other images.
        """
        return DatasetStatistics(
            images=self.images + other.images,
            empty_masks=self.empty_masks + other.empty_masks,
            with_truth=self.with_truth + other.with_truth,
            counts=tuple(map(add, self.counts, other.counts)),
            sums=tuple(map(add, self.sums, other.sums)),
            curves=self.curves + other.curves,
            # Most images come without curves, and then there is nothing to add.
            f_curve=_added(self.f_curve, other.f_curve) if other.curves else self.f_curve,
            e_curve=_added(self.e_curve, other.e_curve) if other.curves else self.e_curve,
        )

    def result(self) -> dict:
        """Returns the data set's values, JSON-ready.

        They are ``images``, ``empty_masks``, ``with_truth`` and the means of ``DESCRIPTION_MEANS``.
        If any image had a truth, ``metrics`` holds the means of ``METRIC_MEANS`` over such images,
        their number ``images``, and ``max_f``, ``mean_f``, ``max_e`` and ``mean_e``: the maximum
        and the mean, over the thresholds, of the mean curve. A value that no image had is None.
        """
        means = {
            key: _ratio(total, count)
            for key, total, count in zip(_AVERAGED, self.sums, self.counts, strict=True)
        }
        result = {
            "images": self.images,
            "empty_masks": self.empty_masks,
            "with_truth": self.with_truth,
            **{key: means[key] for key in DESCRIPTION_MEANS},
        }
        if self.with_truth:
            result["metrics"] = {
                **{key: means[key] for key in METRIC_MEANS},
                "max_f": _ratio(max(self.f_curve), self.curves),
                "mean_f": _ratio(sum(self.f_curve), self.curves * _THRESHOLDS),
                "max_e": _at_most_one(_ratio(max(self.e_curve), self.curves)),
                "mean_e": _ratio(sum(self.e_curve), self.curves * _THRESHOLDS),
                "images": self.with_truth,
            }
        return result


def merge_all(parts: Iterable[DatasetStatistics]) -> DatasetStatistics:
    """Merges any number of statistics.

    Args:
        parts: The statistics; may be none.
    """
    return reduce(DatasetStatistics.merge, parts, DatasetStatistics.empty())


def _added(curve: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(add, curve, other))


def _fixed_point(curve: np.ndarray | None) -> tuple[int, ...]:
    if curve is None:
        return _NO_CURVE
    # Python integers, since 64 bits would overflow after eight million images.
    return tuple(np.rint(np.asarray(curve) * _ONE).astype(np.int64).tolist())


def _at_most_one(value: float | None) -> float | None:
    """The E-measure, which is divided by N - 1, may pass 1."""
    return value if value is None else min(value, 1.0)


def _ratio(total: int, count: int) -> float | None:
    return total / (count * _ONE) if count else None
