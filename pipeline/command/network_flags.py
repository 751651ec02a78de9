"""The flags of the network, without Beam."""

from __future__ import annotations

from pipeline.job_settings import ENGINES, Job


def add_network_flags(add) -> None:
    """Adds the flags of the network to a group of a parser.

    Args:
        add: The group's ``add_argument``.
    """
    add(
        "--model",
        default=Job.model,
        metavar="NAME|PATH",
        help="a preset, a .keras file of a network from pixels of 0 to 255 to a map in [0, 1], "
        "a .weights.h5 file of a preset's network, or an .onnx file with a card beside it, see "
        "docs/network.md (default: %(default)s)",
    )
    add(
        "--image_size",
        type=int,
        default=Job.image_size,
        metavar="S",
        help="images are segmented as squares of S pixels, a multiple of 32 (default: %(default)s)",
    )
    add(
        "--batch_size",
        type=int,
        default=Job.batch_size,
        metavar="N",
        help="most images that the network runs on at once (default: %(default)s)",
    )
    add(
        "--tta",
        choices=("none", "flip"),
        default=Job.tta,
        help="test-time augmentation; flip takes the mean of a photo's map and of its mirror "
        "image's, for twice the network's time (default: %(default)s)",
    )
    _add_engine_flags(add)


def _add_engine_flags(add) -> None:
    add(
        "--precision",
        choices=("float32", "bfloat16", "float16", "auto"),
        default=Job.precision,
        help="what the network computes in; auto takes bfloat16 where this machine's processor "
        "or GPU has it in hardware, else float32 (default: %(default)s)",
    )
    add(
        "--engine",
        choices=("auto", *ENGINES),
        default="auto",
        help="what runs the network; auto takes OpenVINO where it is installed, reads the network "
        "without TensorFlow, and there is no GPU; else Keras (default: %(default)s)",
    )
    add(
        "--require_gpu",
        action="store_true",
        help="end the job where a worker has no GPU, instead of computing on its processor",
    )
    add(
        "--threshold",
        type=float,
        default=Job.threshold,
        metavar="T",
        help="write binary masks of what reaches T, in (0, 1] (default: 8-bit probabilities)",
    )
