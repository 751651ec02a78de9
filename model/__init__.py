"""BASNet in Keras: the network, its losses, training, conversion and inference. No Beam in here."""

import os

# Before TensorFlow is loaded. By itself it takes oneDNN's kernels on the newest processors only; on
# others its own take 1.4 times as long, and the last digits of a map depend on where in a batch its
# image is.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
