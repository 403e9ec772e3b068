"""Where the time of a step goes, and how fast the chains are."""
import numpy as np

from . import curves, drawing, quantities, text

PHASES = ["#2f62d9", "#e08a1e", "#2a9d6f", "#b0468f", "#7a6ff0", "#8a8f99"]  # .p0 ... of the page's style
MOST_POINTS = 150


def phases_of(run):
    """Names of timers over ranks, without `seconds_`."""
    return [name[8:-4] for name in run.metrics.columns if name.startswith("seconds_") and name.endswith(".avg")]


def column(run, phase, part):
    found = run.metrics.columns
    return np.nan_to_num(found.get(f"seconds_{phase}.{part}", found[f"seconds_{phase}.avg"]), posinf=0, neginf=0)


def table(run, phases):
    rows, whole = [], sum(column(run, phase, "avg").mean() for phase in phases)
    for i, phase in enumerate(phases):
        average, slowest = column(run, phase, "avg"), column(run, phase, "max")
        rows.append(f'<tr><td><i class="dot p{i % 6}"></i>{text.escape(phase)}</td>'
                    f"<td>{100 * average.mean() / whole:.1f} %</td><td>{text.number(1e3 * average.mean())} ms</td>"
                    f"<td>{text.number(1e3 * slowest.mean())} ms</td><td>{text.duration(average.sum())}</td></tr>")
    head = "".join(f"<th>{cell}</th>" for cell in ("phase", "share", "a step", "slowest rank", "in all"))
    return (f'<div class="scroll"><table class="numbers"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
            "</table></div>")


def stack(run, phases):
    """Shares of the phases over the steps, stacked."""
    figure, axes = drawing.figure()
    steps = run.metrics.steps
    x, *_ = drawing.thin(steps, steps, MOST_POINTS)
    means = np.array([drawing.thin(steps, column(run, phase, "avg"), MOST_POINTS)[1] for phase in phases])
    whole = means.sum(axis=0)
    shares = np.divide(100 * means, whole, out=np.zeros_like(means), where=whole > 0)
    if len(x) == 1:  # an area wants a width
        x, shares = np.array([x[0] - 0.5, x[0] + 0.5]), np.repeat(shares, 2, axis=1)
    axes.stackplot(x, shares, colors=[PHASES[i % 6] for i in range(len(phases))], linewidth=0)
    axes.set_ylim(0, 100)
    drawing.plain(axes)
    drawing.numbered_steps(axes)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0f} %")
    return drawing.svg(figure, "Shares of a step's time")


def phase_card(phase, runs):
    """A timer as curves; of one run with a band from the fastest to the slowest rank."""
    name = f"seconds_{phase}.avg"
    found = curves.curves_of(name, runs)
    if len(runs) == 1:
        good = np.isfinite(runs[0].metrics.columns[name])
        found[0].low, found[0].high = (column(runs[0], phase, part)[good] for part in ("min", "max"))
    drawn, remarks = curves.draw(name, found, runs)
    last = text.number(found[0].values[-1]) + " s" if len(runs) == 1 else "s"
    note = f"{'Mean over ranks; the band from the fastest to the slowest. ' if len(runs) == 1 else ''}{remarks}"
    legend = "" if len(runs) == 1 else text.legend([(c.place, c.name, False) for c in found])
    return text.card(f"Seconds: {phase}", drawn, note, last, legend)


def section(runs):
    items = []
    present = quantities.names_in(runs)
    if "image_steps_per_second" in present:
        items.append(curves.card("image_steps_per_second", runs))
    timed = [(run, phases_of(run)) for run in runs if sum(column(run, p, "avg").sum() for p in phases_of(run))]
    items += [text.card("Shares of a step", stack(run, phases), value=run.name if len(runs) > 1 else "")
              for run, phases in timed]
    items += [text.card(f"Timers{', ' + run.name if len(runs) > 1 else ''}", table(run, phases))
              for run, phases in timed]
    each = [phase_card(phase, runs) for phase in dict.fromkeys(p for _, phases in timed for p in phases)
            if f"seconds_{phase}.avg" in present]
    each += [curves.card(name, runs) for name in present if name.startswith("seconds_") and "." not in name]
    more = f"<details><summary>Every timer over the steps</summary>{text.cards(each)}</details>" if each else ""
    return text.section("Where the time goes", text.cards(items) + more)
