"""What label tools write: readers, run lengths, and names of images. No Beam, no Keras."""
