"""The table of figures, from masks whose figures are known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import quality
from benchmarks.quality import main
from benchmarks.results_files import read
from model.training.pairs import find_pairs, split_pairs

RIVALS = Path(quality.__file__).parent / "rivals"


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


def test_masks_of_others_and_rivals_share_a_table(folder, tmp_path, capsys):
    everything = f"everything={folder / 'all'}"
    rival = RIVALS / "basnet_published.json"
    file = tmp_path / "quality.json"
    flags = ["--data", str(folder), "--model", "--masks", everything]
    main([*flags, "--rivals", str(rival), "--output", str(file)])
    measured = read(file)
    own, published = measured.rows
    assert (own["set"], own["images"], own["masks of"]) == ("squares", 6, "everything")
    # Half of each photo is wrong; precision 1/2, recall 1, beta squared 0.3.
    assert (own["MAE"], own["IoU"]) == ("0.500", "0.500")
    assert own["max F"] == f"{1.3 * 0.5 / (0.3 * 0.5 + 1):.3f}"
    # A rival has its own set and number of photos, and its source in the notes.
    assert (published["set"], published["images"], published["MAE"]) == ("ECSSD", 1000, "0.037")
    assert published["IoU"] is None
    (note,) = measured.notes
    assert "BASNet as published: its authors' paper" in note
    assert "| ECSSD | 1000 | BASNet as published |" in capsys.readouterr().out


@pytest.mark.slow
def test_only_the_held_out_photos_are_measured(folder, tmp_path):
    held_out = split_pairs(find_pairs(folder), 0.5)[1]
    assert 0 < len(held_out) < 6
    flags = ["--data", str(folder), "--held_out", "0.5", "--image_size", "32", "--tta", "flip"]
    main([*flags, "--output", str(tmp_path / "quality.json")])
    (row,) = read(tmp_path / "quality.json").rows
    assert list(row.values())[:3] == ["squares", len(held_out), "basnet_mini, 32², flipped too"]
    assert all(0 <= float(figure) <= 1 for figure in list(row.values())[3:])


def test_folders_of_one_name_would_share_a_row(folder, tmp_path, capsys):
    other = tmp_path / "other" / folder.name
    other.parent.mkdir()
    other.symlink_to(folder)
    with pytest.raises(SystemExit):
        main(["--data", str(folder), str(other.parent / folder.name)])
    assert "have the same name" in capsys.readouterr().err


def test_a_rival_that_cannot_be_read_is_named_before_anything_is_measured(folder, tmp_path, capsys):
    rival = tmp_path / "rival.json"
    rival.write_text("{}")
    with pytest.raises(SystemExit):
        main(["--data", str(folder), "--rivals", str(rival)])
    assert f"{rival} lacks" in capsys.readouterr().err
