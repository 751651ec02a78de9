"""All elements to one value, also where there are none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from pipeline.stages.blocks import pack, unpack


class Gather(beam.PTransform):
    """Elements to what a ``CombineFn`` makes of them: one value, of no elements its value of none.

    ``CombineGlobally`` hands its value on as a side input, to see whether there is one. Here it is
    grouped with an empty entry instead, as lists of rows should not be side inputs.

    Args:
        combine: The ``CombineFn``.
    """

    def __init__(self, combine: beam.CombineFn):
        super().__init__()
        self.combine = combine

    def expand(self, elements):
        """Combines, and puts the value of no elements where there is none."""
        combine = self.combine
        found = (
            elements
            | "Combine" >> beam.CombineGlobally(combine).without_defaults()
            | "Found" >> beam.Map(lambda value: (0, pack([value])))
        )
        seed = elements.pipeline | "Seed" >> beam.Create([(0, pack([]))])
        return (
            (found, seed)
            | beam.Flatten()
            | beam.GroupByKey()
            | "Value" >> beam.MapTuple(lambda _, blocks: _value(blocks, combine))
        )


def _value(blocks: Iterable[bytes], combine: beam.CombineFn) -> Any:
    found = [value for block in blocks for value in unpack(block)]
    return found[0] if found else combine.extract_output(combine.create_accumulator())
