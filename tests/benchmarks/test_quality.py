"""The table of figures, from masks whose figures are known."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import main
from model.training.pairs import find_pairs, split_pairs


@pytest.fixture
def folder(tmp_path):
    """Photos that are half object, their masks, and masks that are all object."""
    for kind in ("images", "masks", "all/squares"):
        (tmp_path / "squares" / kind).mkdir(parents=True)
    mask = np.zeros((40, 40), "uint8")
    mask[:, :20] = 255
    for number in range(6):
        root, name = tmp_path / "squares", f"square{number}.png"
        photo = Image.new("RGB", (40, 40), (200, 40 * number, 0))
        photo.paste((0, 0, 90), (20, 0, 40, 40))
        photo.save(root / "images" / name)
        Image.fromarray(mask).save(root / "masks" / name)
        Image.new("L", (40, 40), 255).save(root / "all" / "squares" / name)
    return tmp_path / "squares"


def _cells(line):
    return [cell.strip() for cell in line.strip("|\n ").split("|")]


def test_masks_of_others(folder, capsys):
    main(["--data", str(folder), "--model", "--masks", f"everything={folder / 'all'}"])
    head, _, row = map(_cells, capsys.readouterr().out.splitlines())
    figures = dict(zip(head, row, strict=True))
    assert (figures["set"], figures["images"], figures["masks of"]) == (
        "squares",
        "6",
        "everything",
    )
    # Half of each photo is wrong; precision 1/2, recall 1, beta squared 0.3.
    assert (figures["MAE"], figures["IoU"]) == ("0.500", "0.500")
    assert figures["max F"] == f"{1.3 * 0.5 / (0.3 * 0.5 + 1):.3f}"


@pytest.mark.slow
def test_only_the_held_out_photos_are_measured(folder, capsys):
    held_out = split_pairs(find_pairs(folder), 0.5)[1]
    assert 0 < len(held_out) < 6
    flags = ["--data", str(folder), "--held_out", "0.5", "--image_size", "32", "--tta", "flip"]
    main(flags)
    head, _, *rows = map(_cells, capsys.readouterr().out.splitlines())
    assert len(rows) == 1
    assert rows[0][:3] == ["squares", str(len(held_out)), "basnet_mini, 32², flipped too"]
    assert all(0 <= float(cell) <= 1 for cell in rows[0][3:])
    assert len(rows[0]) == len(head)


def test_folders_of_one_name_would_share_a_row(folder, tmp_path, capsys):
    other = tmp_path / "other" / folder.name
    other.parent.mkdir()
    other.symlink_to(folder)
    with pytest.raises(SystemExit):
        main(["--data", str(folder), str(other.parent / folder.name)])
    assert "have the same name" in capsys.readouterr().err
