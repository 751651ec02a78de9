"""Rows and failures to files."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from pipeline.stages.blocks import Pack, place_blocks, unpack
from pipeline.storage.files import write_file
from pipeline.storage.row_files import encode_rows

# About so many lines in a file: as many as a worker can sort in memory.
LINES = 50_000


class WriteLines(beam.PTransform):
    """Records with ``key`` and ``to_json`` to files, in the order of their keys.

    What is written depends on the records alone, not on how a runner groups them.

    Args:
        output: The output folder.
        name: Name of the folder below it and of the files in it, up to their numbers.
        kind: Of the files, as for ``encode_rows``; all but ``"jsonl"`` are for rows of metrics.
    """

    def __init__(self, output: str, name: str, kind: str = "jsonl"):
        super().__init__()
        self.output = output
        self.name = name
        self.kind = kind

    def expand(self, records):
        """Writes at least one file; for no records one without rows."""
        lines = records | "Line" >> beam.Map(lambda record: (record.key, record.to_json()))
        blocks = lines | "Pack" >> Pack()
        files = (
            blocks
            | "Size" >> beam.Map(lambda block: len(unpack(block)))
            | "Count" >> beam.CombineGlobally(sum)
            | "Files" >> beam.Map(_file_count)
        )
        # Each file has a seed, so that one without a line is written, too.
        seeds = files | "Seed" >> beam.FlatMap(lambda count: [(n, None) for n in range(count)])
        placed = blocks | "Place" >> beam.FlatMap(place_blocks, AsSingleton(files))
        return (
            (seeds, placed)
            | beam.Flatten()
            | beam.GroupByKey()
            | "Write"
            >> beam.Map(_write_lines, AsSingleton(files), self.output, self.name, self.kind)
        )


def _file_count(lines: int) -> int:
    return max(1, -(-lines // LINES))


def _write_lines(group: tuple, files: int, output: str, name: str, kind: str) -> None:
    number, blocks = group
    lines = sorted(line for block in blocks if block is not None for line in unpack(block))
    path = f"{name}/{name}-{number:05d}-of-{files:05d}.{kind}"
    write_file(output, path, encode_rows([line for _, line in lines], kind))
