"""Which rows a report shows: bounded, and the same however rows come."""

import numpy as np

from pipeline.report.galleries import GALLERIES, IMAGES, Picks
from tests.pipeline.report.rows import ROWS, keys


def picks_of(rows):
    picks = Picks()
    for one in rows:
        picks.add(one)
    return picks


def names(picks):
    return {name: keys(rows) for name, rows in picks.rows().items()}


def test_any_grouping_picks_the_same():
    whole = names(picks_of(ROWS))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        parts = np.split(rng.permutation(len(ROWS)), np.sort(rng.integers(0, len(ROWS), 3)))
        assert names(Picks().merge(picks_of([ROWS[n] for n in part]) for part in parts)) == whole


def test_each_gallery_has_the_first_by_its_order():
    picked = names(picks_of(ROWS))
    assert picked.keys() == {gallery.name for gallery in GALLERIES}
    assert all(len(rows) <= IMAGES for rows in picked.values())
    by_key = {one.key: one.values for one in ROWS}

    def first(name, sign=1, among=lambda values: True):
        wanted = [key for key, values in by_key.items() if name in values and among(values)]
        return sorted(wanted, key=lambda key: (sign * by_key[key][name], key))[:IMAGES]

    assert picked["worst_iou"] == first("iou")
    assert picked["best_iou"] == first("iou", -1)
    assert picked["uncertain"] == first("mean_confidence")
    assert picked["empty"] == first("mean_confidence", among=lambda values: values["empty"])
    assert picked["full"] == first(
        "foreground_fraction", -1, lambda values: values["foreground_fraction"] >= 0.9
    )
    assert picked["parts"] == first("components", -1, lambda values: values["components"] > 1)
    assert all(by_key[key]["touches_border"] for key in picked["border"])
    assert len(set(picked["random"]) - set(sorted(by_key)[:IMAGES])) > 3


def test_what_is_kept_holds_no_counts_of_levels():
    rows = [row for rows in picks_of(ROWS).rows().values() for row in rows]
    assert all(row.level_counts is None for row in rows)
