"""Blocks: what goes in comes out, grouped as Beam itself would group it."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.stages import blocks
from pipeline.stages.blocks import GroupInBlocks, Pack, unpack
from tests.pipeline.bundles import begun, finished, given


@pytest.mark.parametrize("count", [0, 1, 6, 7, 20])
def test_every_element_is_in_one_block_of_a_bounded_size(monkeypatch, count):
    monkeypatch.setattr(blocks, "MOST", 7)
    stage = begun(blocks._Pack())
    found = given(stage, *range(count))
    found = [unpack(block) for block in [*found, *finished(stage)]]
    assert [element for block in found for element in block] == list(range(count))
    assert all(0 < len(block) <= 7 for block in found)


def test_packed_elements_come_back(monkeypatch):
    monkeypatch.setattr(blocks, "MOST", 3)
    elements = [{"a": number, "key": "\u00e9"} for number in range(10)]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        packed = pipeline | beam.Create(elements) | Pack()
        assert_that(packed | beam.FlatMap(unpack), equal_to(elements))


@pytest.mark.parametrize("waiting", [5, 1000])
def test_groups_are_those_of_a_plain_join(monkeypatch, waiting):
    monkeypatch.setattr(blocks, "WAITING", waiting)
    monkeypatch.setattr(blocks, "BUCKETS", 3)  # So that keys share buckets.
    left = [(f"k{number % 7}\u00e9", number) for number in range(40)]
    right = [(f"k{number % 9}\u00e9", -number) for number in range(20)]
    expected = {}
    for side, pairs in enumerate((left, right)):
        for key, value in pairs:
            expected.setdefault(key, ([], []))[side].append(value)

    def right_groups(found):
        sorted_groups = {key: tuple(map(sorted, values)) for key, values in found}
        assert len(found) == len(sorted_groups)
        assert sorted_groups == {key: tuple(map(sorted, both)) for key, both in expected.items()}

    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        both = (pipeline | "L" >> beam.Create(left), pipeline | "R" >> beam.Create(right))
        assert_that(both | GroupInBlocks(), right_groups)
