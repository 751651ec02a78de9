"""The settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainConfig:
    """How to train; the defaults are those of the command.

    Attributes:
        steps: Number of batches, over which the learning rate falls as a cosine.
        batch_size: Crops in a batch.
        crop: Side of the crops in pixels, a multiple of 32.
        resize: Largest side of the squares that images are resized to and crops are taken from.
        learning_rate: Highest learning rate.
        encoder_rate: Share of the learning rate for the encoder, in [0, 1]. Below 1 the encoder has
            no weight decay.
        warmup_steps: Steps until the highest learning rate is reached.
        ssim: Weight of SSIM in the loss.
        ema: Momentum, in [0, 1), of the moving average of the weights that is kept at the end; 0
            for no average.
        seed: Decides the order of the data and every random change of it.
        validate_every: Steps between validations.
        checkpoint_every: Steps between checkpoints.
        minutes: Stop after the step in which this many minutes have passed; None for never.

    Raises:
        ValueError: A value is out of range.
    """

    steps: int = 20_000
    batch_size: int = 16
    crop: int = 192
    resize: int = 256
    learning_rate: float = 2e-3
    encoder_rate: float = 1.0
    warmup_steps: int = 200
    ssim: float = 1.0
    ema: float = 0.0
    seed: int = 0
    validate_every: int = 200
    checkpoint_every: int = 100
    minutes: float | None = None

    def __post_init__(self) -> None:
        """Checks the values; see the class."""
        for name in ("steps", "batch_size", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.crop % 32 or not 32 <= self.crop <= self.resize:
            raise ValueError(
                f"crop must be a multiple of 32 that is at most resize ({self.resize}), "
                f"got {self.crop}"
            )
        if not 0 <= self.encoder_rate <= 1:
            raise ValueError(f"encoder_rate must be in [0, 1], got {self.encoder_rate}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be in [0, 1), got {self.ema}")
