"""BASNet and its encoders."""
