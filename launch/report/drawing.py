"""Figures as inline SVG whose colours follow the page's, and the thinning that keeps them small."""
import html
import io
import re

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

# Colours that stand in the drawings for the page's own, so that figures follow light and dark mode.
MUTED, LINE, WARN = "#010204", "#010205", "#010207"
SERIES = [f"#01020{digit}" for digit in "89abcdef"]
VARIABLES = {MUTED: "--muted", LINE: "--line", WARN: "--warn", **{c: f"--s{i}" for i, c in enumerate(SERIES)}}
SIZE = (4.4, 2.35)

plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "langrun", "font.size": 9, "path.simplify": True})


def colour(place):
    return SERIES[place % len(SERIES)]


def figure(size=SIZE):
    return plt.subplots(figsize=size, layout="constrained")


def plain(axes):
    """A frame that leaves the room to the curves."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(which="both", colors=MUTED, labelcolor=MUTED, length=0, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(MUTED)
    axes.set_axisbelow(True)


def numbered_steps(axes):
    """An abscissa of steps."""
    axes.margins(x=0.01)
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def numbered(axes):
    """An abscissa of steps, an ordinate of values, and a grid."""
    numbered_steps(axes)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    if axes.get_yscale() == "linear":
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 5), useOffset=False)
        axes.yaxis.get_offset_text().set_color(MUTED)
    else:
        axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def rounded(path):
    return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), path[0])


def svg(drawn, title):
    """The figure as an <svg> element; closes it. Tenths of a point are enough, and halve the page."""
    out = io.StringIO()
    drawn.savefig(out, format="svg", transparent=True, metadata={"Date": None}, dpi=150)
    plt.close(drawn)
    text = out.getvalue()
    head, rest = text[text.index("<svg"):].split(">", 1)
    box = head[head.index("viewBox"):].split('"')[1]
    rest = re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    rest = re.sub(r'<g id="[^"]*"', "<g", rest)
    rest = re.sub(r' d="M[^"]*"', rounded, rest)
    for written, variable in VARIABLES.items():
        rest = rest.replace(written, f"var({variable})")
    return (f'<svg viewBox="{box}" role="img" aria-label="{html.escape(title)}" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink">{rest}')


def thin(steps, values, most):
    """(steps, mean, low, high) in at most `most` equal stretches: no spike is lost, no page is huge."""
    if len(steps) <= most:
        return steps, values, values, values
    starts = np.arange(most) * len(steps) // most
    counts = np.diff(np.append(starts, len(steps)))
    return (np.add.reduceat(steps, starts) / counts, np.add.reduceat(values, starts) / counts,
            np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts))


def changes(steps, values, most):
    """A staircase by its corners, exact where they are few."""
    if not len(steps):
        return steps, values
    at = np.nonzero(np.diff(values))[0] + 1
    if len(at) > most:
        return thin(steps, values, most)[:2]
    kept = np.unique([0, *at, len(steps) - 1])
    return steps[kept], values[kept]


def is_rough(values):
    """Whether noise hides the course of a curve, so that a running mean helps."""
    return np.abs(np.diff(values, 2)).mean() > 0.02 * (values.max() - values.min())


def smooth(values, window):
    """Running mean, shorter windows at both ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - window // 2, 0), np.minimum(index + window // 2 + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def frame(groups):
    """Limits of the ordinate: everything, unless the start or a few outliers would flatten the rest."""
    values = np.concatenate(groups)
    low, high = values.min(), values.max()
    few = 1 if len(values) < 2000 else 0.1  # percent
    settled = np.concatenate([group[len(group) // 20:] for group in groups])
    inner_low, inner_high = np.percentile(settled, [few, 100 - few])
    if len(values) > 50 and high - low > 4 * (inner_high - inner_low) > 0:
        low, high = inner_low, inner_high
    room = 0.08 * (high - low) or abs(high) * 0.05 or 1.0
    return low - room, high + room


def wants_logarithm(groups):
    values = np.concatenate(groups)
    return values.min() > 0 and np.percentile(values, 95) > 50 * np.percentile(values, 5)
