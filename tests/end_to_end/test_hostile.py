"""The command over a folder of hostile files, as a user gives it."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest
from PIL import Image

from pipeline.storage.mask_names import shard_stem
from pipeline.storage.patterns import is_shard
from tests.end_to_end.command import SCRIPT
from tests.hostile.corpus import make_corpus

pytestmark = pytest.mark.slow


def contents(folder):
    """Every file below a folder, with a hash of its bytes."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def lines(folder):
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A job that may write where it likes: its home, its folder for temporary files, all around."""
    world = tmp_path_factory.mktemp("world")
    made = make_corpus(world / "corpus")
    for name in ("home", "temporary", "here"):
        (world / name).mkdir()
    before = contents(world)
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), "--input", "../corpus", "--image_size", "32"],
        cwd=world / "here",
        env={**os.environ, "HOME": str(world / "home"), "TMPDIR": str(world / "temporary")},
        capture_output=True,
        text=True,
    )
    output = world / "here" / "output"
    rows, failures = lines(output / "metrics"), lines(output / "failures")
    return made, before, contents(world), finished, output, rows, failures


def test_the_corpus_is_large_and_of_many_kinds(job):
    made, *_ = job
    assert len(made) >= 150
    assert len({one.kind for one in made}) >= 40


def test_the_job_ends_and_says_that_many_images_failed(job):
    *_, finished, _, rows, failures = job
    assert finished.returncode == 3, finished.stderr
    images = len(rows) + len(failures)
    assert finished.stdout.splitlines()[-1].startswith(
        f"{images} images, {len(failures)} failures, "
    )


def shown(one, key):
    """The key of an image; of a record, with its shard."""
    return f"{shard_stem(one.path)}/{key}" if is_shard(one.path) else key


def test_every_image_is_a_row_or_a_failure_and_none_is_both(job):
    made, *_, rows, failures = job
    found = Counter(row["key"] for row in rows) + Counter(one["key"] for one in failures)
    owed = Counter(shown(one, key) for one in made for key in one.keys if key)
    # What has no name, or one that is not its own, goes by its place.
    places = found - owed
    assert not places & owed and set(places.values()) == {1}
    assert all(count > 1 for key, count in owed.items() if found[key] < count)
    unnamed = 0
    for one in made:
        name = one.path.rsplit("/", 1)[1].encode(errors="backslashreplace").decode()
        mine = {key for key in places if name in key or f"{shard_stem(name)}/" in key}
        least = one.keys.count("") + one.rest
        most = len(one.keys) + one.rest
        assert least <= sum(places.pop(key) for key in mine) <= most, one
        unnamed += least
    assert not places
    assert found.total() == owed.total() + unnamed


def test_every_row_has_a_mask_of_its_own_with_the_size_it_says(job):
    *_, output, rows, _ = job
    assert len({row["mask"] for row in rows}) == len(rows)
    for row in rows:
        with Image.open(output / row["mask"]) as mask:
            assert mask.size == (row["width"], row["height"])
    masks = [path for path in (output / "masks").rglob("*") if path.is_file()]
    assert len(masks) == len(rows)


def test_every_failure_has_a_short_code_and_a_message_of_one_line(job):
    *_, failures = job
    for failure in failures:
        assert re.fullmatch(r"[A-Za-z_]{3,40}", failure["reason"]), failure
        assert failure["stage"] in ("index", "read", "decode")
        assert 0 < len(failure["message"]) <= 200
        assert len(failure["message"].splitlines()) == 1


def test_no_input_is_changed_and_nothing_is_written_beside_the_output(job):
    _, before, after, *_ = job
    assert before.items() <= after.items()
    allowed = (
        ("here", "output"),
        # What libraries keep for themselves.
        ("home", ".keras"),
        ("home", ".cache"),
    )
    assert {path for path in after if path.parts[:2] not in allowed} == set(before)
