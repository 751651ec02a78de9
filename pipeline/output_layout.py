"""The names of what a job writes below its output folder."""

MASKS = "masks"
METRICS = "metrics"
FAILURES = "failures"
SUMMARY = "summary.json"
JOURNAL = "journal"
# Says which job the journal belongs to.
JOURNAL_HEAD = "job.json"
# Files are written here first, and renamed once they are whole.
TEMPORARY = "temporary"
# What the end of a job writes, from the rows of the masks.
RESULTS = (METRICS, FAILURES, SUMMARY)
# All that a job writes.
OUTPUTS = (MASKS, *RESULTS, JOURNAL, TEMPORARY)
