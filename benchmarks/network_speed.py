"""The network alone: ours in each precision against KerasHub's, the authors' and plain Keras.

All networks of a case have the same weights and see the same images. Each is called once to warm
up, then in turns. The operations of its convolutions in a second are compared with those of the
fastest plain 3x3 convolution, which takes turns with them.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import keras
import numpy as np
import tensorflow as tf

from benchmarks import peer_networks
from benchmarks.photos import source_photos
from benchmarks.results_files import Goal, Measured, parser, publish
from benchmarks.turns import alternate, timed
from model.inference.load import load_model
from model.inference.segmenter import Segmenter

MODULE = "benchmarks.network_speed"

# Convolutions that are tried for the peak: batch, side, channels.
_PLAIN = ((1, 256, 64), (1, 128, 128), (1, 64, 256), (1, 32, 512), (1, 72, 512), (8, 64, 128))
# Operations of a turn: some tenths of a second, enough for the processor to reach its clock rate.
_OPERATIONS = 1e11


@dataclass(frozen=True)
class Case:
    """A network at a size, and the networks that it is compared with.

    Attributes:
        name: What the network is, for the table.
        size: Side of the images.
        batch: Number of images.
        ours: The network that a `Segmenter` runs.
        peers: Networks with the same weights, by name. They take float32 pixels in
            [0, `peer_range`]. Ratios are relative to the first.
        peer_range: The value of white in the input of the peers.
        goals: The time relative to the first peer that a precision should reach.
    """

    name: str
    size: int
    batch: int
    ours: keras.Model
    peers: Mapping[str, peer_networks.Network]
    peer_range: float
    goals: Mapping[str, float]


@dataclass(frozen=True)
class Convolution:
    """A plain convolution.

    Attributes:
        operations: Number of its operations, 2 x multiply-adds.
        run: Computes it.
    """

    operations: float
    run: Callable[[], object]


def keras_hub_case(size: int, checkout: Path | None) -> Case:
    """The network of KerasCV's size."""
    theirs, ours = peer_networks.keras_hub_network()
    peers = {"KerasHub `predict`, float32": theirs}
    return Case("BASNet-ResNet34 of KerasHub", size, 1, ours, peers, 1.0, {"bfloat16": 0.40})


def paper_case(size: int, checkout: Path | None) -> Case:
    """The paper's network, with the authors' own as its peer if their code is at hand."""
    if checkout is None:
        return Case("paper's network", size, 1, peer_networks.paper_network(), {}, 1.0, {})
    theirs, ours = peer_networks.authors_network(checkout)
    peers = {f"authors' PyTorch, {precision}": run for precision, run in theirs.items()}
    return Case("paper's network", size, 1, ours, peers, 1.0, {"bfloat16": 0.45})


def mini_case(size: int, checkout: Path | None) -> Case:
    """The bundled network, with the same model in plain Keras as its peers."""
    model = load_model("basnet_mini")
    plain, uncompiled = (keras.Model(model.inputs, model.outputs) for _ in range(2))
    uncompiled.jit_compile = False
    peers = {
        f"Keras `predict`, float32{suffix}": functools.partial(_predict, network)
        for suffix, network in (("", plain), (", without XLA", uncompiled))
    }
    return Case("basnet_mini", size, 8, model, peers, 255.0, {"bfloat16": 0.45})


# How a case is made, and its usual size.
CASES = {"keras_hub": (keras_hub_case, 288), "paper": (paper_case, 256), "mini": (mini_case, 256)}


def measure(
    case: Case, peaks: Mapping[str, Convolution], rounds: int
) -> tuple[list[dict], list[Goal]]:
    """Measures a case.

    Args:
        case: The networks.
        peaks: The fastest plain convolution, by each precision that ours is to run in.
        rounds: Number of turns.

    Returns:
        Rows of the table and goals.
    """
    size = (case.size, case.size)
    photos = [np.asarray(photo.resize(size)) for photo in source_photos()[: case.batch]]
    images = np.stack(photos)
    scaled = images.astype("float32") / 255 * case.peer_range

    runs = {name: functools.partial(peer, scaled) for name, peer in case.peers.items()}
    for precision in peaks:
        network = Segmenter(case.ours, case.size, case.batch, "none", precision)
        runs[_ours(precision)] = functools.partial(network, images)
    maps = {name: run() for name, run in runs.items()}
    turns = {name: timed(run) for name, run in runs.items()}
    turns |= {precision: timed(peak.run) for precision, peak in peaks.items()}
    seconds = {name: median(values) for name, values in alternate(turns, rounds).items()}

    operations = peer_networks.operations(case.ours, case.size) * case.batch
    first = next(iter(case.peers), None)
    rows = {}
    for name in runs:
        rows[name] = {
            "network": f"{case.name}, {case.size}², batch {case.batch}",
            "what": name,
            "seconds an image": seconds[name] / case.batch,
            "GFLOP/s": operations / seconds[name] / 1e9,
        }
        if first is not None:
            rows[name]["of the first's time"] = seconds[name] / seconds[first]
            largest = float(np.abs(maps[name] - maps[first]).max())
            rows[name]["largest difference of maps"] = largest
    for precision, peak in peaks.items():
        speed = peak.operations / seconds[precision]
        row = rows[_ours(precision)]
        row |= {"plain 3x3, GFLOP/s": speed / 1e9, "share of it": row["GFLOP/s"] * 1e9 / speed}
    return list(rows.values()), _goals(case, first, rows)


def _goals(case: Case, first: str | None, rows: Mapping[str, dict]) -> list[Goal]:
    goals = []
    if first is not None:
        for precision, bound in case.goals.items():
            if row := rows.get(_ours(precision)):
                what = f"{case.name} at {case.size}², {precision}: time relative to {first}"
                goals.append(Goal(what, row["of the first's time"], "<=", bound))
    row = rows.get(_ours("bfloat16"))
    if case.name == "paper's network" and row:
        what = f"{case.name} at {case.size}², bfloat16: share of a convolution's peak"
        goals.append(Goal(what, row["share of it"], ">=", 0.85))
    return goals


def _ours(precision: str) -> str:
    return f"ours, {precision}"


def fastest(convolutions: Iterable[Convolution]) -> Convolution:
    """Runs each convolution four times and returns that of the most operations in a second."""

    def speed(convolution: Convolution) -> float:
        convolution.run()
        return convolution.operations / min(timed(convolution.run)() for _ in range(3))

    return max(convolutions, key=speed)


def plain_convolution(
    batch: int, side: int, channels: int, precision: str, operations: float = _OPERATIONS
) -> Convolution:
    """Makes a 3x3 convolution that is repeated to about the number of operations.

    Args:
        batch: Number of images.
        side: Side of the images.
        channels: Number of channels, in and out.
        precision: dtype of the image and the kernel.
        operations: Number of operations, 2 x multiply-adds.
    """
    rng = np.random.default_rng(0)
    image = tf.constant(rng.standard_normal((batch, side, side, channels)), precision)
    kernel = rng.standard_normal((3, 3, channels, channels)) / channels
    once = 2 * 9 * channels**2 * side**2 * batch
    times = max(1, round(operations / once))

    @tf.function(autograph=False)
    def run():
        # A constant of the graph, whose layout is changed only once.
        fixed = tf.constant(kernel, precision)
        result = image
        for _ in range(times):
            result = tf.nn.conv2d(result, fixed, 1, "SAME")
        return tf.reduce_sum(result)

    return Convolution(once * times, lambda: run().numpy())


def _predict(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return model.predict(pixels, batch_size=len(pixels), verbose=0)[0][..., 0]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    argv = sys.argv[1:] if argv is None else argv
    flags = parser(MODULE, __doc__, rounds=7)
    add = flags.add_argument
    add("--cases", nargs="+", choices=tuple(CASES), default=list(CASES), help="which networks")
    add("--authors", type=Path, help="checkout of github.com/xuebinqin/BASNet")
    add("--precisions", nargs="+", default=["float32", "bfloat16"], help="of the Segmenter")
    add("--size", nargs="+", type=int, help="sides of the images; without it each case's own")
    arguments = flags.parse_args(argv)
    peaks = {
        precision: fastest(plain_convolution(*shape, precision) for shape in _PLAIN)
        for precision in arguments.precisions
    }
    rows, goals = [], []
    for name in arguments.cases:
        make, usual = CASES[name]
        for size in arguments.size or [usual]:
            of_case = measure(make(size, arguments.authors), peaks, arguments.rounds)
            rows += of_case[0]
            # The bounds were set for the usual sizes.
            goals += of_case[1] if size == usual else []
            gc.collect()  # The networks of all cases together fill the memory.
    notes = [
        f"Medians; turns of each: {arguments.rounds}. Weights are random, but for basnet_mini's.",
        "GFLOP/s count the convolutions of the refined map alone. Peers compute the side outputs, "
        "too, which is less than a hundredth more.",
        "Keras compiles `predict` by XLA unless told not to, and so does KerasHub's.",
    ]
    publish(Measured("The network alone", rows, goals, notes), MODULE, argv, arguments.output)


if __name__ == "__main__":
    main()
