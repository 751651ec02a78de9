"""What files of rows hold: every column with its type, unit, range and source.

Parquet and CSV are written by this table, and ``docs/schema.md`` says the same. P, R: precision and
recall of a binary mask; p: probability; t: truth, 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass

# Types. A box is one list in JSON Lines, and a column for each of ``BOX`` elsewhere.
TEXT, WHOLE, NUMBER, YES_NO, BOX_TYPE = "text", "integer", "number", "true or false", "box"
BOX = ("x", "y", "width", "height")

ALWAYS, WITH_TRUTH = "always", "with truth"


@dataclass(frozen=True)
class Column:
    """A column of a file of rows, or a field of the summary.

    Attributes:
        name: Its name; a field in a field is named behind a dot.
        type: What a value is.
        given: When there is a value. Otherwise JSON Lines leave the name out, or say null where the
            image has none; Parquet has null, and CSV nothing.
        unit: Unit of its numbers, or an empty text.
        least: Smallest number, or None.
        most: Largest number, or None.
        source: Its meaning; of a measure, equation and paper.
    """

    name: str
    type: str
    given: str
    unit: str
    least: float | None
    most: float | None
    source: str

    @property
    def range(self) -> str:
        """The range of its numbers in words."""
        if self.least is None:
            return ""
        return (
            f"{self.least:g} or more" if self.most is None else f"{self.least:g} to {self.most:g}"
        )


def _text(name: str, given: str, source: str) -> Column:
    return Column(name, TEXT, given, "", None, None, source)


def _count(name: str, given: str, unit: str, least: int, source: str) -> Column:
    return Column(name, WHOLE, given, unit, least, None, source)


def _share(name: str, unit: str, source: str, least: float = 0) -> Column:
    return Column(name, NUMBER, ALWAYS, unit, least, 1, source)


def _measure(name: str, source: str) -> Column:
    return Column(name, NUMBER, WITH_TRUTH, "", 0, 1, source)


def _yes_no(name: str, source: str) -> Column:
    return Column(name, YES_NO, ALWAYS, "", None, None, source)


_F = "(1 + b) P R / (b P + R), b = 0.3 (Achanta et al., CVPR 2009)"
_E = (
    "mean of (1 + a)² / 4, a = 2 x y / (x² + y²), x and y mask and truth less their means (Fan et "
    "al., IJCAI 2018)"
)
_ADAPTIVE = "at the threshold of twice the map's mean, at most 1"
_MEAN, _MAX = "mean over the thresholds 0, 1/255, … 1", "largest over these thresholds"

METRICS = (
    _text("key", ALWAYS, "what the image is called"),
    _text("status", ALWAYS, "`ok`, or `bad_truth` if its truth cannot be read or used"),
    _text("mask", ALWAYS, "path of its mask below the output folder; of `--masks`, of that mask"),
    _text(
        "mask_shard",
        "with `--mask_format`",
        "path of the shard that holds the mask; none is at `mask`",
    ),
    _count("width", ALWAYS, "pixels", 1, "of the upright image"),
    _count("height", ALWAYS, "pixels", 1, "of the upright image"),
    _share("foreground_fraction", "share of pixels", "those with p ≥ 0.5"),
    _share("mean_confidence", "probability", "mean of max(p, 1 - p)", least=0.5),
    _share("uncertain_fraction", "share of pixels", "those with 0.1 ≤ p ≤ 0.9"),
    _count("components", ALWAYS, "parts", 0, "8-connected parts of the foreground, p ≥ 0.5"),
    Column(
        "bounding_box",
        BOX_TYPE,
        "unless `empty`",
        "pixels",
        0,
        None,
        "of the foreground, from the upper left corner of the image",
    ),
    _yes_no("touches_border", "whether the foreground reaches the border of the image"),
    _yes_no("empty", "whether no pixel has p ≥ 0.5"),
    _text("guess", "where one was made", "what was guessed of the photo's numbers"),
    _measure("mae", "mean of abs(p - t) (Perazzi et al., CVPR 2012)"),
    _measure(
        "s_measure",
        "0.5 S_object + 0.5 S_region (Fan et al., ICCV 2017)",
    ),
    _measure(
        "weighted_f",
        "2 Pʷ Rʷ / (Pʷ + Rʷ), errors weighted by place (Margolin et al., CVPR 2014)",
    ),
    _measure("f_adaptive", f"{_F}, {_ADAPTIVE}"),
    _measure("f_mean", f"{_F}, {_MEAN}"),
    _measure("f_max", f"{_F}, {_MAX}"),
    _measure("e_adaptive", f"{_E}, {_ADAPTIVE}"),
    _measure("e_mean", f"{_E}, {_MEAN}"),
    _measure("e_max", f"{_E}, {_MAX}"),
    _measure("iou", "intersection / union of p ≥ 0.5 and truth (Jaccard)"),
    _measure("dice", "2 intersection / (sum of both areas), of p ≥ 0.5 and truth (Dice)"),
    _measure(
        "boundary_iou",
        "IoU of the inner boundaries, 2 % of the diagonal wide (Cheng et al., CVPR 2021)",
    ),
    _measure(
        "relaxed_boundary_f",
        "(1 + b) P R / (b P + R), b = 0.3, of boundaries that may be 3 pixels apart (Qin et al., "
        "CVPR 2019)",
    ),
    _text("truth_error", "with `bad_truth`", "why the truth cannot be read or used"),
)

FAILURES = (
    _text("key", ALWAYS, "what the image is called; the path of a file whose images have no keys"),
    _text("stage", ALWAYS, "`index`, `read`, `decode`, `segment`, `write` or `score`"),
    _text("reason", ALWAYS, "a short code to count by"),
    _text("message", ALWAYS, "one line of at most 200 characters"),
)

SUMMARY = (
    _count("images", ALWAYS, "images", 0, "masks and failures; a lost shard counts as one"),
    _count("masks", ALWAYS, "images", 0, "images with a mask and a row"),
    _count("failed", ALWAYS, "images", 0, "rows in `failures/`"),
    _count("failures.REASON", "where there are some", "images", 1, "failures by reason"),
    _count("lost_shards", ALWAYS, "shards", 0, "could not be read, or not to their end"),
    _count("bad_truths", ALWAYS, "images", 0, "rows of status `bad_truth`"),
    _count("notes.KIND.count", "where there are some", "cases", 1, "what was passed over, by kind"),
    _text("notes.KIND.example", "where there are some", "path of one case"),
    _count("empty_masks", ALWAYS, "images", 0, "masks without a pixel of p ≥ 0.5"),
    _count("with_truth", ALWAYS, "images", 0, "rows that were measured against a truth"),
    *(
        Column(
            each.name, NUMBER, "unless there is no mask", each.unit, each.least, each.most, "mean"
        )
        for each in METRICS
        if each.name in ("foreground_fraction", "mean_confidence", "uncertain_fraction")
    ),
    *(
        Column(f"metrics.{each.name}", NUMBER, WITH_TRUTH, "", 0, 1, "mean")
        for each in METRICS
        if each.given == WITH_TRUTH and not each.name.endswith(("_mean", "_max"))
    ),
    _measure("metrics.max_f", "the mean F-measure of all images at the best threshold for all"),
    _measure("metrics.mean_f", "mean of that curve"),
    _measure("metrics.max_e", "the mean E-measure of all images at the best threshold for all"),
    _measure("metrics.mean_e", "mean of that curve"),
    _count("metrics.images", WITH_TRUTH, "images", 1, "`with_truth`"),
)
