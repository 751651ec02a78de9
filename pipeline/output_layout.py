"""The names of what a job writes below its output folder."""

MASKS = "masks"
CUTOUTS = "cutouts"
OVERLAYS = "overlays"
METRICS = "metrics"
FAILURES = "failures"
SUMMARY = "summary.json"
REPORT = "report.html"
REVIEW_LIST = "review.csv"
# Overlays of the first of the list.
REVIEW = "review"
JOURNAL = "journal"
ANNOTATIONS = "annotations"
ANNOTATION_PARTS = f"{ANNOTATIONS}/parts"
YOLO = f"{ANNOTATIONS}/yolo"
LABEL_INTERFACE = f"{ANNOTATIONS}/labelstudio.xml"
# Says which job the journal belongs to.
JOURNAL_HEAD = "job.json"
# What the report is made of, but for its pictures.
REPORT_CONTENTS = f"{JOURNAL}/report.json"
# Files are written here first, and renamed once they are whole.
TEMPORARY = "temporary"
# Ground truths that were drawn from an annotation file.
TRUTH = f"{TEMPORARY}/truth"
# What the end of a job writes, from the rows of the masks.
RESULTS = (
    METRICS,
    FAILURES,
    SUMMARY,
    REPORT,
    REPORT_CONTENTS,
    REVIEW_LIST,
    REVIEW,
    # Not the whole folder: corrected files may lie beside them.
    *(f"{ANNOTATIONS}/{name}" for name in ("coco.json", "labelstudio.json", "cvat.xml")),
    LABEL_INTERFACE,
    # Not all of that folder, either: the photos may be put into it.
    f"{YOLO}/labels",
    f"{YOLO}/data.yaml",
    ANNOTATION_PARTS,
)
# All that a job writes.
OUTPUTS = (MASKS, CUTOUTS, OVERLAYS, *RESULTS, JOURNAL, TEMPORARY)
