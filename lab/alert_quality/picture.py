"""The results as a picture: false alarms against recall, a panel for each level of traffic."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lab.alert_quality.figures import Figures

_TITLES = {
    1: "1 call a minute",
    10: "10 calls a minute",
    60: "60 calls a minute",
    30_000: "500 calls a second",
}
_STYLES = {  # name, marker and colour; those two never alarm anew and find nothing
    "bandwidth-voice": ("these rules", "*", "tab:red"),
    "static": ("static 5 %", "s", "tab:gray"),
    "static-floor": ("static with a floor", "D", "black"),
    "z-score": ("z-score over a week", "^", "tab:blue"),
    "adaptive-bands": ("adaptive bands", "v", "tab:cyan"),
    "burn-rate": ("burn rate", "P", "tab:green"),
    "random": ("random", "X", "tab:brown"),
    "never": ("never", "<", "tab:olive"),
    "always": ("always", ">", "tab:purple"),
}
_NONE = 0.02  # where no false alarm at all is drawn, on a logarithmic axis


def draw(found: Mapping[tuple[str, int], Figures], file: Path) -> None:
    """Draw the figures of each rule set and level into an SVG file."""
    mpl.use("svg")
    # The same bytes for the same figures.
    mpl.rcParams.update({"svg.hashsalt": "alert-quality", "svg.fonttype": "none"})
    figure, panels = plt.subplots(2, 2, figsize=(9.5, 7.5), sharex=True, sharey=True)
    for axes, (level, title) in zip(panels.flat, _TITLES.items(), strict=True):
        axes.set_title(title, fontsize=11)
        _panel(axes, {name: of for (name, at), of in found.items() if at == level})
    for axes in panels[-1]:
        axes.set_xlabel("false alarms a week")
    for axes in panels[:, 0]:
        axes.set_ylabel("material incidents found")
    known = {
        label: handle
        for axes in panels.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(known.values(), known.keys(), loc="lower center", ncols=5, frameon=False)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(file, metadata={"Date": None}, facecolor="white")
    plt.close(figure)


def _panel(axes: Axes, found: Mapping[str, Figures]) -> None:
    axes.set_xscale("log")
    axes.set_xlim(_NONE * 0.7, 300)
    axes.set_xticks([_NONE, 0.1, 1, 10, 100], ["0", "0.1", "1", "10", "100"])
    axes.set_ylim(-0.05, 1.05)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.grid(alpha=0.3)
    for name, (label, marker, colour) in _STYLES.items():
        of = found.get(name)
        if of is None:
            continue
        recall = of.recalled()
        low, high = recall.interval
        axes.errorbar(
            max(_NONE, of.false_any / of.weeks),
            recall.value,
            [[max(0.0, recall.value - low)], [max(0.0, high - recall.value)]],
            fmt=marker,
            color=colour,
            markersize=11 if marker == "*" else 6,
            elinewidth=1,
            label=label,
        )
