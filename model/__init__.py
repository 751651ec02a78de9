"""BASNet in Keras: network, losses, training, conversion, inference and metrics. No Beam."""

import os

# Set before TensorFlow is loaded. By default TensorFlow uses oneDNN's kernels on the newest
# processors only. Its own kernels take 1.4 times as long, and with them the last digits of a map
# depend on the place of the image in its batch.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
