"""The simplest correct job with Beam's RunInference and its TensorFlow handler.

It decodes photos and writes masks with the pipeline's own functions, and computes no metrics.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
from apache_beam.io import fileio
from apache_beam.ml.inference.base import KeyedModelHandler, PredictionResult, RunInference
from apache_beam.ml.inference.tensorflow_inference import TFModelHandlerNumpy
from apache_beam.options.pipeline_options import PipelineOptions

import model.networks.basnet  # noqa: F401  Registers the class with Keras, which loads the file.
from pipeline.images.mask import encode_mask, full_size_mask
from pipeline.images.photo import decode_image
from pipeline.job_settings import Job


def first_outputs(network, batch, inference_args, model_id) -> Iterator[PredictionResult]:
    """Yields the network's first output for each image.

    The handler's own function pairs the list of outputs with the images, which is wrong for a
    network with several outputs.
    """
    maps = network(np.stack(batch), training=False)[0].numpy()
    for image, found in zip(batch, maps, strict=True):
        yield PredictionResult(image, found[..., 0], model_id)


def decode(file: fileio.ReadableFile, size: int):
    """Reads a photo.

    Returns:
        A key, which is the photo's name and its upright size, and the pixels for the network,
        float32 (size, size, 3) in [0, 255].
    """
    pixels, upright, _ = decode_image(file.read(), size)
    return (Path(file.metadata.path).stem, upright), pixels.astype(np.float32)


def write(element, output: str) -> None:
    """Writes a mask at the size of its photo."""
    (name, upright), result = element
    mask = full_size_mask(result.inference, upright, None)
    Path(output, f"{name}.png").write_bytes(encode_mask(mask, binary=False))


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the job; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.minimal_run_inference", description=__doc__
    )
    add = parser.add_argument
    add("--input", required=True, help="folder of JPEGs")
    add("--output", required=True, help="existing folder for the masks")
    add("--model", required=True, help=".keras file of a network that takes pixels in [0, 255]")
    add("--image_size", type=int, default=Job.image_size, help="side of the network's input")
    arguments = parser.parse_args(argv)
    handler = TFModelHandlerNumpy(
        arguments.model,
        inference_fn=first_outputs,
        min_batch_size=Job.batch_size,
        max_batch_size=Job.batch_size,
    )
    # The runner that run_pipeline.py uses on one machine.
    with beam.Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        (
            pipeline
            | fileio.MatchFiles(os.path.join(arguments.input, "*.jpg"))
            | fileio.ReadMatches()
            | beam.Map(decode, arguments.image_size)
            | RunInference(KeyedModelHandler(handler))
            | beam.Map(write, arguments.output)
        )


if __name__ == "__main__":
    main()
