"""Published weights, from their file to masks, by the two commands."""

import pytest

from model.convert import main
from tests.end_to_end.command import run_here
from tests.published import write_paper


@pytest.mark.slow
def test_a_converted_file_annotates_the_bundled_sample(tmp_path):
    pytest.importorskip("torch")
    source, model = tmp_path / "basnet.pth", tmp_path / "basnet.keras"
    write_paper(source)
    main([str(source), str(model)])
    status, out, err = run_here("--model=basnet.keras", "--image_size=64", cwd=tmp_path)
    source.unlink()
    model.unlink()
    assert status == 0 and out.startswith("11 images, 0 failures"), err
    assert len(list((tmp_path / "output" / "masks").rglob("*.png"))) == 11
