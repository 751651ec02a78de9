"""Checks that every pattern matches something, that is where workers can read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apache_beam.io.filesystems import FileSystems

from model.annotations.read import is_annotation_file, reader_of
from model.presets import PRESETS
from pipeline.command.options import UsageError, unusable
from pipeline.command.output_folder import check_apart
from pipeline.command.runners import DATAFLOW_WORKERS
from pipeline.failures import BadImage
from pipeline.job_settings import Job
from pipeline.storage.manifest import check_manifest, manifest_of
from pipeline.storage.pair_names import NAME, fault_of, joined_wildcards, truth_glob, unknown_names
from pipeline.storage.patterns import IMAGES, format_of, is_shard, list_pattern, suffix_of
from pipeline.storage.raw_records import Fields, fields_of
from pipeline.storage.shards import check_shard, is_compressed
from pipeline.storage.truth_shards import shards_of_truth, truth_fields

# Files that are looked at to see whether a pattern can be used.
ENOUGH = 1000
# Of them, the last two are of truths in shards, too.
TRUTH_FLAGS = ("truth_field", "name_field")
FIELD_FLAGS = ("image_field", *TRUTH_FLAGS)
# Reasons that say that flags look for images in the wrong place.
_NOT_THERE = ("missing_column", "missing_feature", "no_images")


def check_inputs(job: Job, overwrite: bool) -> None:
    """Checks that every pattern matches, and that no input is an output of the job."""
    for flag, patterns, kind in (
        ("--input", job.inputs, job.input_format),
        ("--masks", [job.masks], shards_of_truth(job.masks or "") or "images"),
        ("--truth", [job.truth], shards_of_truth(job.truth or "") or "images"),
    ):
        found = {one: _check_pattern(flag, one, kind) for one in filter(None, patterns)}
        for pattern, paths in found.items():
            if flag == "--input" and manifest_of(pattern) is not None:
                continue
            if flag != "--truth" and not all(is_shard(path, kind) for path in paths):
                _check_wildcards(flag, pattern, job.truth or "")
            if overwrite:
                check_apart(flag, paths, job.output, "--overwrite removes")
            if job.resume:
                check_apart(flag, paths, job.output, "the run that --resume goes on with wrote")
        if flag == "--input":
            _check_shards(found, job)
    for flag, pattern in (("--masks", job.masks or ""), ("--truth", job.truth or "")):
        if (form := shards_of_truth(pattern)) is not None:
            _check_records(flag, pattern, form, fields_of(job))


def _check_records(flag: str, pattern: str, form: str, fields: Fields) -> None:
    """Checks that the first shard of truths or masks holds some, and that they can be looked up."""
    if NAME in pattern:
        raise UsageError(f"{flag} {pattern!r}: records have names, so leave out {NAME}")
    (path, *_) = (file.path for file in list_pattern(pattern, form, limit=ENOUGH).files)
    try:
        if is_compressed(path):
            raise UsageError(
                f"{flag} {path!r} is packed with gzip, where no record can be looked up; unpack "
                "it first, as gunzip does"
            )
        check_shard(path, form, truth_fields(path, form, fields))
    except UsageError:
        raise
    except BadImage as error:
        words = str(error).replace("--image_field", "--truth_field")
        raise UsageError(f"{flag} {path}: {words}") from error
    except Exception as error:
        raise unusable(f"{flag} {path} cannot be read", error) from error


def _check_wildcards(flag: str, pattern: str, truth: str) -> None:
    """Checks that each wildcard before a ``{name}`` has one to be joined with."""
    wanted = joined_wildcards(truth) if NAME in truth else 0
    if joined_wildcards(pattern) < wanted:
        raise UsageError(
            f"--truth {truth!r} has {wanted} wildcards before {NAME}, each for what the same one "
            f"of {flag} matched, but {flag} {pattern!r} has {joined_wildcards(pattern)}"
        )


def _check_pattern(flag: str, pattern: str, input_format: str) -> list[str]:
    is_truth = flag == "--truth"
    if is_truth and is_annotation_file(pattern):
        return [_check_annotations(pattern)]
    if is_truth and pattern.lower().endswith(".zip"):
        raise UsageError(
            f"--truth {pattern!r} is packed; unpack it, and name the .json of COCO or Label "
            "Studio, the .xml of CVAT, or the folder of masks"
        )
    if is_truth and (fault := fault_of(pattern)):
        raise UsageError(f"{flag} {pattern!r}: {fault}")
    glob = truth_glob(pattern) if is_truth else pattern
    try:
        manifest = manifest_of(pattern) if flag == "--input" else None
        if manifest is not None:
            return [check_manifest(manifest).path]
        # Workers list all.
        listing = list_pattern(glob, input_format, limit=ENOUGH)
        if not listing.files:
            listing = list_pattern(glob, input_format)
    except Exception as error:
        raise unusable(f"{flag} {pattern!r} cannot be read", error) from error
    if not listing.files and listing.passed_over:
        raise UsageError(_nothing_read(flag, pattern, input_format, listing.passed_over))
    if not listing.files:
        unknown, hint = unknown_names(pattern), ""
        if unknown:
            hint = f"; {', '.join(unknown)} stands for nothing but itself"
            hint += f", {NAME} for the name of an image" if is_truth else ""
        elif NAME in pattern and not is_truth:
            hint = f"; {NAME} is known in --truth only"
        raise UsageError(f"{flag} {pattern!r} matches no file{hint}")
    return [file.path for file in listing.files]


def _nothing_read(flag: str, pattern: str, input_format: str, passed_over: list[str]) -> str:
    """What is said of a folder of which no file is read because of its name."""
    kind = {"auto": "an image or a shard", "images": "an image"}.get(input_format)
    kind = kind or f"a shard of {input_format}"
    names = ", ".join(sorted({suffix_of(path) for path in passed_over}))
    said = (
        f"{flag} {pattern!r} holds {len(passed_over)} files, but none named like {kind} ({names})"
    )
    folder = pattern.rstrip("/")
    if flag != "--input" and (shards := [path for path in passed_over if is_shard(path)]):
        return f"{said}; name shards by a glob, such as {folder}/{suffix_of(min(shards))}"
    return f"{said}; a glob, such as {folder}/*, takes them all"


def _check_shards(found: Mapping[str, Sequence[str]], job: Job) -> None:
    """Checks that images are in the first shard of each format, where the flags look for them.

    Args:
        found: Patterns to the first of their files; of a manifest, to the first that it names.
        job: The job.
    """
    paths = [path for some in found.values() for path in some]
    shards = {format_of(path, job.input_format): path for path in reversed(paths)}
    shards.pop(IMAGES, None)
    given = [flag for flag in FIELD_FLAGS if getattr(job, flag)]
    if shards_of_truth(job.truth or "") is not None:
        given = [flag for flag in given if flag not in TRUTH_FLAGS]  # They may be of truths.
    all_seen = (
        not any(map(manifest_of, found)) and max(map(len, found.values()), default=0) < ENOUGH
    )
    if given and not shards and all_seen:
        raise UsageError(
            f"--{given[0]} is of shards, and --input names none of them ({', '.join(found)}); "
            "leave it out, or say by --input_format what the files are"
        )
    fields = fields_of(job)
    for form, path in shards.items():
        if form == "tfrecord" and not given:
            continue  # Loads TensorFlow. By convention, the names are what they are.
        try:
            check_shard(path, form, fields)
        except BadImage as error:
            if error.reason in _NOT_THERE:  # Else the shard is one failure of the job.
                raise UsageError(f"--input {path}: {error}") from error
        except Exception as error:
            raise unusable(f"--input {path} cannot be read", error) from error


def _check_annotations(path: str) -> str:
    try:
        with FileSystems.open(path, compression_type="uncompressed") as file:
            reader_of(file)
    except Exception as error:
        if set(path) & set("*?["):
            raise UsageError(
                f"--truth {path!r}: one file of annotations is read; name it without wildcards"
            ) from error
        raise unusable(f"--truth {path!r} cannot be read", error) from error
    return path


def check_remote(job: Job, workers: str, shared_disk: bool) -> None:
    """Checks that workers on other machines can see every path."""
    hint = "name a bucket, such as gs://bucket/folder"
    if workers != DATAFLOW_WORKERS:
        if shared_disk:
            return
        hint += ", or add --shared_disk if every worker sees this path"
    values: dict[str, Sequence[str | None]] = {
        "--output": [job.output],
        "--input": [manifest_of(pattern) or pattern for pattern in job.inputs],
        "--masks": [job.masks],
        "--truth": [job.truth],
        "--model": [job.model],
    }
    for flag, paths in values.items():
        for path in filter(None, paths):
            if FileSystems.get_scheme(path) is None and path not in PRESETS:
                raise UsageError(
                    f"{flag} {path!r} is on this machine, where {workers} may not see it; {hint}"
                )
