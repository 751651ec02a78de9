"""Makes `RESULTS.md` and a picture of the goals from all JSON files of `benchmarks/results/`."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results_files import Goal, Measured, markdown, read

HERE = Path(__file__).parent
TEXT, PICTURE = "RESULTS.md", "results.png"

_HEAD = """# What was measured

`python -m benchmarks.report` makes this page from the files in `results/`; do not edit it. Each
section is the result of one command, which it names. Contenders took turns, so ratios can be
trusted more than seconds, which drift from day to day. [README.md](README.md) has the commands.
"""
_CAPTION = (
    f"![Every figure that has a goal, as a multiple of that goal; up to 1 it is met]({PICTURE})"
)


def text(sections: Sequence[Measured]) -> str:
    """Returns the page as Markdown."""
    blocks = [_HEAD.rstrip()]
    if any(section.goals for section in sections):
        blocks.append(_CAPTION)
    blocks += [markdown(section) for section in sections]
    return "\n\n".join(blocks) + "\n"


def draw(goals: Sequence[Goal], path: Path) -> None:
    """Draws each figure relative to its bound: shorter is better, up to 1 the goal is met."""
    # Imported here: only a report with goals needs it.
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.42 * len(goals)), layout="constrained")
    colors = ["tab:green" if goal.met else "tab:red" for goal in goals]
    bars = axes.barh(range(len(goals)), [goal.share for goal in goals], color=colors, height=0.6)
    labels = [f"{goal.measured:.3g} ({goal.sign} {goal.bound:.2f})" for goal in goals]
    axes.bar_label(bars, labels, label_type="center", color="white", fontsize=8)
    axes.set_yticks(range(len(goals)), [textwrap.fill(goal.what, 60) for goal in goals], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1, linestyle="--", label="the goal")
    axes.set_xlim(0, 1.05 * max(1, *(goal.share for goal in goals)))
    axes.set_xlabel("measured ÷ goal (for ≥, goal ÷ measured)")
    axes.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command; see `--help`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--results", type=Path, default=HERE / "results", help="folder of what commands wrote")
    add("--folder", type=Path, default=HERE, help="folder to write to")
    arguments = parser.parse_args(argv)
    sections = [read(path) for path in sorted(arguments.results.glob("*.json"))]
    if not sections:
        parser.error(f"no JSON files in {arguments.results}")
    (arguments.folder / TEXT).write_text(text(sections))
    picture = arguments.folder / PICTURE
    picture.unlink(missing_ok=True)
    if goals := [goal for section in sections for goal in section.goals]:
        draw(goals, picture)


if __name__ == "__main__":
    main()
