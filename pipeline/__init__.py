"""The Beam pipeline around BASNet: images in, masks and metrics out."""
