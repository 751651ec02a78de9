"""What a network marks where there is no object: skies, textures, documents and star fields.

The photos are made from random numbers, the same on every machine. A folder of others may be given.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.results_files import Measured, parser, publish
from model.inference.load import load_model
from model.inference.segmenter import Segmenter
from model.metrics.pair import describe_mask
from pipeline.images.mask import full_size_mask
from pipeline.images.photo import decode_image
from pipeline.job_settings import Job

MODULE = "benchmarks.empty_photos"
WIDTH, HEIGHT = 640, 480


def _fractal(rng: np.random.Generator, power: float) -> np.ndarray:
    """Noise in [0, 1] whose amplitudes fall with the frequency to the given power."""
    y, x = np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None]
    frequency = np.hypot(x, y)
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.normal(size=(HEIGHT, WIDTH))) / frequency**power
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (HEIGHT, WIDTH))
    return (noise - noise.min()) / (noise.max() - noise.min())


def _coloured(shades: np.ndarray, dark: Sequence[int], light: Sequence[int]) -> np.ndarray:
    """Shades in [0, 1] to colours, uint8 (H, W, 3)."""
    mixed = np.asarray(dark) + shades[..., None] * (np.asarray(light) - np.asarray(dark))
    return np.rint(mixed).astype(np.uint8)


def _clear_sky(rng: np.random.Generator) -> np.ndarray:
    shades = np.linspace(0, 1, HEIGHT)[:, None] + rng.normal(0, 0.01, (HEIGHT, WIDTH))
    return _coloured(shades.clip(0, 1), (70, 120, 200), (190, 215, 240))


def _clouds(rng: np.random.Generator) -> np.ndarray:
    return _coloured(_fractal(rng, 1.6), (80, 130, 205), (245, 245, 250))


def _overcast(rng: np.random.Generator) -> np.ndarray:
    return _coloured(_fractal(rng, 1.8), (120, 125, 130), (200, 202, 205))


def _grass(rng: np.random.Generator) -> np.ndarray:
    return _coloured(_fractal(rng, 0.6), (30, 60, 15), (150, 190, 80))


def _sand(rng: np.random.Generator) -> np.ndarray:
    return _coloured(_fractal(rng, 0.4), (150, 120, 80), (235, 215, 170))


def _water(rng: np.random.Generator) -> np.ndarray:
    waves = np.sin(np.arange(HEIGHT)[:, None] / 6 + 9 * _fractal(rng, 1.5))
    return _coloured((waves + 1) / 2, (20, 60, 90), (120, 170, 190))


def _wood(rng: np.random.Generator) -> np.ndarray:
    rings = np.sin(np.arange(WIDTH)[None] / 9 + 25 * _fractal(rng, 1.7))
    return _coloured((rings + 1) / 2, (95, 60, 30), (190, 140, 90))


def _bricks(rng: np.random.Generator) -> np.ndarray:
    picture = Image.new("RGB", (WIDTH, HEIGHT), (180, 175, 165))
    draw = ImageDraw.Draw(picture)
    for row, top in enumerate(range(0, HEIGHT, 30)):
        for left in range(-80 + 40 * (row % 2), WIDTH, 80):
            red = int(rng.integers(130, 180))
            draw.rectangle((left, top, left + 75, top + 25), fill=(red, red // 2, red // 3))
    return np.asarray(picture)


def _tiles(_: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH] // 40
    return _coloured(((x + y) % 2).astype(float), (60, 60, 60), (220, 220, 220))


def _document(rng: np.random.Generator) -> np.ndarray:
    picture = Image.new("RGB", (WIDTH, HEIGHT), (250, 249, 245))
    draw = ImageDraw.Draw(picture)
    for top in range(30, HEIGHT - 30, 16):
        words = ["".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(2, 10)))]
        while draw.textlength(" ".join(words)) < WIDTH - 120:
            words.append("".join(chr(97 + c) for c in rng.integers(0, 26, rng.integers(2, 10))))
        draw.text((40, top), " ".join(words), fill=(20, 20, 25))
    return np.asarray(picture)


def _star_field(rng: np.random.Generator) -> np.ndarray:
    sky = np.zeros((HEIGHT, WIDTH))
    stars = 600
    sky[rng.integers(0, HEIGHT, stars), rng.integers(0, WIDTH, stars)] = rng.exponential(400, stars)
    blurred = Image.fromarray(sky.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    return _coloured((np.asarray(blurred) / 100).clip(0, 1), (5, 5, 15), (255, 250, 240))


def _noise(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


KINDS: Mapping[str, Callable[[np.random.Generator], np.ndarray]] = {
    "clear sky": _clear_sky,
    "clouds": _clouds,
    "overcast sky": _overcast,
    "grass": _grass,
    "sand": _sand,
    "water": _water,
    "wood": _wood,
    "bricks": _bricks,
    "tiles": _tiles,
    "a page of text": _document,
    "star field": _star_field,
    "noise": _noise,
}


def made_photos() -> dict[str, bytes]:
    """Returns a JPEG of each of ``KINDS``, by name."""
    photos = {}
    for number, (name, make) in enumerate(KINDS.items()):
        buffer = io.BytesIO()
        Image.fromarray(make(np.random.default_rng(number))).save(buffer, "JPEG", quality=90)
        photos[name] = buffer.getvalue()
    return photos


def measure(photos: Mapping[str, bytes], networks: Mapping[str, Segmenter]) -> list[dict]:
    """Measures what networks mark in photos.

    Args:
        photos: Encoded photos, by name.
        networks: Networks of one size each, by name.

    Returns:
        A row for each photo: for each network the share of pixels with a probability of at least
        0.5, and the share between 0.1 and 0.9.
    """
    rows = []
    for name, data in photos.items():
        row: dict = {"photo": name}
        for network, segmenter in networks.items():
            decoded = decode_image(data, segmenter.image_size)
            mask = full_size_mask(segmenter(decoded.pixels[None])[0], decoded.size, None)
            described = describe_mask(mask)
            row[f"{network}: object"] = described["foreground_fraction"]
            row[f"{network}: unsure"] = described["uncertain_fraction"]
        rows.append(row)
    figures = [column for column in rows[0] if column != "photo"]
    return [*rows, {"photo": "mean", **{c: float(np.mean([r[c] for r in rows])) for c in figures}}]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__)
    flags.add_argument("--model", nargs="+", default=[Job.model], help="as --model")
    flags.add_argument("--image_size", type=int, default=Job.image_size, help="as --image_size")
    flags.add_argument("--photos", type=Path, help="a folder of photos instead of those made here")
    arguments = flags.parse_args(argv)
    photos = made_photos()
    if arguments.photos:
        photos = {path.name: path.read_bytes() for path in sorted(arguments.photos.iterdir())}
    side = arguments.image_size
    networks = {name: Segmenter(load_model(name), side, 1) for name in arguments.model}
    notes = [
        f"At {side}². Object: the share of pixels with a probability of at least 0.5, which should "
        "be 0. Unsure: the share of those from 0.1 to 0.9.",
    ]
    rows = measure(photos, networks)
    title = "Photos without an object"
    publish(Measured(title, rows, [], notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
