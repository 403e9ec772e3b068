"""Curves of quantities over steps, of one run or of several in one figure."""
import dataclasses

import numpy as np

from . import drawing, quantities, text

MOST_POINTS = {1: 450, 2: 300}  # by the number of curves in a figure; of more curves MANY each
MANY = 200
MOST_TICKS = 100
MOST_GAPS = 20


@dataclasses.dataclass
class Curve:
    place: int            # of its colour
    steps: np.ndarray
    values: np.ndarray    # finite
    name: str
    dashed: bool = False
    low: np.ndarray = None   # a band of its own, instead of what thinning leaves out
    high: np.ndarray = None


def curves_of(name, runs, dashed=False):
    found = []
    for run in runs:
        if name in run.metrics.columns:
            steps, values = run.metrics.finite(name)
            if len(steps):
                found.append(Curve(run.place, steps, values, run.name, dashed))
    return found


def plot(axes, curve, alone, most, steady):
    """One curve: thinned, and smoothed where it is rough; a steady one has corners instead."""
    line, stroke = drawing.colour(curve.place), (0, (3, 1.5)) if curve.dashed else "-"
    if steady:
        axes.plot(*drawing.changes(curve.steps, curve.values, most), color=line, linewidth=1.6, linestyle=stroke,
                  drawstyle="steps-post", marker="o" if len(curve.steps) < 3 else None)
        return
    x, mean, low, high = drawing.thin(curve.steps, curve.values, most)
    if curve.low is not None:
        low = drawing.thin(curve.steps, curve.low, most)[2]
        high = drawing.thin(curve.steps, curve.high, most)[3]
    rough = len(x) > 60 and drawing.is_rough(mean)
    if alone and (len(curve.values) > len(x) or curve.low is not None):
        axes.fill_between(x, low, high, color=line, alpha=0.22, linewidth=0)
    elif rough:
        axes.plot(x, mean, color=line, alpha=0.35, linewidth=0.7)
    axes.plot(x, drawing.smooth(mean, len(x) // 25) if rough else mean, color=line, linewidth=1.6, linestyle=stroke,
              marker="o" if len(x) < 3 else None)


def mark(axes, name, runs):
    """Vertical lines where the learning rate falls and where an attempt begins; ticks of rejuvenations, retirements."""
    alone = len(runs) == 1
    for run in runs:
        own = drawing.colour(run.place)
        if "learning_rate" not in name:
            for step, _ in run.drops:
                axes.axvline(step, color=drawing.MUTED if alone else own, linewidth=0.8, linestyle=(0, (2, 3)))
        for step, _ in run.rollbacks:
            axes.axvline(step, color=drawing.WARN if alone else own, linewidth=1, linestyle=(0, (5, 2)))
    if not alone:
        return
    ticks = drawing.matplotlib.markers
    for event, height, marker in (("rejuvenated", 0.0, ticks.TICKUP), ("retired", 1.0, ticks.TICKDOWN)):
        steps = tick_steps(runs[0], event)
        if event != name and len(steps):
            axes.plot(steps, np.full(len(steps), height), color=drawing.MUTED, marker=marker, markersize=5,
                      linestyle="", transform=axes.get_xaxis_transform(), clip_on=False)


def tick_steps(run, event):
    """Steps at which chains were rejuvenated or retired, where they are few enough to be told apart."""
    if event not in run.metrics.columns:
        return np.zeros(0)
    steps = run.metrics.steps[np.nan_to_num(run.metrics.columns[event]) > 0]
    return steps if len(steps) <= MOST_TICKS else np.zeros(0)


def plot_given_up(axes, name, run):
    """What diverged and was taken back, as far as the frame shows it."""
    for _, found in run.diverged:
        if name in found.columns:
            steps, values = found.finite(name)
            if len(steps):
                axes.plot(*drawing.thin(steps, values, MANY)[:2], color=drawing.WARN, linewidth=0.8, alpha=0.8)


def gaps(axes, name, run):
    """Marks missing values where there should be none; a remark on how many there are."""
    values = run.metrics.columns[name]
    good = np.isfinite(values)
    missing = int((~good).sum())
    if not missing:
        return ""
    if name not in quantities.ALWAYS_THERE:
        return f"Measured at {len(values) - missing:,} of {len(values):,} steps."
    for step in run.metrics.steps[~good & (np.cumsum(good) > 0)][:MOST_GAPS]:
        axes.axvline(step, color=drawing.WARN, linewidth=1)
    return f"{missing:,} values are missing or not finite."


def scale(axes, curves):
    """The ordinate; a remark on what it leaves out."""
    groups = [curve.values for curve in curves]
    if drawing.wants_logarithm(groups):
        axes.set_yscale("log")
        return ""
    bottom, top = drawing.frame(groups)
    axes.set_ylim(bottom, top)
    values = np.concatenate(groups)
    outside = int(np.sum((values < bottom) | (values > top)))
    if not outside:
        return ""
    return (f"{outside:,} of {len(values):,} values lie outside the frame, the farthest "
            f"{text.number(values[np.argmax(np.abs(values))])}.")


def draw(name, curves, runs):
    """(inline SVG, remarks) of curves that share one figure."""
    figure, axes = drawing.figure()
    alone, steady = len(curves) == 1, "learning_rate" in name or name == "attempt"
    remarks = [gaps(axes, name, runs[0])] if len(runs) == 1 and name in runs[0].metrics.columns else []
    mark(axes, name, runs)
    if name == "energy_difference":
        axes.axhline(0, color=drawing.MUTED, linewidth=0.8)
    for curve in curves:
        plot(axes, curve, alone, MOST_POINTS.get(len(curves), MANY), steady)
    remarks.append(scale(axes, curves))
    limits = axes.get_xlim(), axes.get_ylim()
    if len(runs) == 1:
        plot_given_up(axes, name, runs[0])
    drawing.plain(axes)
    drawing.numbered(axes)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    return drawing.svg(figure, f"{quantities.title_of(name)} over steps"), " ".join(filter(None, remarks))


def card(name, runs):
    curves = curves_of(name, runs)
    known = quantities.KNOWN.get(name, ("", "", ""))
    drawn, remarks = draw(name, curves, runs)
    last = [text.number(curve.values[-1]) for curve in curves]
    note = " ".join(filter(None, (known[2], remarks)))
    if len(runs) == 1:
        return text.card(quantities.title_of(name), drawn, note, f"{last[0]} {known[1]}".strip())
    legend = text.legend([(c.place, f"{c.name}: {value}", False) for c, value in zip(curves, last)])
    return text.card(quantities.title_of(name), drawn, note, known[1], legend)


def pair_card(pair, runs):
    """Two quantities in one figure: the first drawn through, the second dashed."""
    title, names, note = pair
    curves = [*curves_of(names[0], runs), *curves_of(names[1], runs, dashed=len(runs) > 1)]
    words = [name.removeprefix("energy_") for name in names]
    if len(runs) == 1:
        for curve, place, word in zip(curves, (0, 1), words):
            curve.place, curve.name = place, word
        legend = [(c.place, f"{c.name}: {text.number(c.values[-1])}", False) for c in curves]
    else:
        legend = [(run.place, run.name, False) for run in runs if any(n in run.metrics.columns for n in names)]
        note = f"Drawn through: {words[0]}; dashed: {words[1]}. {note}"
    drawn, remarks = draw(names[0], curves, runs)
    return text.card(title, drawn, " ".join(filter(None, (note, remarks))), legend=text.legend(legend))


def cards(names, runs):
    """Cards of the quantities; those that belong together share one."""
    items, done = [], set()
    for name in names:
        pair = next((p for p in quantities.PAIRS if name in p[1] and set(p[1]) <= set(names)), None)
        if pair is None:
            items.append(card(name, runs))
        elif pair not in done:
            done.add(pair)
            items.append(pair_card(pair, runs))
    return items


def marks_note(runs):
    """What the lines and ticks in the figures stand for."""
    notes = []
    for run in runs:
        whose = "" if len(runs) == 1 else f"{run.name}: "
        if run.drops:
            what = ", ".join(f"{text.number(rate)} at step {text.step(step)}" for step, rate in run.drops)
            notes.append(f"{whose}dotted lines: the learning rate falls to {what}.")
        if run.rollbacks:
            what = ", ".join(f"attempt {attempt} from step {text.step(step)}" for step, attempt in run.rollbacks)
            notes.append(f"{whose}dashed lines: returns to a checkpoint after a divergence, {what}.")
    if len(runs) == 1:
        if runs[0].diverged:
            notes.append("red curves: attempts that diverged and were given up.")
        for event, where in (("rejuvenated", "foot"), ("retired", "head")):
            count = len(tick_steps(runs[0], event))
            if count:
                notes.append(f"ticks at the {where}: the {count} steps in which chains were {event}.")
    return "<br>".join(text.escape(note[0].upper() + note[1:] if len(runs) == 1 else note) for note in notes)


def section(runs):
    names = [name for name in quantities.names_in(runs)
             if not quantities.is_timer(name) and not belongs_to_bank(name)]
    return text.section("Curves", text.cards(cards(names, runs)), marks_note(runs))


def belongs_to_bank(name):
    return quantities.is_health(name) or name in quantities.PAIRS[1][1]
