"""What a job is asked to do, as values that were checked."""

from __future__ import annotations

from dataclasses import dataclass

from model.presets import IMAGE_SIZE

# What runs the network, and what people call it.
ENGINES = {"keras": "Keras", "openvino": "OpenVINO"}
ANNOTATION_FORMATS = ("coco", "yolo", "labelstudio", "cvat")


@dataclass(frozen=True)
class Job:
    """The settings of a job; the defaults are those of the command.

    Attributes:
        output: The output folder.
        inputs: Patterns of images and shards; unused with ``masks``.
        input_format: ``"auto"``, ``"images"``, ``"tfrecord"``, ``"webdataset"`` or ``"parquet"``.
        image_field: What holds the image in a record: a feature, the suffix of a member, or a
            column. Empty for the convention of the format.
        truth_field: Likewise of the ground truth.
        name_field: Likewise of the name.
        truth: Pattern of ground truth of image files, or None.
        masks: Pattern of existing masks to score instead of running a model, or None.
        model: A preset or a Keras file.
        model_content: Digest of the model's file, as hex digits; empty with ``masks``.
        image_size: Side of the square that the network takes, in pixels.
        resize: How photos become so small, as of ``decode_image``; an ONNX file's card says it.
        batch_size: Most images in a batch.
        tta: Test-time augmentation, ``"none"`` or ``"flip"``.
        precision: What the network computes in: ``"float32"``, ``"bfloat16"`` or ``"float16"``.
            What ``auto`` stands for is decided before there is a job.
        engine: What runs the network, ``"keras"`` or ``"openvino"``; decided likewise.
        threshold: Makes binary masks; None for probabilities.
        mask_format: What masks are written in: ``"png"``, a file for each, or shards:
            ``"tfrecord"``, ``"webdataset"`` or ``"parquet"``.
        with_images: Whether shards of masks hold the images, too.
        cutouts: What the photos without their background are written in, ``"png"`` or ``"webp"``;
            empty for none.
        overlays: Whether small photos with the mask drawn over them are written.
        read_timeout: Seconds that a read may take before it is a failure.
        max_megapixels: Images of more are refused.
        resume: Whether what an earlier run has finished is kept.
        verify: Whether it is read and compared first, even if its listing is what it was.
        processes: Worker processes that share the cores of a machine; 0 for one on each core.
        require_gpu: Whether a worker without a GPU is broken.
        annotations: Formats of annotations to write, of ``ANNOTATION_FORMATS``.
        category: What annotations call an object.
        instances: ``"image"`` for one object an image, ``"components"`` for one a connected part.
        min_area: Fewest pixels of a part that is an object.
        metrics_format: ``"jsonl"``, ``"parquet"`` or ``"csv"``.
        report: Whether ``report.html`` and ``review.csv`` are written.
        review: So many of the first images of the review list have an overlay in ``review/``, and
            annotations are theirs alone; 0 for no overlays, and annotations of all.
        hints: Beam's resource hints of the workers that see images, each as ``NAME=VALUE``.
    """

    output: str
    inputs: tuple[str, ...] = ()
    input_format: str = "auto"
    image_field: str = ""
    truth_field: str = ""
    name_field: str = ""
    truth: str | None = None
    masks: str | None = None
    model: str = "basnet_mini"
    model_content: str = ""
    image_size: int = IMAGE_SIZE
    resize: str = "bilinear"
    batch_size: int = 8
    tta: str = "none"
    precision: str = "float32"
    engine: str = "keras"
    threshold: float | None = None
    mask_format: str = "png"
    with_images: bool = False
    cutouts: str = ""
    overlays: bool = False
    read_timeout: float = 60.0
    max_megapixels: float = 200.0
    resume: bool = False
    verify: bool = False
    processes: int = 1
    require_gpu: bool = False
    annotations: tuple[str, ...] = ()
    category: str = "object"
    instances: str = "image"
    min_area: int = 64
    metrics_format: str = "jsonl"
    report: bool = True
    review: int = 0
    hints: tuple[str, ...] = ()

    @property
    def in_shards(self) -> bool:
        """Whether masks are written in shards."""
        return self.mask_format != "png"

    @property
    def needs_photo(self) -> bool:
        """Whether the encoded photo is written again, or is decoded again at another size."""
        return self.with_images or bool(self.cutouts) or self.overlays

    @property
    def max_pixels(self) -> int:
        """Most pixels of an image."""
        return round(self.max_megapixels * 1e6)
