"""The layout of the project: imports, lengths of files and functions, contents of packages."""

import ast
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("model", "pipeline", "deploy", "benchmarks", "tests")

# Rooms from top to bottom. A module may import from its own row's room, and from rows below.
# Rooms of one row do not import each other.
ROWS = (
    ("run_pipeline",),
    ("pipeline.command",),
    ("pipeline.annotate_images", "pipeline.build"),
    ("pipeline.stages",),
    ("pipeline.report",),
    ("pipeline.annotations", "pipeline.images", "pipeline.storage"),
    ("pipeline.records",),
    (
        "pipeline.columns",
        "pipeline.failures",
        "pipeline.job_settings",
        "pipeline.output_layout",
        "pipeline.progress_counts",
        "pipeline.tally",
    ),
    ("model.train", "model.convert"),
    ("model.training", "model.published"),
    ("model.inference",),
    ("model.networks",),
    (
        "model.annotations",
        "model.image_formats",
        "model.metrics",
        "model.precision",
        "model.presets",
        "model.whole_files",
    ),
)
# What rooms must never import, at any place in a file.
FORBIDDEN = {
    "model": ("apache_beam", "pipeline"),
    "model.annotations": ("apache_beam", "keras", "tensorflow"),
    "model.metrics": ("apache_beam", "keras", "tensorflow"),
    "pipeline.annotations": ("apache_beam", "keras", "tensorflow"),
    "pipeline.images": ("apache_beam", "keras", "tensorflow"),
    "pipeline.report": ("keras", "tensorflow"),
}
# What is not imported when a module is, so that a graph is built and --help said without it.
LATE = {
    "pipeline": ("keras", "tensorflow", "openvino", "pycocotools", "contourpy", "jinja2", "scipy"),
    "pipeline.command.flags": ("apache_beam",),
}
# Tables of data, which may be long.
TABLES = ("tests/hostile/formats.py",)


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def own_modules():
    paths = [path for folder in ("model", "pipeline") for path in (ROOT / folder).rglob("*.py")]
    return {module_name(path): path for path in [*paths, ROOT / "run_pipeline.py"]}


def imported(tree):
    """Full names of what a tree imports: modules, and names in modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their module in full"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def at_import(path):
    """Names that are imported when the module is: not inside functions, not for types alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if is_typing or isinstance(node, ast.FunctionDef):
            node.body = [ast.Pass()]
    return set(imported(tree))


def everywhere(path):
    return set(imported(ast.parse(path.read_text())))


def lies_in(name, room):
    return name == room or name.startswith(f"{room}.")


def room_of(name):
    """The row and the room of a module; None for a package that only holds rooms."""
    for row, rooms in enumerate(ROWS):
        for room in rooms:
            if lies_in(name, room):
                return row, room
    return None


def test_every_module_lies_in_a_room():
    homeless = {name for name in own_modules() if room_of(name) is None}
    assert homeless == {"model", "pipeline"}


def test_no_module_imports_upwards_or_sideways():
    wrong = []
    for name, path in own_modules().items():
        if room_of(name) is None:
            continue
        row, room = room_of(name)
        for target in everywhere(path):
            other = room_of(target)
            if other and other[1] != room and other[0] <= row:
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle():
    modules = own_modules()

    def target(name):
        return name if name in modules else name.rpartition(".")[0]

    graph = {
        name: {target(found) for found in everywhere(path)} & modules.keys()
        for name, path in modules.items()
    }
    while ends := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - ends for name, targets in graph.items() if name not in ends}
    assert graph == {}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_stay_without_what_they_must_not_need(room):
    for name, path in own_modules().items():
        if lies_in(name, room):
            for target in everywhere(path):
                assert not any(lies_in(target, one) for one in FORBIDDEN[room]), (name, target)


@pytest.mark.parametrize("room", LATE)
def test_slow_libraries_are_imported_late(room):
    for name, path in own_modules().items():
        if lies_in(name, room):
            for target in at_import(path):
                assert not any(lies_in(target, one) for one in LATE[room]), (name, target)


def test_the_pipeline_is_built_without_loading_tensorflow():
    code = """
import sys
for name in ("tensorflow", "keras"):
    sys.modules[name] = None  # importing it raises
import apache_beam as beam
from pipeline.build import build
from pipeline.job_settings import Job
build(beam.Pipeline(), Job("out", inputs=("in",), resume=True))
build(beam.Pipeline(), Job("out", masks="in", truth="truth"))
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_files_and_functions_are_short():
    long = []
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        text, name = path.read_text(), str(path.relative_to(ROOT))
        if len(text.splitlines()) > 300 and name not in TABLES:
            long.append(f"{name}: {len(text.splitlines())} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno >= 60:
                long.append(f"{name}: {node.name} has {node.end_lineno - node.lineno + 1} lines")
    assert long == []


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The names of the files in the wheel and in the sdist, and the commands of the wheel."""
    folder = tmp_path_factory.mktemp("distributions")
    copy = folder / "project"
    copy.mkdir()
    for name in ("model", "pipeline"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for kind in ("sdist", "bdist_wheel"):
        command = [sys.executable, "setup.py", "-q", kind, "--dist-dir", "dist"]
        subprocess.run(command, cwd=copy, check=True, capture_output=True)
    (wheel,), (sdist,) = (list(copy.glob(f"dist/*.{end}")) for end in ("whl", "tar.gz"))
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
        entry_points = [name for name in in_wheel if name.endswith("entry_points.txt")]
        commands = archive.read(*entry_points).decode()
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    return in_wheel, in_sdist, commands


def test_wheel_and_sdist_hold_every_module_and_every_data_file(distributions):
    wanted = {
        str(path.relative_to(ROOT))
        for folder in ("model", "pipeline")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert "model/weights/basnet_mini.weights.h5" in wanted
    for names in distributions[:2]:
        assert wanted - names == set()


def test_the_wheel_brings_the_command(distributions):
    assert "basnet-annotate = pipeline.command.main:console" in distributions[2]


def test_the_documents_name_tests_that_exist():
    wrong = []
    for document in (ROOT / "docs").glob("*.md"):
        path = None
        for name in re.findall(r"[\w/]+\.py|\btest_\w+", document.read_text()):
            if name.endswith(".py"):
                path = ROOT / "tests" / name
                if not path.is_file() and not (ROOT / name).is_file():
                    wrong.append(f"{document.name}: {name}")
            elif path.is_file() and f"def {name}(" not in path.read_text():
                wrong.append(f"{document.name}: {path.name}: {name}")
    assert wrong == []
