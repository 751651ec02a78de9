"""Flags to a job, and what is refused before it starts, in which words."""

import gzip
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import S3Options

from pipeline.command.options import parse
from pipeline.job_settings import Job
from pipeline.storage.model_file import content_of_model
from tests.pipeline.checked import enter_folder, job, refused
from tests.pipeline.object_store import ObjectStore
from tests.pipeline.shard_files import image_column, lay, write_parquet

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with one file of each kind, to run the command in."""
    enter_folder(tmp_path, monkeypatch)
    return tmp_path


class Configured(ObjectStore):
    """Storage that nothing is known of without flags, as HDFS, or MinIO by S3's."""

    def __init__(self, pipeline_options):
        super().__init__(pipeline_options)
        assert pipeline_options.view_as(S3Options).s3_endpoint_url == "http://here"

    @classmethod
    def scheme(cls):
        return "configured"


def test_storage_is_looked_at_as_beams_flags_say(monkeypatch):
    monkeypatch.setattr(Configured, "files", {"configured://bucket/in/a.jpg": b"x"})
    flags = ("--input=configured://bucket/in", "--s3_endpoint_url=http://here")
    assert job(*flags).inputs == ("configured://bucket/in",)


def test_flags_of_records_are_taken_where_the_truths_of_masks_are_records(folder):
    write_parquet(folder / "t.parquet", {"seg": image_column([b"x"]), "id": (None, ["a"])})
    flags = ("--masks=masks", "--truth=t.parquet", "--truth_field=seg", "--name_field=id")
    found = job(*flags)
    assert (found.truth_field, found.name_field) == ("seg", "id")
    assert "leave out --image_field" in refused(*flags, "--image_field=seg")


def test_every_flag_has_a_default():
    assert job() == Job(
        output="output",
        inputs=(str(ROOT / "pipeline" / "sample" / "*.tfrecord"),),
        input_format="auto",
        truth=None,
        masks=None,
        model="basnet_mini",
        image_size=256,
        batch_size=8,
        tta="none",
        precision="float32",
        engine="openvino" if find_spec("openvino") else "keras",
        require_gpu=False,
        threshold=None,
        mask_format="png",
        with_images=False,
        cutouts="",
        overlays=False,
        model_content=content_of_model("basnet_mini"),
        read_timeout=60,
        max_megapixels=200,
        resume=False,
        processes=1,
    )
    assert job().max_pixels == 200_000_000 and job("--max_megapixels=0.5").max_pixels == 500_000
    assert parse([]).max_failure_rate == 0.1
    assert parse([]).overwrite is False


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--image_size=100"], ["--image_size", "multiple of 32", "100"]),
        (["--image_size=0"], ["--image_size", "0"]),
        (["--image_size=-32"], ["--image_size", "-32"]),
        (["--batch_size=0"], ["--batch_size", "at least 1", "0"]),
        (["--threshold=0"], ["--threshold", "(0, 1]", "0.0"]),
        (["--with_images"], ["--with_images", "add --mask_format tfrecord"]),
        (["--threshold=1.5"], ["--threshold", "1.5"]),
        (["--threshold=nan"], ["--threshold", "nan"]),
        (["--max_failure_rate=-0.1"], ["--max_failure_rate", "[0, 1]", "-0.1"]),
        (["--max_failure_rate=nan"], ["--max_failure_rate", "nan"]),
        (["--input", "in", "none"], ["--input", "'none'", "matches no file"]),
        (["--input", "in/*.gif"], ["--input", "'in/*.gif'"]),
        (["--input", "empty"], ["--input", "'empty'", "matches no file"]),
        (["--input", "in", "--input_format=tfrecord"], ["--input", "'in'"]),
        (["--input", "nowhere://x"], ["--input", "'nowhere://x'", "cannot be read"]),
        (["--truth", "none"], ["--truth", "'none'"]),
        (["--truth", "truth/{nmae}.png"], ["matches no file; {nmae} stands for", "{name} for the"]),
        (["--truth", "{name}/{name}.png"], ["--truth", "{name} is there 2 times", "once"]),
        (["--truth", "truth/{name}*.png"], ["--truth", "after {name}", "{name}_mask.*"]),
        (["--truth", "truth/{name}_m.png"], ["--truth 'truth/{name}_m.png' matches no file"]),
        (["--input", "in", "--truth", "*/{name}.*"], ["1 wildcards before {name}", "'in' has 0"]),
        (["--input", "in/{name}.jpg"], ["--input", "{name} is known in --truth only"]),
        (["--output", "in"], ["--output", "'in'", "not empty", "--overwrite"]),
        (["--output", "in/a.jpg/out"], ["--output", "cannot be written to"]),
        (["--read_timeout=0"], ["--read_timeout", "above 0", "0.0"]),
        (["--max_megapixels=0"], ["--max_megapixels", "above 0", "0.0"]),
        (["--max_megapixels=-3"], ["--max_megapixels", "-3"]),
        (["--max_megapixels=nan"], ["--max_megapixels", "nan"]),
        (["--max_megapixels=inf"], ["--max_megapixels", "inf"]),
        (["--resume", "--overwrite"], ["--resume", "--overwrite", "give one"]),
        (["--model=basnet_mimi"], ["'basnet_mimi'", "did you mean basnet_mini?"]),
        (["--model=zzzz"], ["--model", "'zzzz'", "presets are basnet_mini"]),
        (["--model=basnet_resnet34"], ["'basnet_resnet34'", "no weights", "basnet_mini"]),
        (["--model=none.keras"], ["--model", "'none.keras'", "no such file"]),
        (["--model=nowhere://x.keras"], ["--model", "'nowhere://x.keras'", "cannot be read"]),
        (["--model=net.keras"], ["--model 'net.keras' cannot be used: it is no .keras file"]),
        (
            ["--model=net.weights.h5"],
            ["--model 'net.weights.h5' cannot be used: it cannot be read"],
        ),
        (["--masks", "masks"], ["--masks", "--truth"]),
        (["--masks", "masks", "--truth", "truth", "--input", "in"], ["--masks", "--input"]),
        (["--masks", "masks", "--truth", "truth", "--model", "net.keras"], ["--masks", "--model"]),
        *(
            (["--masks", "masks", "--truth", "truth", flag], ["leave out " + flag.split("=")[0]])
            for flag in (
                *("--input_format=images", "--image_size=32", "--batch_size=1", "--tta=flip"),
                *("--precision=auto", "--threshold=0.5", "--threshold=0", "--require_gpu"),
                *("--mask_format=tfrecord", "--with_images", "--cutouts", "--overlays"),
            )
        ),
        (
            ["--masks", "masks", "--truth", "truth", "--tta=flip", "--image_size=32"],
            ["leave out --image_size, --tta"],
        ),
        (["--masks", "masks", "--truth", "truth", "--truth_field=a"], ["leave out --truth_field"]),
        (["--truth", "tars"], ["--truth 'tars' holds 1", "an image (*.tar)", "such as tars/*.tar"]),
        (
            ["--masks", "tars", "--truth", "truth"],
            ["--masks 'tars' holds 1 files", "such as tars/*.tar"],
        ),
        (["--input", "tars", "--input_format=parquet"], ["a shard of parquet (*.tar)", "tars/*"]),
        (["--masks", "none", "--truth", "truth"], ["--masks", "'none'", "matches no file"]),
        (["--masks", "masks", "--truth", "none"], ["--truth", "'none'", "matches no file"]),
    ],
    ids=" ".join,
)
def test_what_cannot_work_is_refused_and_named(folder, argv, parts):
    (folder / "empty").mkdir()
    lay(folder / "tars", "masks.tar")
    message = refused(*argv)
    for part in parts:
        assert part in message


@pytest.mark.parametrize("flag", ["--masks", "--truth"])
def test_shards_in_which_no_record_can_be_looked_up_are_refused(folder, flag):
    (folder / "t-00000-of-00001.tar").write_bytes(gzip.compress(b"x"))
    other = "--truth" if flag == "--masks" else "--input"
    message = refused(flag, "t-*.tar", other, "truth" if flag == "--masks" else "in")
    assert f"{flag} './t-00000-of-00001.tar' is packed with gzip" in message
    assert message.endswith("unpack it first, as gunzip does")


def test_a_truth_may_have_a_name_and_wildcards_that_the_input_has():
    assert job("--input", "in/*.jpg", "--truth", "truth/{name}.*").truth == "truth/{name}.*"
    assert job("--input", "*/*.jpg", "--truth", "*/{name}.*").truth == "*/{name}.*"


def test_limits_themselves_are_allowed():
    assert job("--threshold=1").threshold == 1
    assert job("--image_size=32", "--batch_size=1").image_size == 32
    assert job("--max_failure_rate=0")


def test_scoring_needs_no_model():
    found = job("--masks", "masks", "--truth", "truth", "--image_size=256")
    assert found == Job("output", masks="masks", truth="truth")


def test_a_preset_needs_no_tensorflow_before_the_job_starts(folder):
    code = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None  # importing them raises
import apache_beam
from pipeline.build import build
from pipeline.command.options import parse
from pipeline.command.validate import validate
build(apache_beam.Pipeline(), validate(parse(["--input=in"])))
"""
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}){code}"],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["--masks", "out/masks", "--truth", "truth"],
        ["--masks", "./out/masks/*.png", "--truth", "truth"],
        ["--input", "in", "out/masks/a.png"],
        ["--truth", "out/masks"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("flag", "what"), [("--overwrite", "--overwrite removes"), ("--resume", "goes on with wrote")]
)
def test_what_the_job_writes_is_not_to_be_read(folder, argv, flag, what):
    lay(folder / "out", "masks/a.png", "journal/job.json")
    message = refused(*argv, "--output=out", flag)
    assert what in message and "masks" in message


def test_a_tilde_behind_an_equals_sign_is_the_users_home(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    found = job("--input=~/in", "--truth=~/truth", "--output=~/out")
    assert (found.inputs, found.truth) == ((f"{folder}/in",), f"{folder}/truth")
    assert found.output == f"{folder}/out"


def test_inputs_of_a_flag_that_is_given_twice_are_all_kept():
    assert job("--input", "in", "in/a.jpg", "--input=in/*.jpg").inputs == (
        "in",
        "in/a.jpg",
        "in/*.jpg",
    )
