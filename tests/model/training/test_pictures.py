"""Photos and masks of training: every format that the pipeline reads, upright, or a word."""

import numpy as np
import pytest
from PIL import Image

from model.image_formats import readable_formats
from model.training.pictures import find_pictures, open_picture, upright_size

TURNED = {0x0112: 6}


def photo():
    """24 x 16 pixels: red on the left, blue on the right."""
    image = Image.new("RGB", (24, 16), "red")
    image.paste("blue", (12, 0, 24, 16))
    return image


@pytest.mark.parametrize(
    "suffix", ["jpg", "png", "webp", "bmp", "tif", "avif", "heic", "jp2", "ppm"]
)
def test_every_format_is_read_upright(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    if suffix == "heic":
        pytest.importorskip("pillow_heif")
        assert "HEIF" in readable_formats()
    exif = Image.Exif()
    exif.update(TURNED)
    # HEIC has its own way to say how a photo is turned, which its reader follows.
    has_exif = suffix not in ("bmp", "heic", "jp2", "ppm")
    photo().save(path, **({"exif": exif} if has_exif else {}))
    image = open_picture(path, "RGB")
    assert image.size == upright_size(path) == ((16, 24) if has_exif else (24, 16))
    # Turned by a quarter to the right, what was on the left is above.
    red, blue = image.getpixel((4, 4)), image.getpixel((11, 19) if has_exif else (19, 11))
    assert red[0] > 200 > 60 > red[2] and blue[2] > 200 > 60 > blue[0]


def test_more_than_8_bits_are_refused_rather_than_cut_off(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(path)
    with pytest.raises(ValueError, match=r"a\.png has more than 8 bits a pixel; save it with 8"):
        open_picture(path, "RGB")


def test_a_transparent_photo_is_refused_and_an_opaque_one_is_read(tmp_path):
    path = tmp_path / "a.png"
    image = photo().convert("RGBA")
    image.save(path)
    assert open_picture(path, "RGB").getpixel((0, 0)) == (255, 0, 0)
    image.putpixel((3, 3), (0, 0, 255, 254))
    image.save(path)
    with pytest.raises(ValueError, match=r"a\.png is transparent; lay it on a ground"):
        open_picture(path, "RGB")
    assert open_picture(path, "L").size == (24, 16)


def test_what_is_no_picture_by_its_name_is_counted(tmp_path, capsys):
    for name in ("a.jpg", "b.psd", "c.psd", "d", ".hidden", "e/f.png", "e/g.psd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert find_pictures(tmp_path) == [tmp_path / "a.jpg"]
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}: 2 files .psd are not read, such as {tmp_path}/b.psd",
        f"{tmp_path}: 1 files without suffix are not read, such as {tmp_path}/d",
    ]
    assert find_pictures(tmp_path, below=True) == [tmp_path / "a.jpg", tmp_path / "e" / "f.png"]
    assert "3 files .psd" in capsys.readouterr().out
