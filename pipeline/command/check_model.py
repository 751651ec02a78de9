"""Checks that a model can be used."""

from __future__ import annotations

import difflib
from dataclasses import replace

from apache_beam.io.filesystems import FileSystems

from model.presets import MODEL_SUFFIX, PRESETS, WEIGHTS_SUFFIX
from pipeline.command.options import UsageError, unusable
from pipeline.job_settings import Job
from pipeline.storage.model_file import content_of_model


def check_model(model: str) -> str:
    """The digest of the model's file, see ``content_of_model``."""
    with_weights = [name for name, preset in PRESETS.items() if preset.weights]
    if model in PRESETS and model not in with_weights:
        raise UsageError(f"preset {model!r} has no weights; there are {', '.join(with_weights)}")
    if model not in PRESETS and not model.endswith((MODEL_SUFFIX, WEIGHTS_SUFFIX)):
        near = difflib.get_close_matches(model, with_weights, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; presets are {', '.join(with_weights)}"
        raise UsageError(
            f"--model {model!r} is neither a preset nor a {MODEL_SUFFIX} or {WEIGHTS_SUFFIX} "
            f"file{hint}"
        )
    try:
        if model not in PRESETS and not FileSystems.exists(model):
            raise UsageError(f"--model {model!r}: there is no such file")
        return content_of_model(model)
    except UsageError:
        raise
    except Exception as error:
        raise unusable(f"--model {model!r} cannot be read", error) from error


def check_network(job: Job) -> None:
    """Loads a file and runs it once: nothing else tells whether it is a network, and of what."""
    # Imported here because with a preset the command needs no TensorFlow yet.
    from pipeline.stages.load_network import network_of

    try:
        # Whether workers have a GPU is theirs to say.
        network_of(replace(job, require_gpu=False))().probe()
    except (ValueError, OSError) as error:
        raise UsageError(f"--model {job.model!r} cannot be used: {error}") from error
