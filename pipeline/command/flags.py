"""Every flag of the command, once; without Beam, so that ``--help`` need not wait for it."""

from __future__ import annotations

import argparse

from pipeline.job_settings import Job


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own flags to a parser."""
    group = parser.add_argument_group("salient objects")
    group.add_argument(
        "--input",
        nargs="+",
        metavar="PATTERN",
        help="images or TFRecord shards: files, folders or globs on any Beam filesystem "
        "(default: the bundled sample)",
    )
    group.add_argument(
        "--input_format",
        choices=("auto", "tfrecord", "images"),
        help="what the input is; auto goes by the names of the files "
        f"(default: {Job.input_format})",
    )
    group.add_argument(
        "--truth",
        metavar="PATTERN",
        help="ground-truth masks of image files, matched by path without suffix below the "
        "pattern's folder; records of shards carry their own",
    )
    group.add_argument(
        "--masks",
        metavar="PATTERN",
        help="score these existing masks against --truth instead of running a model",
    )
    group.add_argument(
        "--output", default="output", metavar="DIR", help="where to write (default: ./%(default)s)"
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace what an earlier job left in --output"
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with what an earlier run left in --output: images that are done with the "
        "same input, model and options are not done again",
    )
    group.add_argument(
        "--plan",
        action="store_true",
        help="check everything, say what the job would do, and stop",
    )
    group.add_argument(
        "--model",
        metavar="NAME|PATH",
        help="a preset, a .keras file of a network from pixels of 0 to 255 to a map in [0, 1], "
        f"or a .weights.h5 file of a preset's network (default: {Job.model})",
    )
    group.add_argument(
        "--image_size",
        type=int,
        metavar="S",
        help="images are segmented as squares of S pixels, a multiple of 32 "
        f"(default: {Job.image_size})",
    )
    group.add_argument(
        "--batch_size",
        type=int,
        metavar="N",
        help=f"most images that the network runs on at once (default: {Job.batch_size})",
    )
    group.add_argument(
        "--tta",
        choices=("none", "flip"),
        help="test-time augmentation; flip takes the mean of a photo's map and of its mirror "
        f"image's, for twice the network's time (default: {Job.tta})",
    )
    group.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "float16", "auto"),
        help="what the network computes in; auto takes bfloat16 where the processor or GPU has "
        f"it in hardware, else float32 (default: {Job.precision})",
    )
    group.add_argument(
        "--threshold",
        type=float,
        metavar="T",
        help="write binary masks of what reaches T, in (0, 1] (default: 8-bit probabilities)",
    )
    group.add_argument(
        "--read_timeout",
        type=float,
        default=Job.read_timeout,
        metavar="SECONDS",
        help="a read that takes longer is a failure of its image (default: %(default)g)",
    )
    group.add_argument(
        "--max_failure_rate",
        type=float,
        default=0.1,
        metavar="R",
        help="exit with status 3 if a larger share of the images failed (default: %(default)g)",
    )


def help_text() -> str:
    """What ``--help`` prints: the command's own flags."""
    parser = argparse.ArgumentParser(
        prog="run_pipeline.py",
        description="Segments the salient objects of photos and writes masks and metrics.",
        epilog="Beam's own flags work, too: --runner, --direct_num_workers, --project, ...",
    )
    add_flags(parser)
    return parser.format_help()
