"""What is refused before a job starts, in which words, and what is cleared."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest
from apache_beam.options.pipeline_options import S3Options

from model import presets
from pipeline.command import validate as flags
from pipeline.command.options import UsageError, parse
from pipeline.command.validate import check
from pipeline.job_settings import OUTPUTS, Job
from pipeline.storage.files import clear
from pipeline.storage.model_file import content_of_model
from tests.pipeline.object_store import ObjectStore


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with an image, a truth, a mask and a weights file, to run the command in."""
    for name in ("in/a.jpg", "truth/a.png", "masks/a.png", "net.keras", "net.weights.h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Whether the repository has them yet is another test's matter.
    monkeypatch.setattr(flags, "SAMPLE", str(tmp_path / "in"))
    return tmp_path


def job(*argv):
    return check(parse(list(argv)))


def refused(*argv):
    with pytest.raises(UsageError) as caught:
        job(*argv)
    return str(caught.value)


class Configured(ObjectStore):
    """Storage that nothing is known of without flags, as HDFS, or MinIO by S3's."""

    def __init__(self, pipeline_options):
        super().__init__(pipeline_options)
        assert pipeline_options.view_as(S3Options).s3_endpoint_url == "http://here"

    @classmethod
    def scheme(cls):
        return "configured"


def test_storage_is_looked_at_as_beams_flags_say(monkeypatch):
    monkeypatch.setattr(Configured, "files", {"configured://bucket/in/a.jpg"})
    flags = ("--input=configured://bucket/in", "--s3_endpoint_url=http://here")
    assert job(*flags).inputs == ("configured://bucket/in",)


def test_the_probe_of_a_folder_is_a_file_that_s3_takes_too(monkeypatch):
    written = []
    monkeypatch.setattr(flags, "write_file", lambda output, name, data: written.append(data))
    monkeypatch.setattr(flags, "delete", lambda paths: None)
    job("--output=out")
    assert len(written) == 1 and written[0]


def test_every_flag_has_a_default(folder):
    assert job() == Job(
        output="output",
        inputs=(str(folder / "in"),),
        input_format="auto",
        truth=None,
        masks=None,
        model="basnet_mini",
        image_size=224,
        batch_size=8,
        tta="none",
        precision="float32",
        threshold=None,
        model_content=content_of_model("basnet_mini"),
        read_timeout=60,
        resume=False,
    )
    assert parse([]).max_failure_rate == 0.1
    assert parse([]).overwrite is False


def save(path, activation="sigmoid", shape=(None, None, 3)):
    """Writes a network of one layer."""
    image = keras.Input(shape)
    keras.Model(image, keras.layers.Conv2D(1, 1, activation=activation)(image)).save(path)


def test_flags_become_the_job(folder):
    save(folder / "net.keras")
    found = job(
        *("--input", "in/*.jpg", "in", "--input_format=images", "--truth", "truth"),
        *("--output=out", "--model", "net.keras", "--image_size=64", "--batch_size", "3"),
        *("--tta=flip", "--precision=auto", "--threshold", "0.25", "--max_failure_rate=1"),
    )
    assert found == Job(
        output="out",
        inputs=("in/*.jpg", "in"),
        input_format="images",
        truth="truth",
        model="net.keras",
        image_size=64,
        batch_size=3,
        tta="flip",
        precision="auto",
        threshold=0.25,
        model_content=content_of_model("net.keras"),
    )


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--image_size=100"], ["--image_size", "multiple of 32", "100"]),
        (["--image_size=0"], ["--image_size", "0"]),
        (["--image_size=-32"], ["--image_size", "-32"]),
        (["--batch_size=0"], ["--batch_size", "at least 1", "0"]),
        (["--threshold=0"], ["--threshold", "(0, 1]", "0.0"]),
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
        (["--output", "in"], ["--output", "'in'", "not empty", "--overwrite"]),
        (["--output", "odd [1]"], ["--output", "'odd [1]'", "not empty"]),
        (["--output", "net.keras"], ["--output", "'net.keras'", "is a file"]),
        (["--output", "nowhere://x"], ["--output", "'nowhere://x'", "cannot be used"]),
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
                *("--input_format=images", "--image_size=224", "--batch_size=8", "--tta=none"),
                *("--precision=float32", "--threshold=0.5", "--threshold=0"),
            )
        ),
        (
            ["--masks", "masks", "--truth", "truth", "--tta=flip", "--image_size=32"],
            ["leave out --image_size, --tta"],
        ),
        (["--masks", "none", "--truth", "truth"], ["--masks", "'none'", "matches no file"]),
        (["--masks", "masks", "--truth", "none"], ["--truth", "'none'", "matches no file"]),
    ],
    ids=" ".join,
)
def test_what_cannot_work_is_refused_and_named(folder, argv, parts):
    (folder / "empty").mkdir()
    (folder / "odd [1]").mkdir()
    (folder / "odd [1]" / "a").write_bytes(b"x")
    message = refused(*argv)
    for part in parts:
        assert part in message


def test_limits_themselves_are_allowed():
    assert job("--threshold=1").threshold == 1
    assert job("--image_size=32", "--batch_size=1").image_size == 32
    assert job("--max_failure_rate=0")


def test_scoring_needs_no_model(monkeypatch):
    monkeypatch.setattr(flags, "PRESETS", {})
    found = job("--masks", "masks", "--truth", "truth")
    assert (found.masks, found.truth, found.inputs) == ("masks", "truth", ())


def test_presets_with_weights_and_files_of_either_kind_are_models(folder):
    for name, preset in presets.PRESETS.items():
        if preset.weights:
            assert job("--model", name).model == name
    save(folder / "net.keras")
    weights = folder / "net.weights.h5"
    weights.write_bytes(presets.PRESETS["basnet_mini"].weights.read_bytes())
    for name in ("net.keras", "net.weights.h5"):
        assert job("--model", name, "--image_size=32", "--batch_size=1").model == name


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ({"activation": None}, "if these are logits, add a sigmoid"),
        (
            {"shape": (64, 64, 3)},
            "the model takes (64, 64, 3); images are (32, 32, 3); an image_size of 64 would do",
        ),
    ],
)
def test_a_file_that_is_no_network_for_the_images_is_refused(folder, network, reason):
    save(folder / "net.keras", **network)
    message = refused("--model=net.keras", "--image_size=32")
    assert message.startswith("--model 'net.keras' cannot be used: the model")
    assert message.endswith(reason)
    assert "\n" not in message


def test_a_file_is_tried_in_the_precision_of_the_job(folder):
    image = keras.Input((None, None, 3))
    # Up to 255,000, which is infinite in float16.
    large = keras.layers.Conv2D(1, 1, kernel_initializer=keras.initializers.Constant(1000))(image)
    zero = keras.layers.Subtract()([large, large])
    outputs = keras.layers.Activation("sigmoid")(zero)
    keras.Model(image, outputs).save(folder / "net.keras")
    assert job("--model=net.keras").precision == "float32"
    assert "not finite" in refused("--model=net.keras", "--precision=float16")


def test_a_preset_needs_no_tensorflow_before_the_job_starts(folder):
    code = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None  # importing them raises
import apache_beam
from pipeline import build
from pipeline.command import validate as check
from pipeline.command import options
build.build(apache_beam.Pipeline(), check.check(options.parse(["--precision=auto", "--input=in"])))
"""
    root = str(Path(__file__).parents[3])
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}){code}"],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr


def test_an_output_folder_may_be_missing_or_empty(folder):
    (folder / "out").mkdir()
    assert job("--output", "out").output == "out"
    assert job("--output", "new/deep").output == "new/deep"
    assert not (folder / "new").exists()


@pytest.mark.parametrize("flags", [[], ["--resume"], ["--overwrite"]])
def test_what_a_run_left_that_was_killed_before_it_began_is_in_nobodys_way(folder, flags):
    lay(folder / "out", "temporary/probe-1", "temporary/2")
    assert job("--output", "out", *flags).output == "out"
    # However much it is, it hides nothing else.
    lay(folder / "out", *(f"temporary/{number}" for number in range(300)), "temporary.txt")
    assert flags == ["--overwrite"] or refused("--output", "out", *flags)


def lay(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


@pytest.mark.parametrize("output", ["out", "out [1]", "out/deep", "./out/"])
def test_overwriting_removes_what_a_job_wrote_and_nothing_else(folder, output):
    root = folder / output
    lay(root, "masks/a.png", "masks/b [2]/c.png", "metrics/metrics-00000-of-00001.jsonl")
    lay(root, "failures/failures-00000-of-00001.jsonl", "summary.json", "journal/job.json")
    lay(root, "notes.txt", "masks.txt", "mine/masks/a.png", "summary.json.bak")
    assert job("--output", output, "--overwrite").output == output
    assert (root / "summary.json").exists()  # checking alone removes nothing
    clear(output, OUTPUTS)
    left = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert left == ["masks.txt", "mine/masks/a.png", "notes.txt", "summary.json.bak"]
    assert not (root / "masks").exists()


@pytest.mark.parametrize("name", ["masks/a.png", "metrics/m.jsonl", "failures/f", "summary.json"])
def test_overwriting_what_no_job_made_is_refused(folder, name):
    lay(folder / "set [1]", name)
    message = refused("--output", "set [1]", "--overwrite")
    assert f"holds {name.partition('/')[0]}, but no journal of an earlier job" in message
    # Nothing of a job's names: there is nothing that it would remove.
    lay(folder / "notes", "notes.txt", "masks.txt", "mine/masks/a.png")
    assert job("--output", "notes", "--overwrite").output == "notes"


@pytest.mark.parametrize("output", ["store://bucket/out", "store://bucket/out [1]/"])
def test_overwriting_on_an_object_store_removes_the_same(output, monkeypatch):
    root = output.rstrip("/")
    kept = {f"{root}/notes.txt", f"{root}/masks.txt", f"{root}2/masks/a.png"}
    ours = {f"{root}/masks/c/a [2].png", f"{root}/metrics/metrics-0.jsonl", f"{root}/summary.json"}
    monkeypatch.setattr(ObjectStore, "files", kept | ours)
    assert "holds masks, but no journal" in refused("--output", output, "--overwrite")
    ours.add(f"{root}/journal/job.json")
    monkeypatch.setattr(ObjectStore, "files", kept | ours)
    assert "not empty" in refused("--output", output)
    assert job("--output", output, "--overwrite").output == output
    assert "--overwrite" in refused("--input", f"{root}/masks", "--output", output, "--overwrite")
    clear(output, OUTPUTS)
    assert ObjectStore.files == kept


def test_a_model_on_an_object_store_is_checked_as_one_on_this_machine(folder, monkeypatch):
    model = "store://bucket/net.keras"
    monkeypatch.setattr(ObjectStore, "files", {model})
    save(folder / "net.keras")
    monkeypatch.setattr(ObjectStore, "content", (folder / "net.keras").read_bytes())
    assert job("--model", model).model == model
    save(folder / "net.keras", activation=None)
    monkeypatch.setattr(ObjectStore, "content", (folder / "net.keras").read_bytes())
    assert "add a sigmoid" in refused("--model", model)
    monkeypatch.setattr(ObjectStore, "content", b"x")
    assert refused("--model", model).startswith(f"--model '{model}' cannot be used: it is no")


@pytest.mark.parametrize(
    "argv",
    [
        ["--output", "output"],
        ["--input", "in"],
        ["--truth", "truth"],
        ["--masks", "masks", "--truth", "store://bucket/truth"],
        ["--model", "net.keras"],
    ],
    ids=" ".join,
)
def test_dataflow_needs_paths_that_its_workers_see(argv, monkeypatch):
    below = {f"store://bucket/{name}" for name in ("in/a.jpg", "truth/a.png")}
    monkeypatch.setattr(ObjectStore, "files", below)
    remote = {"--output": "store://bucket/out"}
    if "--masks" not in argv:
        remote["--input"] = "store://bucket/in"
    chosen = {**remote, **dict(zip(argv[::2], argv[1::2], strict=True))}
    message = refused(
        "--runner=DataflowRunner", *(text for pair in chosen.items() for text in pair)
    )
    assert f"{argv[0]} {argv[1]!r} is on this machine" in message


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
def test_overwriting_what_is_to_be_read_is_refused(folder, argv):
    lay(folder / "out", "masks/a.png", "journal/job.json")
    message = refused(*argv, "--output=out", "--overwrite")
    assert "--overwrite" in message and "masks" in message
