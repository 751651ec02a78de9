"""BASNet and the encoders that it is built around."""
