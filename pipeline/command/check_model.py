"""Checks that a model can be used."""

from __future__ import annotations

import difflib
from dataclasses import replace

from apache_beam.io.filesystems import FileSystems

from model.inference.onnx_card import EXAMPLE, card_of
from model.presets import MODEL_SUFFIX, ONNX_SUFFIX, PRESETS, WEIGHTS_SUFFIX
from pipeline.command.options import UsageError, unusable
from pipeline.job_settings import Job
from pipeline.storage.model_file import content_of_model

_SUFFIXES = (MODEL_SUFFIX, ONNX_SUFFIX, WEIGHTS_SUFFIX)


def check_model(model: str) -> str:
    """The digest of the model's file, see ``content_of_model``."""
    with_weights = [name for name, preset in PRESETS.items() if preset.weights]
    if model in PRESETS and model not in with_weights:
        raise UsageError(f"preset {model!r} has no weights; there are {', '.join(with_weights)}")
    if model not in PRESETS and not model.endswith(_SUFFIXES):
        near = difflib.get_close_matches(model, with_weights, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; presets are {', '.join(with_weights)}"
        raise UsageError(
            f"--model {model!r} is neither a preset nor a {', '.join(_SUFFIXES[:-1])} or "
            f"{_SUFFIXES[-1]} file{hint}"
        )
    try:
        if model not in PRESETS and not FileSystems.exists(model):
            raise UsageError(f"--model {model!r}: there is no such file")
        if model.endswith(ONNX_SUFFIX) and not FileSystems.exists(card_of(model)):
            raise UsageError(
                f"--model {model!r} has no card {card_of(model)!r}, which says what it takes and "
                f"gives; one would be, say, {EXAMPLE}"
            )
        return content_of_model(model)
    except UsageError:
        raise
    except Exception as error:
        raise unusable(f"--model {model!r} cannot be read", error) from error


def as_its_card_says(job: Job) -> Job:
    """The job with the images that its model takes, where a card says which."""
    # Imported here because a wrong flag is refused sooner without the stages.
    from pipeline.stages.load_network import with_card

    try:
        return with_card(job)
    except (ValueError, OSError) as error:
        raise UsageError(f"--model {job.model!r} cannot be used: {error}") from error


def check_network(job: Job) -> None:
    """Loads a file and runs it once: nothing else tells whether it is a network, and of what."""
    # Imported here because with a preset the command needs no TensorFlow yet.
    from pipeline.stages.load_network import network_of

    try:
        # Whether workers have a GPU is theirs to say.
        network_of(replace(job, require_gpu=False))().probe()
    except (ValueError, OSError) as error:
        raise UsageError(f"--model {job.model!r} cannot be used: {error}") from error
