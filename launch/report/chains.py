"""Long chains of `sample`: energies, gradient magnitudes and sizes of residuals over steps, and Frechet distances along
the way."""
import dataclasses
import json
import pathlib
import re

import numpy as np

from . import drawing, text

MOST_STEPS = 300
QUANTILES = (0.1, 0.25, 0.75, 0.9)
QUANTITIES = (("energy", "Energy along the chains"), ("gradient_magnitude", "Gradient magnitude along the chains"),
              ("residual", "Size of the residual along the chains"))  # of a hat


@dataclasses.dataclass
class Chains:
    steps: np.ndarray
    count: int
    curves: dict  # name: (means [S], quantiles [4, S], share of values that are not finite)


@dataclasses.dataclass
class Score:
    file: str
    step: float     # nan where no name says it
    distance: float
    low: float      # nan where no interval is given
    high: float
    count: str
    stores: tuple


def chosen_steps(steps):
    """Indices of at most MOST_STEPS steps, even on the logarithmic axis; first and last among them."""
    if len(steps) <= MOST_STEPS:
        return np.arange(len(steps))
    marks = np.linspace(np.log1p(steps[0]), np.log1p(steps[-1]), MOST_STEPS)
    return np.unique(np.clip(np.searchsorted(np.log1p(steps), marks), 0, len(steps) - 1))


def summary(dataset, chosen):
    means, quantiles, lost, seen = [], [], 0, 0
    for index in chosen:
        values = np.asarray(dataset[:, index], dtype=float)
        good = values[np.isfinite(values)]
        lost, seen = lost + len(values) - len(good), seen + len(values)
        means.append(good.mean() if len(good) else np.nan)
        quantiles.append(np.quantile(good, QUANTILES) if len(good) else [np.nan] * 4)
    return np.array(means), np.array(quantiles).T, lost / max(seen, 1)


def read(path, warnings):
    """The chains of a folder, or None where it has none; what is damaged is added to `warnings`."""
    if not path.exists():
        return None
    import h5py  # only folders of chains need it
    try:
        with h5py.File(path, "r", locking=False) as file:
            steps = np.asarray(file["steps"], dtype=float)
            written = min([len(steps), *(file[name].shape[1] for name, _ in QUANTITIES if name in file)])
            steps = steps[:written]
            if not written or np.any(steps < 0) or np.any(np.diff(steps) <= 0):
                raise ValueError("its steps do not rise")
            chosen = chosen_steps(steps)
            found = {name: summary(file[name], chosen) for name, _ in QUANTITIES if name in file}
            count = max([file[name].shape[0] for name in found], default=0)
    except (OSError, KeyError, ValueError, IndexError, TypeError, RuntimeError) as failure:
        warnings.append(f"chains.h5 could not be read: {failure}")
        return None
    return Chains(steps[chosen], count, found)


def number_in(found, *keys):
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return float(found) if isinstance(found, (int, float)) and np.isfinite(found) else np.nan


def step_in(name):
    """The step that the name of a store tells, `step-000001000.h5`; nan where it tells none."""
    found = re.search(r"step-?(\d+)", pathlib.PurePath(name).name)
    return float(found[1]) if found else np.nan


def read_scores(folder):
    """score-*.json of a folder, by step; what is no score is left out."""
    scores = []
    for file in folder.glob("score-*.json"):
        try:
            found = json.loads(file.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ValueError, RecursionError):
            continue
        distance = number_in(found, "distance")
        if np.isnan(distance):
            continue
        stores = tuple(str((found.get(side) or {}).get("store", "")) if isinstance(found.get(side), dict) else ""
                       for side in "ab")
        steps = [s for s in (*map(step_in, stores), step_in(file.stem)) if not np.isnan(s)]
        scores.append(Score(file.name, steps[0] if steps else np.nan, distance,
                            number_in(found, "interval", "low"), number_in(found, "interval", "high"),
                            str(found.get("count", "")), stores))
    return sorted(scores, key=lambda score: (np.isnan(score.step), score.step, score.file))


def step_axis(axes, runs_steps):
    """Logarithmic from the first step on; step 0, where a chain starts, has its place at the left."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xlim(min(steps[0] for steps in runs_steps), max(max(steps[-1] for steps in runs_steps), 1) * 1.1)
    drawing.plain(axes)
    drawing.numbered(axes)
    ticks = [0, *(10 ** power for power in range(9))]
    last = axes.get_xlim()[1]
    shown = [tick for tick in ticks if axes.get_xlim()[0] <= tick <= last]
    axes.set_xticks(shown, [f"{tick:,}" if tick < 10000 else f"10{superscript(tick)}" for tick in shown])
    axes.set_xlabel("Langevin steps", fontsize=9)


def superscript(tick):
    return str(len(str(tick)) - 1).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def draw_quantity(name, title, runs):
    figure, axes = drawing.figure((4.4, 2.9))
    lost, span = [], []
    for run in runs:
        means, quantiles, share = run.chains.curves[name]
        line, steps = drawing.colour(run.place), run.chains.steps
        axes.fill_between(steps, quantiles[0], quantiles[3], color=line, alpha=0.13, linewidth=0)
        axes.fill_between(steps, quantiles[1], quantiles[2], color=line, alpha=0.2, linewidth=0)
        axes.plot(steps, means, color=line, linewidth=1.6, marker="o", markersize=2.5)
        if share:
            lost.append(f"{run.name}: {100 * share:.2g} % of the values are not finite and left out.")
        span.append(np.concatenate([means, *quantiles]))
    finite = [values[np.isfinite(values)] for values in span]
    if any(map(len, finite)) and drawing.wants_logarithm([v for v in finite if len(v)]):
        axes.set_yscale("log")
    step_axis(axes, [run.chains.steps for run in runs])
    return drawing.svg(figure, title), " ".join(lost)


def distance_card(runs):
    """Frechet distances over steps; nothing where no score names a step."""
    curves = [(run, [s for s in run.scores if not np.isnan(s.step)]) for run in runs]
    curves = [(run, scores) for run, scores in curves if scores]
    if not curves:
        return []
    figure, axes = drawing.figure((4.4, 2.9))
    for run, scores in curves:
        steps, distances = [s.step for s in scores], np.array([s.distance for s in scores])
        axes.plot(steps, distances, color=drawing.colour(run.place), linewidth=1.4, marker="o", markersize=3.5)
        for score in scores:
            axes.plot([score.step] * 2, [score.low, score.high], color=drawing.colour(run.place), linewidth=0.9)
    values = np.array([s.distance for _, scores in curves for s in scores])
    if len(values) > 1 and drawing.wants_logarithm([values]):
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, max(np.nanmax([s.high for _, scores in curves for s in scores] + [0.0]), values.max()) * 1.08)
    step_axis(axes, [np.array([s.step for s in scores]) for _, scores in curves])
    legend = text.legend([(run.place, f"{run.name}: {text.number(scores[-1].distance)}", False)
                          for run, scores in curves]) if len(runs) > 1 else ""
    return [text.card("Frechet distance along the chains", drawing.svg(figure, "Frechet distance over steps"),
                      "Of the score-*.json in the folder; the table names samples and features' stores.",
                      legend=legend)]


def score_table(runs):
    rows = [([run.name] if len(runs) > 1 else []) + [
        text.step(s.step) if not np.isnan(s.step) else "–", text.number(s.distance), s.count, s.file,
        *(pathlib.PurePath(store).name for store in s.stores)] for run in runs for s in run.scores]
    head = (["run"] if len(runs) > 1 else []) + ["step", "distance", "images", "file", "A", "B"]
    return f'<div class="block wide"><h3>Frechet distances</h3>{text.table(rows, head)}</div>' if rows else ""


def section(runs):
    with_chains = [run for run in runs if run.chains]
    items = []
    for name, title in QUANTITIES:
        having = [run for run in with_chains if name in run.chains.curves]
        if having:
            drawn, lost = draw_quantity(name, title, having)
            legend = text.legend([(run.place, f"{run.name}: {run.chains.count:,} chains", False) for run in having])
            items.append(text.card(title, drawn, f"Mean, and where the middle 50 % and 80 % of the chains lie. {lost}",
                                   legend=legend))
    items += distance_card(runs)
    return text.section("Along the chains", text.cards(items) + score_table(runs))
