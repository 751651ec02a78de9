"""Side-by-side measurements; see RESULTS.md."""

# First: before a benchmark loads TensorFlow, so that all that it compares runs on the same kernels.
import model  # noqa: F401
