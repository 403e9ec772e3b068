"""The page of a sweep: one table, and accuracy over each key that was swept."""
import json

import matplotlib
import numpy as np

from . import checks, drawing, evaluation, runs, text

plt = drawing.plt


def numeric(values):
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def rules_of(points):
    return list(dict.fromkeys(rule for point in points for rule in point["result"]["protocols"]))


def table(keys, points):
    rules = rules_of(points)
    rows = []
    for point in points:
        result = point["result"]
        cells = [point["values"][key] for key in keys] + [evaluation.share(result["natural_accuracy"])]
        for rule in rules:
            one = result["protocols"].get(rule)
            cells.append(f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})" if one else "–")
        rows.append((*cells, point["folder"]))
    head = [*keys, "natural", *(evaluation.RULES.get(rule, rule) for rule in rules), "folder"]
    return f'<div class="block wide">{text.table(rows, head)}</div>'


def tied(key, words):
    """Keys that change together with `key`; not the norm, by which radii are measured."""
    return {other for word in words if key in word for other in word if other != "attack.norm"} | {key}


def lines_over(key, keys, words, points):
    """[(name of the other keys' values, points along `key`)]"""
    others = [other for other in keys if other not in tied(key, words)]
    groups = {}
    for point in points:
        name = ", ".join(f"{other.split('.')[-1]} {point['values'][other]}" for other in others)
        groups.setdefault(name, []).append(point)
    return [(name, sorted(group, key=lambda point: float(point["values"][key]))) for name, group in groups.items()]


def headline_rule(points):
    return checks.headline_rule([rule for rule in checks.RULES
                                 if all(rule in point["result"]["protocols"] for point in points)])


def accuracy_over(axes, key, keys, words, points):
    """Robust accuracy with its interval, natural accuracy dashed; one colour for each value of the other keys."""
    rule = headline_rule(points)
    lines = lines_over(key, keys, words, points)
    for place, (_, group) in enumerate(lines):
        at = [float(point["values"][key]) for point in group]
        axes.plot(at, [point["result"]["natural_accuracy"] for point in group], "--", color=drawing.colour(place))
        if rule is None:
            continue
        shown = [point["result"]["protocols"][rule] for point in group]
        axes.fill_between(at, [one["low"] for one in shown], [one["high"] for one in shown], color=drawing.colour(place),
                          alpha=0.15, linewidth=0)
        axes.plot(at, [one["value"] for one in shown], "o-", color=drawing.colour(place), markersize=4)
    axes.set_xlabel(key)
    axes.set_ylim(0, 1)
    return [(place, name or evaluation.RULES.get(rule, "natural"), False) for place, (name, _) in enumerate(lines)]


def steps_of(axes, keys, points):
    for place, point in enumerate(points):
        axes.plot(point["result"]["accuracy_by_step"], color=drawing.colour(place))
    axes.set_xlabel("attack step")
    axes.set_ylim(bottom=0)
    return [(place, name_of(keys, point), False) for place, point in enumerate(points)]


def name_of(keys, point):
    return ", ".join(f"{key.split('.')[-1]} {point['values'][key]}" for key in keys)


def outlines(axes, keys, points, label, natural, attacked):
    """Shares of values over the same bins: of each point attacked, dashed natural."""
    series = [(place, dashed, values[place]) for place in range(len(points)) for dashed, values in ((True, natural), (False, attacked))]
    edges, shares = checks.finite_shares([((place, dashed), values) for place, dashed, values in series])
    for (place, dashed), _, counts in shares:
        axes.plot((edges[1:] + edges[:-1]) / 2, counts, "--" if dashed else "-", color=drawing.colour(place), drawstyle="steps-mid",
                  linewidth=1.2)
    axes.set_xlabel(label)
    axes.set_ylim(bottom=0)
    return [(place, name_of(keys, point), False) for place, point in enumerate(points)]


def histograms_of(folder, keys, points):
    """Energies and margins of every point, where the records hold any."""
    import h5py  # only evaluations and folders of chains need it
    columns = {"Energies of natural and attacked images": ([], [], "U"), "Margins over replicates": ([], [], "logit of the true class "
                                                                                                    "less the largest other")}
    for point in points:
        with h5py.File(folder / point["folder"] / "records.h5", "r", locking=False) as file:
            energies, margins = columns.values()
            energies[0].append(checks.natural_energies(file, "first_energy"))
            energies[1].append(checks.attacked_energies(file, "first_energy"))
            margins[0].append(checks.margins(file, checks.NATURAL))
            margins[1].append(np.concatenate([checks.margins(file, checks.VERIFICATION), checks.margins(file, checks.LAST)]))
    return [(title, lambda axes, natural=natural, attacked=attacked, label=label: outlines(axes, keys, points, label, natural, attacked))
            for title, (natural, attacked, label) in columns.items()
            if checks.finite_shares([("", values) for values in natural + attacked])[1]]


def panels(key, keys, points):
    """[(what is added to the title, points)]: radii and steps of an attack once for each norm."""
    norms = list(dict.fromkeys(point["values"].get("attack.norm") for point in points))
    if key not in ("attack.eps", "attack.alpha") or "attack.norm" not in keys:
        return [("", points)]
    return [(f" ({norm})", [point for point in points if point["values"]["attack.norm"] == norm]) for norm in norms]


def parts_of(folder, keys, words, points):
    """[(title, what draws into axes and returns its legend)]"""
    parts = [(f"Accuracy over {key}{more}", lambda axes, key=key, some=some: accuracy_over(axes, key, keys, words, some))
             for key in keys if numeric(point["values"][key] for point in points) for more, some in panels(key, keys, points)]
    few = len(points) <= 16
    if any(len(point["result"]["accuracy_by_step"]) > 1 for point in points) and few:
        parts.append(("Accuracy over attack steps", lambda axes: steps_of(axes, keys, points)))
    return parts + (histograms_of(folder, keys, points) if few else [])


def card(title, draw):
    drawn, axes = drawing.figure()
    entries = draw(axes)
    drawing.plain(axes)
    axes.grid(axis="y", color=drawing.LINE, linewidth=0.7)
    note = ("dashed: natural; bands: 95 % over images" if title.startswith("Accuracy over") and "steps" not in title.split()
            else "" if title.startswith("Accuracy") else "solid: attacked; dashed: natural")
    return text.card(title, drawing.svg(drawn, title), note, legend=text.legend(entries))


def picture(path, parts):
    """The figures in one file, in plain colours."""
    plain = {name: colour for name, colour in zip(drawing.SERIES, matplotlib.color_sequences["tab10"])}
    drawn, axes = plt.subplots(1, len(parts), figsize=(5 * len(parts), 3.6), layout="constrained", squeeze=False)
    for one, (title, draw) in zip(axes[0], parts):
        entries = draw(one)
        for line in one.get_lines():
            line.set_color(plain.get(line.get_color(), "black"))
        for band in one.collections:
            band.set_facecolor("0.85")
        handles = [matplotlib.lines.Line2D([], [], color=plain[drawing.colour(place)], label=name)
                   for place, name, _ in entries]
        one.legend(handles=handles, fontsize=7)
        one.set_title(title, fontsize=10)
        one.grid(alpha=0.3)
    partial = path.with_name(path.name + ".partial")
    drawn.savefig(partial, format="png", dpi=130)
    plt.close(drawn)
    partial.replace(path)


def settings(folder, keys, points):
    """The configuration that all points share, of the first one's; what was swept is in the table."""
    found = runs.read_config(folder / points[0]["folder"] / "run.cfg")
    swept = {tuple(key.rpartition(".")[::2]) for key in keys}
    blocks = []
    for section, pairs in found:
        kept = [(name, value) for name, value in pairs if ("" if section == "general" else section, name) not in swept]
        blocks.append(f'<div class="block"><h3>{text.escape(section)}</h3>{text.table(kept)}</div>')
    return text.section("Settings of all points", f'<div class="blocks">{"".join(blocks)}</div>')


def read(folder):
    """Title, what it is, and the parts of the page; the figures also as sweep.png."""
    found = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    keys, points = found["keys"], found["points"]
    parts = parts_of(folder, keys, found.get("words", [[key] for key in keys]), points)
    if parts:
        picture(folder / "sweep.png", parts)
    warnings = "".join(f'<p class="warn">{text.escape(warning)}</p>' for warning in found.get("warnings", []))
    images = int(np.max([point["result"]["images"] for point in points]))
    body = [warnings, text.section("Points", table(keys, points)),
            text.section("Curves", text.cards([card(title, draw) for title, draw in parts])), settings(folder, keys, points)]
    about = (f"sweep of {', '.join(keys)}", f"{len(points)} evaluations of {images:,} images")
    return folder.resolve().name, about, body
