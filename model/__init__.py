"""BASNet in Keras: the network, its losses, training, conversion and inference. No Beam in here."""
