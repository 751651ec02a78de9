"""Puts what was measured into `RESULTS.md`, with a picture of how far each goal is.

python -m benchmarks.report network.json pipeline.json ...
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Goal, markdown, read

HERE = Path(__file__).parent
TEXT, PICTURE = "RESULTS.md", "results.png"

_HEAD = """# What was measured

Each section is what one command printed: its table, its goals, how it was measured, the command
and the machine. Ratios are of one run, in which the contenders took turns; seconds drift from day
to day. To repeat it: `pip install '.[bench]'`, the commands with `--output FILE`, and
`python -m benchmarks.report FILE ...`.
"""
_CAPTION = (
    "![Every figure that has a goal, as a multiple of that goal; 1 and less is met](results.png)"
)


def draw(goals: Sequence[Goal], path: Path) -> None:
    """Draws each figure relative to its bound: shorter is better, 1 and less is met."""
    # Here, as only this needs it.
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.42 * len(goals)), layout="constrained")
    colors = ["tab:green" if goal.met else "tab:red" for goal in goals]
    bars = axes.barh(range(len(goals)), [goal.share for goal in goals], color=colors, height=0.6)
    labels = [
        f"{goal.measured:.3g} ({'≤' if goal.relation == '<=' else '≥'} {goal.bound:.2f})"
        for goal in goals
    ]
    axes.bar_label(bars, labels, label_type="center", color="white", fontsize=8)
    axes.set_yticks(range(len(goals)), [textwrap.fill(goal.what, 60) for goal in goals], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1, linestyle="--", label="the goal")
    axes.set_xlim(0, 1.05 * max(1, *(goal.share for goal in goals)))
    axes.set_xlabel("measured, as a multiple of the goal (for ≥, the goal as a multiple of it)")
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, help="what the commands wrote by --output")
    parser.add_argument("--folder", type=Path, default=HERE, help="folder to write to")
    arguments = parser.parse_args(argv)
    sections = [read(path) for path in arguments.files]
    blocks = [_HEAD.rstrip()]
    if goals := [goal for section in sections for goal in section.goals]:
        draw(goals, arguments.folder / PICTURE)
        blocks.append(_CAPTION)
    blocks += [markdown(section) for section in sections]
    (arguments.folder / TEXT).write_text("\n\n".join(blocks) + "\n")


if __name__ == "__main__":
    main()
