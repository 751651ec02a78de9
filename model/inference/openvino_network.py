"""A network that OpenVINO runs on the processor, each image by itself."""

from __future__ import annotations

import os
import threading

import numpy as np

from model.inference.openvino_alone import ov

# What OpenVINO calls the precisions that it computes in on processors.
_HINTS = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoNetwork:
    """A network for a number of images at once, each in a stream of its own.

    A map does not depend on the other images. In a stream an image has one core as long as there
    are no more cores than streams: no core waits for another.

    Args:
        graph: From pixels, uint8 (1, S, S, 3), to S x S numbers, as ``openvino_model`` makes it.
        batch_size: Most images at once.
        dtype: What it computes in, ``"float32"`` or ``"bfloat16"``.
        threads: Cores that it may use; 0 for all.

    Attributes:
        batch_size: Images at once: no more than there are threads.
        device: ``"cpu"``.

    Raises:
        ValueError: It cannot compute in this precision here.
    """

    device = "cpu"

    def __init__(self, graph: ov.Model, batch_size: int, dtype: str, threads: int = 0):
        if dtype not in _HINTS:
            raise ValueError(
                f"OpenVINO computes in {' or '.join(_HINTS)}; got {dtype}, in which Keras does"
            )
        threads = threads or os.cpu_count() or 1
        self.batch_size = min(batch_size, threads)
        self._graph, self._dtype, self._threads = graph, dtype, threads
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[dtype],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": self.batch_size,
            # Worker processes would all be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = ov.Core().compile_model(graph, "CPU", settings)
        found = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if found != _HINTS[dtype]:
            raise ValueError(
                f"OpenVINO computes in {found} on this processor, not in {dtype}; "
                "precision float32 would do"
            )
        self._requests = [compiled.create_infer_request() for _ in range(self.batch_size)]
        # The requests are those of one thread at a time.
        self._lock = threading.Lock()

    def halved(self) -> OpenVinoNetwork:
        """Returns the same network for half as many images at once."""
        return OpenVinoNetwork(self._graph, self.batch_size // 2, self._dtype, self._threads)

    def maps(self, images: np.ndarray) -> np.ndarray:
        """Runs the network.

        Args:
            images: uint8 (N, S, S, 3).

        Returns:
            float32 (N, S, S).
        """
        maps = np.empty(images.shape[:3], np.float32)
        with self._lock:
            for number, image in enumerate(images):
                self._finish(number - self.batch_size, maps)
                self._request(number).start_async([image[None]])
            for number in range(len(images) - self.batch_size, len(images)):
                self._finish(number, maps)
        return maps

    def _request(self, number: int) -> ov.InferRequest:
        return self._requests[number % self.batch_size]

    def _finish(self, number: int, maps: np.ndarray) -> None:
        if number >= 0:
            request = self._request(number)
            request.wait()
            maps[number] = request.get_output_tensor(0).data.reshape(maps.shape[1:])
