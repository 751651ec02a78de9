"""The names of what a job writes below its output folder."""

MASKS = "masks"
METRICS = "metrics"
# Ground truths that were drawn from an annotation file.
TRUTH = "truth"
FAILURES = "failures"
SUMMARY = "summary.json"
JOURNAL = "journal"
ANNOTATIONS = "annotations"
ANNOTATION_PARTS = f"{ANNOTATIONS}/parts"
YOLO = f"{ANNOTATIONS}/yolo"
LABEL_INTERFACE = f"{ANNOTATIONS}/labelstudio.xml"
# Says which job the journal belongs to.
JOURNAL_HEAD = "job.json"
# Files are written here first, and renamed once they are whole.
TEMPORARY = "temporary"
# What every run writes anew: ground truths, and what its end makes of the rows of the masks.
RESULTS = (
    TRUTH,
    METRICS,
    FAILURES,
    SUMMARY,
    # Not the whole folder: corrected files may lie beside them.
    *(f"{ANNOTATIONS}/{name}" for name in ("coco.json", "labelstudio.json", "cvat.xml")),
    LABEL_INTERFACE,
    YOLO,
    ANNOTATION_PARTS,
)
# All that a job writes.
OUTPUTS = (MASKS, *RESULTS, JOURNAL, TEMPORARY)
