"""All elements to one value."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.combiners import ToListCombineFn

from pipeline.stages.gather import Gather


@pytest.mark.parametrize("elements", [[], [3], [3, 1, 2]])
def test_there_is_one_value_also_of_no_elements(elements):
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        value = pipeline | beam.Create(elements) | Gather(ToListCombineFn())
        assert_that(value | beam.Map(sorted), equal_to([sorted(elements)]))
