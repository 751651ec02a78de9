"""The transform for pipelines of one's own, and the very text of docs/python.md."""

import io
import re
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
from PIL import Image

from pipeline.annotate_images import AnnotateImages
from pipeline.build import build
from pipeline.job_settings import Job
from pipeline.storage.journal_files import start
from tests.end_to_end.command import write_network

DOCUMENT = Path(__file__).parents[2] / "docs" / "python.md"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two photos and a file that is none, to be in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    y, x = np.mgrid[:90, :120]
    disk = (y - 45) ** 2 + (x - 60) ** 2 < 900
    for name, colour in (("a", (220, 40, 30)), ("b", (30, 60, 200))):
        photo = np.where(disk[..., None], colour, (90, 140, 80)).astype(np.uint8)
        Image.fromarray(photo).save(tmp_path / "photos" / f"{name}.jpg")
    (tmp_path / "photos" / "none.jpg").write_bytes(b"no photo")
    (tmp_path / "photo.jpg").write_bytes((tmp_path / "photos" / "a.jpg").read_bytes())
    return tmp_path


def examples():
    return re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def test_the_examples_of_the_document_run_and_agree(here, capfd):
    in_beam, one_photo = examples()
    exec(compile(in_beam, "docs/python.md", "exec"), {})
    lines = sorted(capfd.readouterr().out.splitlines())
    assert [line.split()[0] for line in lines] == [f"photos/{n}.jpg" for n in ("a", "b", "none")]
    assert [line.split()[2] for line in lines[:2]] == ["False", "False"]
    assert lines[2].split()[1] == "not_an_image"

    values = {}
    exec(compile(one_photo, "docs/python.md", "exec"), values)
    mask = np.asarray(Image.open("photo.png"))
    assert mask.shape == (90, 120) and (mask == values["mask"]).all()
    # The disk is what stands out.
    assert mask[45, 60] > 128 > mask[3, 3]


def test_masks_are_those_of_a_job(here):
    write_network("net.keras")
    settings = {"model": "net.keras", "image_size": 64, "threshold": 0.5}
    images = [(path.name, path.read_bytes()) for path in sorted(Path("photos").iterdir())]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        masks, failures = pipeline | beam.Create(images) | AnnotateImages(**settings)
        masks | "Mask" >> beam.Map(lambda one: Path(f"{one.key}.png").write_bytes(one.mask))
        failures | beam.Map(lambda one: Path("failed").write_text(f"{one.key}: {one.reason}"))
    job = Job("out", inputs=("photos",), **settings)
    start(job)
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        build(pipeline, job)
    for name in ("a", "b"):
        made = Path(f"{name}.jpg.png").read_bytes()
        assert made == Path(f"out/masks/{name}.png").read_bytes()
        assert Image.open(io.BytesIO(made)).size == (120, 90)
    assert Path("failed").read_text() == "none.jpg: not_an_image"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 100}, "a multiple of 32; got 100"),
        ({"batch_size": 0}, "at least 1; got 0"),
        ({"tta": "rotate"}, "got 'rotate'"),
        ({"precision": "auto"}, "got 'auto'"),
        ({"threshold": 0.0}, "in (0, 1]; got 0.0"),
    ],
)
def test_settings_that_are_none_are_refused(settings, message):
    with pytest.raises(ValueError) as caught:
        AnnotateImages(**settings)
    assert message in str(caught.value)
