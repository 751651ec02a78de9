"""What is to be done, and what a job writes below its output folder."""

from __future__ import annotations

from dataclasses import dataclass

MASKS = "masks"
METRICS = "metrics"
FAILURES = "failures"
SUMMARY = "summary.json"
OUTPUTS = (MASKS, METRICS, FAILURES, SUMMARY)


@dataclass(frozen=True)
class Job:
    """Values, checked.

    Attributes:
        output: The output folder.
        inputs: Patterns of images and shards; unused with ``masks``.
        input_format: ``"auto"``, ``"tfrecord"`` or ``"images"``.
        truth: Pattern of ground truth of image files, or None.
        masks: Pattern of existing masks to score instead of running a model, or None.
        model: A preset or a Keras file.
        image_size: Side of the square that the network takes, in pixels.
        batch_size: Most images in a batch.
        tta: Test-time augmentation, ``"none"`` or ``"flip"``.
        precision: What the network computes in: ``"float32"``, ``"bfloat16"``, ``"float16"``, or
            ``"auto"``, which each worker decides.
        threshold: Makes binary masks; None for probabilities.
    """

    output: str
    inputs: tuple[str, ...] = ()
    input_format: str = "auto"
    truth: str | None = None
    masks: str | None = None
    model: str = "basnet_mini"
    image_size: int = 192
    batch_size: int = 8
    tta: str = "none"
    precision: str = "float32"
    threshold: float | None = None
