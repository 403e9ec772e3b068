"""Bank health: ages over time as heat maps, and the curves that belong to the bank."""
import numpy as np

from . import curves, drawing, quantities, text

MOST_LABELS = 9


def heat_map(name, counts):
    """(inline SVG, note): each column is a stretch of steps, its colours the shares of the bins."""
    edges, means = counts.table()
    used = np.nonzero(means.any(axis=0))[0]
    means = means[:, :used[-1] + 1 if len(used) else 1]  # room for ages that nothing has reached is not drawn
    totals = means.sum(axis=1, keepdims=True)
    shares = np.divide(means, totals, out=np.zeros_like(means), where=totals > 0)
    bins = shares.shape[1]
    names = quantities.bin_names(name, bins)
    figure, axes = drawing.figure((4.4, 2.6))
    # Roots of shares, so that the few oldest are seen beside the many young.
    painted = axes.pcolormesh(edges, np.arange(bins + 1), np.ma.masked_equal(shares.T, 0), cmap="viridis",
                              norm=drawing.matplotlib.colors.PowerNorm(0.5, 0, max(shares.max(), 1e-9)),
                              rasterized=True)
    every = -(-bins // MOST_LABELS)
    axes.set_yticks(np.arange(0, bins, every) + 0.5, names[::every])
    bar = figure.colorbar(painted, ax=axes, pad=0.02, aspect=30)
    bar.ax.yaxis.set_major_locator(drawing.matplotlib.ticker.MaxNLocator(4))
    bar.ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    bar.ax.tick_params(colors=drawing.MUTED, labelcolor=drawing.MUTED, length=0, labelsize=8)
    bar.outline.set_visible(False)
    drawing.plain(axes)
    drawing.numbered_steps(axes)
    last, held = shares[-1], np.nonzero(shares[-1])[0]
    if not len(held):
        return drawing.svg(figure, quantities.title_of(name)), "All counts are 0."
    most = int(np.argmax(last))
    return drawing.svg(figure, quantities.title_of(name)), (
        f"Last: most in {names[most]} ({100 * last[most]:.3g} %), the highest in {names[held[-1]]} "
        f"({100 * last[held[-1]]:.2g} %).")


def map_cards(runs):
    """A card for each array and run, those of one array beside each other."""
    found = dict.fromkeys(name for run in runs for name in run.metrics.arrays)
    items = []
    for name in [*(n for n in quantities.ARRAYS if n in found), *(n for n in found if n not in quantities.ARRAYS)]:
        title, meaning = quantities.ARRAYS.get(name, (quantities.title_of(name), "Share of each bin over the steps."))
        for run in runs:
            if name in run.metrics.arrays and max(len(row[3]) for row in run.metrics.arrays[name].rows):
                drawn, note = heat_map(name, run.metrics.arrays[name])
                items.append(text.card(title, drawn, f"{meaning} {note}", run.name if len(runs) > 1 else ""))
    return items


def section(runs):
    present = [name for name in quantities.names_in(runs) if curves.belongs_to_bank(name)]
    order = [*quantities.PAIRS[1][1], *quantities.HEALTH]
    names = [name for name in order if name in present] + [name for name in present if name not in order]
    return text.section("Bank health", text.cards([*map_cards(runs), *curves.cards(names, runs)]))
