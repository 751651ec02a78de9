"""The network alone: ours in each precision against KerasHub's, the authors' and plain Keras.

All networks of a case have the same weights and see the same image; each is called once to warm
up, then in turns. The share of the peak compares the operations of the network's convolutions in a
second with those of the best single 3x3 convolution, measured in the same turns.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import keras
import numpy as np
import tensorflow as tf

from benchmarks import networks
from benchmarks.measure import Goal, Measured, alternate, parser, publish, timed
from benchmarks.photos import source_photos
from model.inference.load import load_model
from model.inference.segmenter import Segmenter

MODULE = "benchmarks.network"
CASES = ("keras_hub", "paper", "mini")

# Convolutions that are tried for the peak: batch, side, channels in and out.
_PLAIN = ((1, 256, 64), (1, 128, 128), (1, 64, 256), (1, 32, 512), (1, 72, 512), (8, 64, 128))
# Operations of a turn: some tenths of a second, in which the processor finds its pace.
_WORK = 1e11


@dataclass(frozen=True)
class Case:
    """A network at a size, and those that are compared.

    Attributes:
        name: What the network is, for the table.
        size: Side of the images.
        batch: Number of images.
        ours: The network that is put into a `Segmenter`.
        peers: Others with its weights by name, from float32 pixels in ``peer_range``. The first
            is what ratios are to.
        peer_range: What white is to the peers.
        goals: Precision to the ratio that it should reach.
    """

    name: str
    size: int
    batch: int
    ours: keras.Model
    peers: dict[str, networks.Network]
    peer_range: float
    goals: dict[str, float]


def keras_hub_case(size: int, _) -> Case:
    """KerasCV's size of network."""
    theirs, ours = networks.keras_hub_network()
    peers = {"KerasHub `predict`, float32": theirs}
    return Case("BASNet-ResNet34 of KerasHub", size, 1, ours, peers, 1.0, {"bfloat16": 0.40})


def paper_case(size: int, checkout: Path | None) -> Case:
    """The paper's network, against the authors' if their code is there."""
    if checkout is None:
        return Case("paper's network", size, 1, networks.paper_network(), {}, 1.0, {})
    theirs, ours = networks.authors_network(checkout)
    peers = {f"authors' PyTorch, {precision}": run for precision, run in theirs.items()}
    return Case("paper's network", size, 1, ours, peers, 1.0, {"bfloat16": 0.45})


def mini_case(size: int, _) -> Case:
    """The bundled network, against the same model in plain Keras."""
    model = load_model("basnet_mini")
    plain, uncompiled = (keras.Model(model.inputs, model.outputs) for _ in range(2))
    uncompiled.jit_compile = False
    peers = {
        f"Keras `predict`, float32{suffix}": functools.partial(_predict, network)
        for suffix, network in (("", plain), (", without XLA", uncompiled))
    }
    return Case("basnet_mini", size, 8, model, peers, 255.0, {"bfloat16": 0.45})


def measure(case: Case, precisions: Sequence[str], rounds: int) -> tuple[list[dict], list[Goal]]:
    """Measures a case.

    Returns:
        Rows of the table and goals.
    """
    size = (case.size, case.size)
    photos = [np.asarray(photo.resize(size)) for photo in source_photos()[: case.batch]]
    images = np.stack(photos)
    scaled = images.astype("float32") / 255 * case.peer_range

    runs = {name: functools.partial(peer, scaled) for name, peer in case.peers.items()}
    for precision in precisions:
        network = Segmenter(case.ours, case.size, case.batch, "none", precision)
        runs[f"ours, {precision}"] = functools.partial(network, images)
    maps = {name: run() for name, run in runs.items()}
    peaks = {precision: peak_convolution(precision) for precision in precisions}
    turns = {name: timed(run) for name, run in runs.items()}
    turns |= {precision: timed(run) for precision, (_, run) in peaks.items()}
    seconds = {name: median(values) for name, values in alternate(turns, rounds).items()}

    work = networks.operations(case.ours, case.size) * case.batch
    first = next(iter(case.peers), None)
    rows, goals = [], []
    for name in runs:
        precision = name.rpartition(", ")[2] if name.startswith("ours") else "float32"
        row = {
            "network": f"{case.name}, {case.size}², batch {case.batch}",
            "what": name,
            "seconds an image": seconds[name] / case.batch,
            "GFLOP/s": work / seconds[name] / 1e9,
        }
        if first is not None:
            row["of the first's time"] = seconds[name] / seconds[first]
            row["largest difference of maps"] = float(np.abs(maps[name] - maps[first]).max())
        if name.startswith("ours"):
            peak = peaks[precision][0] / seconds[precision]
            row |= {"plain 3x3, GFLOP/s": peak / 1e9, "share of it": work / seconds[name] / peak}
            if first is not None and precision in case.goals:
                what = f"{case.name} at {case.size}², {precision}: time relative to {first}"
                goals.append(Goal(what, row["of the first's time"], "<=", case.goals[precision]))
            if case.name == "paper's network" and precision == "bfloat16":
                what = f"{case.name} at {case.size}², {precision}: share of a convolution's peak"
                goals.append(Goal(what, row["share of it"], ">=", 0.85))
        rows.append(row)
    return rows, goals


@functools.cache
def peak_convolution(precision: str) -> tuple[float, Callable[[], object]]:
    """The plain 3x3 convolution that is fastest here.

    Returns:
        Its number of operations, 2 x multiply-adds, and a function that computes it.
    """
    found = []
    for shape in _PLAIN:
        work, run = _convolution(*shape, precision)
        run()
        found.append((work / min(timed(run)() for _ in range(3)), work, run))
    _, work, run = max(found, key=lambda each: each[0])
    return work, run


def _convolution(batch: int, side: int, channels: int, precision: str):
    rng = np.random.default_rng(0)
    image = tf.constant(rng.standard_normal((batch, side, side, channels)), precision)
    kernel = rng.standard_normal((3, 3, channels, channels)) / channels
    work = 2 * 9 * channels**2 * side**2 * batch
    times = max(1, round(_WORK / work))

    @tf.function(autograph=False)
    def run():
        # A constant of the graph, so that its layout is changed once.
        fixed = tf.constant(kernel, precision)
        result = image
        for _ in range(times):
            result = tf.nn.conv2d(result, fixed, 1, "SAME")
        return tf.reduce_sum(result)

    return work * times, lambda: run().numpy()


def _predict(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return model.predict(pixels, batch_size=len(pixels), verbose=0)[0][..., 0]


def _cases(names: Sequence[str], size: int | None, checkout: Path | None) -> Iterator[Case]:
    """One after the other, as all together would fill the memory."""
    made = {
        "keras_hub": (keras_hub_case, 288),
        "paper": (paper_case, 256),
        "mini": (mini_case, 256),
    }
    for name in names:
        make, usual = made[name]
        yield make(size or usual, checkout)
        gc.collect()


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__)
    flags.set_defaults(rounds=7)
    flags.add_argument("--cases", nargs="+", choices=CASES, default=CASES, help="which networks")
    flags.add_argument("--authors", type=Path, help="checkout of github.com/xuebinqin/BASNet")
    flags.add_argument(
        "--precisions", nargs="+", default=["float32", "bfloat16"], help="of the Segmenter"
    )
    flags.add_argument("--size", type=int, help="side of the images, in place of each case's own")
    arguments = flags.parse_args(argv)
    rows, goals = [], []
    for case in _cases(arguments.cases, arguments.size, arguments.authors):
        measured = measure(case, arguments.precisions, arguments.rounds)
        rows += measured[0]
        # The bounds were set for the cases' own sizes.
        goals += measured[1] if arguments.size is None else []
    notes = [
        f"Medians of {arguments.rounds} turns. Weights are random, but for basnet_mini's.",
        "GFLOP/s count the convolutions of the refined map alone; peers compute the side outputs, "
        "too, less than a hundredth more.",
        "Keras compiles `predict` by XLA unless told not to, and so does KerasHub's.",
    ]
    publish(Measured("The network alone", rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
