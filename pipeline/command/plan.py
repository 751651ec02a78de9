"""What a job would do, in words, before it does it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

from apache_beam.io.filesystems import FileSystems

from model.annotations.drawings import Drawing, Remark
from model.annotations.names import Image, images_of
from model.annotations.read import is_annotation_file
from pipeline.job_settings import ENGINES, Job
from pipeline.output_layout import OUTPUTS
from pipeline.records import ListedFile
from pipeline.stages.draw_truths import read_drawings
from pipeline.stages.list_files import notes_of
from pipeline.storage.files import literal
from pipeline.storage.journal_files import changes, count_finished
from pipeline.storage.manifest import manifest_of, read_manifest
from pipeline.storage.mask_names import claim_of_image
from pipeline.storage.pair_names import name_of_image, name_of_truth, truth_glob
from pipeline.storage.patterns import (
    Listing,
    find_files,
    is_shard,
    list_pattern,
    real_path,
)
from pipeline.storage.raw_records import fields_of
from pipeline.storage.truth_shards import list_truths, shards_of_truth

Estimate = Callable[[list[ListedFile]], list[str]]


def listed(job: Job) -> tuple[list[Listing], list[ListedFile]]:
    """What the patterns of the images name, and the files of it, each once."""
    patterns = [pattern for pattern in job.inputs if manifest_of(pattern) is None]
    listings = [list_pattern(pattern, job.input_format) for pattern in patterns]
    found = sorted(file for listing in listings for file in listing.files)
    # A file that several patterns match counts once, under the first folder, as in the job.
    return listings, list({real_path(file.path): file for file in reversed(found)}.values())


def describe(job: Job, overwrite: bool, estimate: Estimate | None = None) -> str:
    """Lines for people: what is read, by which network, and what happens to the output folder.

    Args:
        job: A job that was checked.
        overwrite: Whether what is in the output folder is removed.
        estimate: From image files and shards to lines that say what they would take.
    """
    if job.masks is not None:
        lines = _scored(job)
    else:
        listings, files = listed(job)
        lines = [*_inputs(job, listings, files), _network(job), *_files(job)]
    if job.annotations:
        lines.append(f"labels   annotations as {', '.join(job.annotations)}")
    if job.masks is None and estimate is not None and files:
        lines += estimate(files)
    lines.append(f"output   {job.output}: {_output(job, overwrite)}")
    return "\n".join(lines)


def _inputs(job: Job, listings: list[Listing], files: list[ListedFile]) -> list[str]:
    manifests = [path for path in map(manifest_of, job.inputs) if path is not None]
    images = [file for file in files if not is_shard(file.path, job.input_format)]
    lines = []
    if listings:
        lines.append(f"input    {len(images)} image files, {len(files) - len(images)} shards")
    lines += [f"manifest {path} names {_count_entries(path)}" for path in manifests]
    if job.truth is not None:
        lines += _truth_lines(job, images)
    lines += _note_lines(listings)
    claims = Counter(claim_of_image(file.key) for file in images)
    shared = sum(count for count in claims.values() if count > 1)
    if shared:
        lines.append(
            f"names    {shared} masks cannot have their image's name alone, as others could"
        )
    return lines


def _count_entries(manifest: str) -> str:
    """How many files a manifest names. None of them is looked for."""
    counts = Counter(entry.failure is None for entry in read_manifest(manifest))
    unusable = f"; {counts[False]} lines cannot be used" if counts[False] else ""
    return f"{counts[True]} files{unusable}"


def _truth_lines(job: Job, images: list[ListedFile]) -> list[str]:
    """What of photos and truths has a partner, and what has none."""
    if is_annotation_file(job.truth or ""):
        return _annotation_lines(job.truth or "", images)
    truths = _truths(job)
    names = {file: name_of_image(file, job.inputs, job.truth or "") for file in images}
    alone = [file.key for file, name in names.items() if name not in truths]
    unused = truths.keys() - set(names.values())
    lines = [f"truth    {len(truths)} masks, for {len(names) - len(alone)} of the image files"]
    if unused:
        lines.append(f"unused   {len(unused)} masks, such as {truths[min(unused)]}")
    if alone:
        lines.append(f"missing  {len(alone)} image files have no truth, such as {min(alone)}")
    return lines


def _annotation_lines(path: str, images: list[ListedFile]) -> list[str]:
    """What an annotation file says of how many of the image files."""
    found = [one for _, one in read_drawings(path)]
    names = [one.name for one in found if isinstance(one, Drawing)]
    remarks = Counter(one.kind for one in found if isinstance(one, Remark))
    meant = images_of(names, [Image(file.key, file.path) for file in images])
    there = f"and {len(meant.images)} of them are there"
    return [
        f"truth    {len(names)} images are annotated in {path}, {there}",
        *(f"ignored  {count} {kind}" for kind, count in sorted(remarks.items())),
    ]


def _note_lines(listings: list[Listing]) -> list[str]:
    """What is passed over, by kind."""
    notes = {
        (note.kind, real_path(note.example)): note.example
        for listing in listings
        for note in notes_of(listing)
    }
    counts = Counter(kind for kind, _ in notes)
    examples = {kind: min(p for (k, _), p in notes.items() if k == kind) for kind in counts}
    return [
        f"ignored  {count} {kind}, such as {examples[kind]}"
        for kind, count in sorted(counts.items())
    ]


def _scored(job: Job) -> list[str]:
    pattern, truth = job.masks or "", job.truth or ""
    files = _named(pattern, job)
    if is_annotation_file(truth):
        return [f"masks    {len(files)}; no network", *_annotation_lines(truth, files)]
    masks = {name_of_image(file, (pattern,), truth): file.path for file in files}
    truths = _truths(job)
    both = masks.keys() & truths.keys()
    lines = [f"masks    {len(masks)}, of which {len(both)} have a ground truth; no network"]
    if alone := masks.keys() - both:
        lines.append(f"missing  {len(alone)} masks have no truth, such as {masks[min(alone)]}")
    if unused := truths.keys() - both:
        lines.append(f"unused   {len(unused)} truths, such as {truths[min(unused)]}")
    return lines


def _truths(job: Job) -> dict[str, str]:
    """The names by which truths are joined, and their paths."""
    truth = job.truth or ""
    return {name_of_truth(file, truth): file.path for file in _named(truth, job)}


def _named(pattern: str, job: Job) -> list[ListedFile]:
    """The files of truths or masks that a pattern names, or the records of its shards."""
    form = shards_of_truth(pattern)
    files = find_files(truth_glob(pattern), form or "images")
    if form is None:
        return files
    records = (one for file in files for one in list_truths(file, fields_of(job)))
    return [one.result for one in records if isinstance(one.result, ListedFile)]


def _network(job: Job) -> str:
    written = "8-bit probabilities"
    if job.threshold is not None:
        written = f"binary masks of what reaches {job.threshold:g}"
    flip = ", flipped too" if job.tta == "flip" else ""
    return (
        f"model    {job.model} at {job.image_size} x {job.image_size}{flip}, {job.precision} "
        f"by {ENGINES[job.engine]}, batches of {job.batch_size}, to {written}"
    )


def _files(job: Job) -> list[str]:
    """What is written besides a PNG file for each mask."""
    lines = []
    if job.in_shards:
        images = ", with the images" if job.with_images else ""
        lines.append(f"shards   masks in {job.mask_format} files{images}")
    if job.cutouts:
        lines.append(f"cutouts  photos without their background, as {job.cutouts}")
    if job.overlays:
        lines.append("overlays small photos with their masks drawn over them")
    return lines


def _output(job: Job, overwrite: bool) -> str:
    if overwrite:
        return f"removes {_count(job.output)} files of an earlier job, then begins"
    if not job.resume:
        return "is empty or new"
    changed, finished = changes(job), count_finished(job.output)
    if changed:
        return f"{finished} finished images are stale and done again: {', '.join(changed)}"
    return f"goes on; {finished} images are finished, and kept where they have not changed"


def _count(output: str) -> int:
    ours = [literal(FileSystems.join(output, name)) for name in OUTPUTS]
    patterns = [pattern for path in ours for pattern in (path, f"{path}/**")]
    found = [file.path for match in FileSystems.match(patterns) for file in match.metadata_list]
    # On disks, a folder matches its own name.
    return sum(not os.path.isdir(path) for path in found)
