"""Readies TensorFlow for a part of a machine, and tells which device computes."""

from __future__ import annotations

import logging

import keras


def ready_tensorflow(threads: int) -> None:
    """Bounds TensorFlow's threads, and lets it take a GPU's memory as it needs it.

    Has to be called before TensorFlow computes anything; then, it only says that it is too late.
    TensorFlow's own defaults are a thread for each core of the machine, whatever a container's
    quota allows and however many processes share them, and all memory of every GPU at once.

    Args:
        threads: Cores that this process may use.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        logging.warning("TensorFlow has started already: %s", error)


def computing_device() -> str:
    """``"gpu"`` or ``"cpu"``: where the backend puts what it computes, unless told otherwise."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Not the list of devices: one may be there without a driver that works.
        return "gpu" if "GPU" in tf.zeros(1).device else "cpu"
    array = keras.ops.zeros(1)
    return "gpu" if any(name in str(array.device).lower() for name in ("cuda", "gpu")) else "cpu"
