"""The annotation of images as a transform for pipelines of one's own; see docs/python.md."""

from __future__ import annotations

from typing import Any, NamedTuple

import apache_beam as beam

from pipeline.job_settings import ENGINES, Job
from pipeline.records import ImageRecord, Item
from pipeline.stages.decode import DecodeImages
from pipeline.stages.load_network import network_of, with_card
from pipeline.stages.outcomes import Outcome
from pipeline.stages.segment import SegmentImages
from pipeline.stages.write import WriteAndScore
from pipeline.storage.mask_parts import EncodedMask
from pipeline.storage.model_file import content_of_model


class AnnotatedImage(NamedTuple):
    """What an image became.

    Attributes:
        key: As it came in.
        mask: A PNG as large as the upright image: probability x 255, or one bit with a threshold.
        figures: ``width``, ``height``, and what a row of ``metrics/`` says of a mask without truth.
    """

    key: str
    mask: bytes
    figures: dict[str, Any]


class AnnotateImages(beam.PTransform):
    """(key, encoded image) to ``AnnotatedImage``; what fails becomes a ``Failure``.

    Nothing is written. Masks are those of the command with the same settings. Pixels stay within
    the stage, which runners fuse; images and masks are elements, so do not group them.

    Args:
        model: As ``--model``. An ``.onnx`` file needs ``engine="openvino"``.
        image_size: As ``--image_size``.
        batch_size: As ``--batch_size``.
        tta: As ``--tta``.
        precision: As ``--precision``, decided: not ``"auto"``.
        engine: As ``--engine``, decided: ``"keras"`` or ``"openvino"``.
        threshold: As ``--threshold``.
        max_megapixels: As ``--max_megapixels``.
        processes: Worker processes that share the cores of a machine; 0 for one on each core.

    Raises:
        ValueError: A setting is none.
    """

    def __init__(
        self,
        model: str = Job.model,
        *,
        image_size: int = Job.image_size,
        batch_size: int = Job.batch_size,
        tta: str = Job.tta,
        precision: str = Job.precision,
        engine: str = Job.engine,
        threshold: float | None = None,
        max_megapixels: float = Job.max_megapixels,
        processes: int = 1,
    ):
        super().__init__()
        if image_size < 32 or image_size % 32:
            raise ValueError(f"image_size must be a multiple of 32; got {image_size}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}")
        if tta not in ("none", "flip"):
            raise ValueError(f"tta must be 'none' or 'flip'; got {tta!r}")
        if precision not in ("float32", "bfloat16", "float16"):
            raise ValueError(f"precision must be float32, bfloat16 or float16; got {precision!r}")
        if engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"threshold must be in (0, 1]; got {threshold}")
        job = Job(
            output="",
            model=model,
            model_content=content_of_model(model),
            image_size=image_size,
            batch_size=batch_size,
            tta=tta,
            precision=precision,
            engine=engine,
            threshold=threshold,
            max_megapixels=max_megapixels,
            processes=processes,
            # Masks of shards are handed on, and not written where they are made.
            mask_format="tfrecord",
        )
        self.job = with_card(job)

    def expand(self, images) -> Outcome:
        """Decodes, segments, and makes masks of full size."""
        job, window = self.job, 2 * self.job.batch_size
        records = images | "Record" >> beam.MapTuple(_record)
        decoded = records | "Decode" >> DecodeImages(job, window)
        segmented = decoded.results | "Segment" >> SegmentImages(network_of(job), job.batch_size)
        made = segmented.results | "MaskAndDescribe" >> WriteAndScore(job, window)
        failures = (decoded.failures, segmented.failures, made.failures)
        return Outcome(
            made.results | "Result" >> beam.Map(_result),
            failures | "Failures" >> beam.Flatten(),
        )


def _record(key: str, image: bytes) -> ImageRecord:
    return ImageRecord(Item(key, mask=""), image)


def _result(made: EncodedMask) -> AnnotatedImage:
    width, height = made.row.size
    figures = {"width": width, "height": height, **made.row.values}
    return AnnotatedImage(made.row.key, made.mask, figures)
