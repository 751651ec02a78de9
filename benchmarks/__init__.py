"""Side-by-side measurements: README.md has the commands, RESULTS.md the results."""

# Chooses TensorFlow's kernels, so it has to come before TensorFlow is loaded. All contenders of a
# benchmark then run on the same kernels.
import model  # noqa: F401
