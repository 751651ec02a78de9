"""What is to be done, and what a job writes below its output folder."""

from __future__ import annotations

from dataclasses import dataclass

from model.presets import IMAGE_SIZE

MASKS = "masks"
METRICS = "metrics"
FAILURES = "failures"
SUMMARY = "summary.json"
JOURNAL = "journal"
# Files are begun here, and moved to their names when they are whole.
TEMPORARY = "temporary"
# What the end of a job writes, from the masks' rows; and all that a job writes.
RESULTS = (METRICS, FAILURES, SUMMARY)
OUTPUTS = (MASKS, *RESULTS, JOURNAL, TEMPORARY)


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
        model_content: Digest of the model's file, as hex digits; empty with ``masks``.
        image_size: Side of the square that the network takes, in pixels.
        batch_size: Most images in a batch.
        tta: Test-time augmentation, ``"none"`` or ``"flip"``.
        precision: What the network computes in: ``"float32"``, ``"bfloat16"``, ``"float16"``, or
            ``"auto"``, which each worker decides.
        threshold: Makes binary masks; None for probabilities.
        read_timeout: Seconds that a read may take before it is a failure.
        resume: Whether what an earlier run has finished is kept.
    """

    output: str
    inputs: tuple[str, ...] = ()
    input_format: str = "auto"
    truth: str | None = None
    masks: str | None = None
    model: str = "basnet_mini"
    model_content: str = ""
    image_size: int = IMAGE_SIZE
    batch_size: int = 8
    tta: str = "none"
    precision: str = "float32"
    threshold: float | None = None
    read_timeout: float = 60.0
    resume: bool = False
