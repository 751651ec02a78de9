"""The training loop and its parts: data, losses, optimizer, validation, checkpoints."""
