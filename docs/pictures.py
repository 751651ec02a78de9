"""Makes the pictures of the README from the bundled photos: `python docs/pictures.py`.

It needs the extra `test`, and Chromium for the picture of the report.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tensorflow as tf
from PIL import Image, ImageOps
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SHOWN = ("chelsea", "coffee", "flower", "camera")
# Pixels of one picture, and between two.
WIDTH, HEIGHT, GAP = 300, 240, 8


def photos() -> dict[str, Image.Image]:
    """The bundled photos by their names, without suffix."""
    shards = sorted(map(str, (ROOT / "pipeline" / "sample").glob("*.tfrecord")))
    found = {}
    for record in tf.data.TFRecordDataset(shards):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        name = Path(features["image/filename"].bytes_list.value[0].decode()).stem
        found[name] = Image.open(io.BytesIO(features["image/encoded"].bytes_list.value[0]))
    return found


def chequered(cutout: Image.Image) -> Image.Image:
    """A cutout on the pattern that stands for nothing."""
    board = Image.new("L", (2, 2), 255)
    board.putdata([255, 215, 215, 255])
    side = -(-max(cutout.size) // 24) * 24
    board = Image.merge("RGB", [board] * 3)
    tiled = Image.new("RGB", (side, side))
    square = board.resize((24, 24), Image.Resampling.NEAREST)
    for left in range(0, side, 24):
        for top in range(0, side, 24):
            tiled.paste(square, (left, top))
    tiled.paste(cutout, (0, 0), cutout)
    return tiled.crop((0, 0, *cutout.size))


def example(output: Path) -> Image.Image:
    """A row each of photos, masks and cutouts."""
    found = photos()
    sheet = Image.new(
        "RGB", (len(SHOWN) * (WIDTH + GAP) - GAP, 3 * (HEIGHT + GAP) - GAP), (255, 255, 255)
    )
    for column, name in enumerate(SHOWN):
        (mask,) = (output / "masks").rglob(f"{name}.png")
        (cutout,) = (output / "cutouts").rglob(f"{name}.png")
        shown = Image.open(cutout)
        shown.thumbnail((2 * WIDTH, 2 * HEIGHT))
        for row, image in enumerate((found[name], Image.open(mask), chequered(shown))):
            fitted = ImageOps.fit(image.convert("RGB"), (WIDTH, HEIGHT))
            sheet.paste(fitted, (column * (WIDTH + GAP), row * (HEIGHT + GAP)))
    return sheet


def main() -> None:
    """Annotates the bundled photos and draws what came out."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "output")
        command = [sys.executable, ROOT / "run_pipeline.py", "--output=output", "--cutouts"]
        subprocess.run(command, check=True, cwd=folder)
        example(output).save(DOCS / "example.jpg", quality=88)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
            page = browser.new_page(viewport={"width": 1200, "height": 900})
            page.goto((output / "report.html").as_uri())
            page.screenshot(path=DOCS / "report.jpg", type="jpeg", quality=80)
            browser.close()


if __name__ == "__main__":
    main()
