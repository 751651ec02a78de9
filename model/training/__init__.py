"""Training: settings, data, losses, optimizer, loop, validation and checkpoints."""
