"""Every flag of the command, declared once; without Beam, which takes long to import."""

from __future__ import annotations

import argparse

from pipeline.command.network_flags import add_network_flags
from pipeline.command.program import INSTALLED, PROGRAM
from pipeline.job_settings import ANNOTATION_FORMATS, Job

BEAMS = (
    "Beam's own flags work, too: --runner (DirectRunner, this machine, by default), "
    "--direct_running_mode=multi_processing with --direct_num_workers, --project, ..."
)
_COMMAND = PROGRAM if PROGRAM == INSTALLED else f"python {PROGRAM}"
EXAMPLES = f"""examples:
  {_COMMAND}
      the bundled sample, to ./output
  {_COMMAND} --input photos --output annotated
      a folder, with all below it
  {_COMMAND} --input photos --output annotated --resume
      the rest, after a break or when there are more photos
  {_COMMAND} --input 'set/images/*.jpg' --truth 'set/masks/*.png' --output measured
      with metrics against ground truth
  {_COMMAND} --masks 'results/*.png' --truth 'set/masks/*.png' --output scores
      the metrics of any program's masks
  {_COMMAND} --input 'gs://bucket/shards/*.tfrecord' --output gs://bucket/annotated --plan
      what a job would do, before it does it
"""


class _Formatter(argparse.HelpFormatter):
    """Wraps texts, and leaves examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text == EXAMPLES else super()._fill_text(text, width, indent)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the command's own flags to a parser."""
    data = parser.add_argument_group("input").add_argument
    _add_data_flags(data)
    _add_record_flags(data)
    output = parser.add_argument_group("output").add_argument
    _add_output_flags(output)
    _add_format_flags(output)
    _add_annotation_flags(output)
    add_network_flags(parser.add_argument_group("network").add_argument)
    _add_limit_flags(parser.add_argument_group("limits").add_argument)
    _add_run_flags(parser.add_argument_group("runner", BEAMS).add_argument)


def help_text() -> str:
    """What ``--help`` prints: the command's own flags."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Segments the salient objects of photos and writes masks and metrics.",
        epilog=EXAMPLES,
        formatter_class=_Formatter,
    )
    add_flags(parser)
    return parser.format_help()


def _add_data_flags(add) -> None:
    add(
        "--input",
        nargs="+",
        action="extend",
        metavar="PATTERN|@MANIFEST",
        help="images, or shards of them (TFRecord, WebDataset .tar, Parquet): files, folders or "
        "globs on any Beam filesystem, or behind an @ a file that names them, one a line, or .csv "
        "or .jsonl with path, truth and name (default: the bundled sample)",
    )
    add(
        "--input_format",
        choices=("auto", "images", "tfrecord", "webdataset", "parquet"),
        default=Job.input_format,
        help="what the input is; auto goes by the names of the files (default: %(default)s)",
    )
    add(
        "--truth",
        metavar="PATTERN",
        help="ground-truth masks of image files, matched by path without suffix below the "
        "pattern's folder, or by {name} in the pattern, as in masks/{name}_mask.png; or shards of "
        "masks, as in masks/*.tar; or a .json of COCO or Label Studio or an .xml of CVAT; records "
        "of shards carry their own",
    )
    add(
        "--masks",
        metavar="PATTERN",
        help="score these existing masks against --truth instead of running a model",
    )


def _add_record_flags(add) -> None:
    for flag, what, default in (
        ("--image_field", "the image", "image/encoded, the suffix of an image, image"),
        ("--truth_field", "the ground truth", "image/segmentation/class/encoded, mask.png, mask"),
        ("--name_field", "the name", "image/filename, the key, the path in the image's column"),
    ):
        add(
            flag,
            default="",
            metavar="NAME",
            help=f"of shards: the feature (TFRecord), the suffix of a member (WebDataset) or the "
            f"column (Parquet) that holds {what} (default: {default})",
        )


def _add_output_flags(add) -> None:
    add("--output", default="output", metavar="DIR", help="where to write (default: ./%(default)s)")
    add(
        "--metrics_format",
        choices=("jsonl", "parquet", "csv"),
        default=Job.metrics_format,
        help="what the files of metrics/ are (default: %(default)s)",
    )
    add("--overwrite", action="store_true", help="replace what an earlier job left in --output")
    add(
        "--resume",
        action="store_true",
        help="go on with what an earlier run left in --output: images that are done with the "
        "same input, model and options are not done again",
    )
    add(
        "--verify",
        action="store_true",
        help="with --resume, read every image and compare it with what was finished, even where "
        "the listing says that its size and time of change are the same",
    )
    add("--report", action="store_true", default=True, help="write report.html and review.csv")
    add("--no_report", dest="report", action="store_false", help="write neither")
    add(
        "--review",
        type=int,
        default=Job.review,
        metavar="N",
        help="overlays of the first N of review.csv in review/; annotations of these alone",
    )


def _add_format_flags(add) -> None:
    add(
        "--mask_format",
        choices=("png", "tfrecord", "webdataset", "parquet"),
        default=Job.mask_format,
        help="what masks are written in: a PNG file for each, or shards of PNG masks with their "
        "names and sizes (default: %(default)s)",
    )
    add(
        "--with_images",
        action="store_true",
        help="shards of masks hold the images, too, as they came",
    )
    add(
        "--cutouts",
        nargs="?",
        const="png",
        choices=("png", "webp"),
        default=Job.cutouts,
        help="write each photo without its background, too, at full size (alone: png)",
    )
    add(
        "--overlays",
        action="store_true",
        help="write a small copy of each photo with its mask drawn over it, to look at",
    )


def _add_annotation_flags(add) -> None:
    add(
        "--annotations",
        nargs="+",
        action="extend",
        choices=ANNOTATION_FORMATS,
        metavar="FORMAT",
        help="also write annotations for label tools and training: "
        + ", ".join(ANNOTATION_FORMATS),
    )
    add(
        "--category",
        default=Job.category,
        metavar="NAME",
        help="what annotations call an object (default: %(default)s)",
    )
    add(
        "--instances",
        choices=("image", "components"),
        default=Job.instances,
        help="what an object is: all foreground of an image, or each connected part of it "
        "(default: %(default)s)",
    )
    add(
        "--min_area",
        type=int,
        default=Job.min_area,
        metavar="PIXELS",
        help="with --instances components, smaller parts are no objects (default: %(default)s)",
    )


def _add_limit_flags(add) -> None:
    add(
        "--read_timeout",
        type=float,
        default=Job.read_timeout,
        metavar="SECONDS",
        help="a read that takes longer is a failure of its image (default: %(default)g)",
    )
    add(
        "--max_megapixels",
        type=float,
        default=Job.max_megapixels,
        metavar="M",
        help="larger images are failures; memory grows with it (default: %(default)g)",
    )
    add(
        "--max_failure_rate",
        type=float,
        default=0.1,
        metavar="R",
        help="exit with status 3 if a larger share of the images failed (default: %(default)g)",
    )
    add(
        "--allow_lost_shards",
        action="store_true",
        help="do not exit with status 3 because a shard could not be read to its end",
    )


def _add_run_flags(add) -> None:
    add(
        "--shared_disk",
        action="store_true",
        help="the runner's workers, on this machine or others, see local paths as this command "
        "does; without it such paths are refused where workers may be elsewhere",
    )
    add(
        "--plan",
        action="store_true",
        help="check everything, say what the job would do, and stop",
    )
    add(
        "--quiet",
        action="store_true",
        help="do not say how far the job is; errors and the last lines are said",
    )
