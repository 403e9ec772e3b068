"""The page of an evaluation: what held, how sure that is, what it looked like."""
import json
import types

import numpy as np

from . import checks, drawing, evaluation_images, runs, tables, text

RULES = {"verified_any_step": "verified, any step", "any_step": "any step", "final_step": "final step",
         "majority_vote": "majority vote", "resubmission": "resubmission", "null_control": "null control",
         "null_control_any_step": "null control, any step"}
MEANING = {"verified_any_step": "wrong by the small sample and again by the judge", "any_step": "wrong once by the small sample",
           "final_step": "wrong by the judge at the last image", "majority_vote": "wrong by most of the judge's replicates",
           "resubmission": "wrong in any of several judge averages at the last image",
           "null_control": "unperturbed images called wrong by as many judge checks",
           "null_control_any_step": "unperturbed images called wrong by as many small samples"}


def share(value):
    return "–" if value is None else f"{value:.3f}"


def headline(result):
    cells = [("natural", result["natural"], "of all images")]
    cells += [(RULES.get(name, name), rule, MEANING.get(name, "")) for name, rule in result["protocols"].items()]
    return '<div class="figures">' + "".join(
        f'<div class="figure"><span>{text.escape(name)}</span><b>{share(rule["value"])}</b>'
        f'<small>{share(rule["low"])} to {share(rule["high"])}</small><small>{text.escape(meaning)}</small></div>'
        for name, rule, meaning in cells) + "</div>"


def intervals(result):
    """Bars: over images, and with the judge redrawn."""
    rows = [("natural", result["natural"]), *((RULES.get(n, n), r) for n, r in result["protocols"].items())][::-1]
    drawn, axes = drawing.figure((4.4, 0.6 + 0.36 * len(rows)))
    for place, (_, rule) in enumerate(rows):
        axes.plot([rule["low"], rule["high"]], [place, place], color=drawing.colour(0), linewidth=2)
        axes.plot([rule["noise_low"], rule["noise_high"]], [place - 0.22] * 2, color=drawing.colour(1), linewidth=2)
        axes.plot(rule["value"], place, "o", color=drawing.colour(0), markersize=5)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_xlim(-0.02, 1.02)
    drawing.plain(axes)
    axes.grid(axis="x", color=drawing.LINE, linewidth=0.7)
    return text.card("Shares and their intervals", drawing.svg(drawn, "shares and intervals"),
                     legend=text.legend([(0, "95 % over images", False), (1, "95 % with the judge redrawn", False)]))


def by_step(title, series, note="", low=None):
    """A figure of [(name, values)] over attack steps."""
    drawn, axes = drawing.figure()
    for place, (_, values) in enumerate(series):
        axes.plot(range(len(values)), [np.nan if v is None else v for v in values], color=drawing.colour(place))
    if low is not None:
        axes.set_ylim(bottom=low)
    axes.set_xlabel("attack step")
    drawing.plain(axes)
    drawing.numbered(axes)
    names = text.legend([(place, name, False) for place, (name, _) in enumerate(series)]) if len(series) > 1 else ""
    return text.card(title, drawing.svg(drawn, title), note, legend=names)


def standing(broken, natural, steps):
    """Share of images not broken by step n in any restart."""
    first = np.where(broken >= 0, broken, steps + 1).min(axis=1) if broken.shape[1] else np.full(len(broken), steps + 1)
    return [float(np.mean((natural > 0) & (first > n))) for n in range(steps + 1)]


def histogram(title, series, label, note=""):
    """Shares of values, each series with the same bins."""
    edges, shares = checks.finite_shares(series)
    if not shares:
        return ""
    drawn, axes = drawing.figure()
    for place, (_, _, counts) in enumerate(shares):
        axes.stairs(counts, edges, color=drawing.colour(place), fill=place == 0, alpha=0.45 if place == 0 else 1,
                    linewidth=1.5)
    axes.set_xlabel(label)
    drawing.plain(axes)
    axes.grid(axis="y", color=drawing.LINE, linewidth=0.7)
    names = text.legend([(place, f"{name} ({count:,})", False) for place, (name, count, _) in enumerate(shares)])
    return text.card(title, drawing.svg(drawn, title), note, legend=names)


def curves(result, file):
    cards = [intervals(result)]
    natural = file["natural_correct"][()]
    steps = len(result["accuracy_by_step"]) - 1
    if steps > 0:
        series = [(RULES[name], standing(file[f"rules/{name}"][()], natural, steps))
                  for name in ("verified_any_step", "any_step", "majority_vote")
                  if name in result["protocols"] and f"rules/{name}" in file]
        cards.append(by_step("Accuracy over attack steps", series, "share of all images not broken so far, in any restart", 0))
    cosine = result["gradient_cosine_by_step"]
    if any(value is not None for value in cosine):
        cards.append(by_step("Agreement of the attack's gradients", [("cosine", cosine)],
                             "cosine between the gradients of two halves of the replicates: near 1 the attack has seen "
                             "enough of them"))
    return cards


def energies(file, name):
    return [("natural", checks.natural_energies(file, name)), ("attacked", checks.attacked_energies(file, name))]


def histograms(file):
    return [histogram("Energies of natural and attacked images", energies(file, "first_energy"), "U",
                      "of the image that chains begin at; attacked: where the attack ended"),
            histogram("Energies after the chains", energies(file, "last_energy"), "U", "of the same, at the chains' last step"),
            histogram("Margins over replicates", [("natural checks", checks.margins(file, checks.NATURAL)),
                                                  ("verification", checks.margins(file, checks.VERIFICATION)),
                                                  ("last images", checks.margins(file, checks.LAST))],
                      "logit of the true class less the largest other")]


def cost(result, folder):
    starts = runs.read_json(folder / "cost.json").get("starts", [])
    sums = {key: sum(start.get(key, 0) for start in starts if isinstance(start, dict))
            for key in ("images", "energy_calls", "chain_steps", "waiting", "classifier_calls", "classifier_gradients")}
    rows = [("time", text.duration(result["seconds"])), ("Langevin steps", text.number(result["image_steps"])),
            ("starts", len(starts))]
    if sums["images"]:
        rows += [(f"{name} an image", text.number(sums[key] / sums["images"]))
                 for name, key in (("energy calls", "energy_calls"), ("classifier calls", "classifier_calls"),
                                   ("classifier gradients", "classifier_gradients"))]
    if sums["chain_steps"]:
        rows.append(("places of calls that waited", f"{100 * sums['waiting'] / (sums['waiting'] + sums['chain_steps']):.1f} %"))
    rows.append(("verdicts that stay when the judge is redrawn", f"{100 * result['replicate_agreement']:.2f} %"))
    return text.section("Cost and noise", f'<div class="block wide">{text.table(rows)}</div>')


def read(folder):
    """Title, what it is, and the parts of the page."""
    import h5py  # only evaluations and folders of chains need it
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    with h5py.File(folder / "records.h5", "r", locking=False) as file:
        drawings = text.section("Curves", text.cards([*curves(result, file), *filter(None, histograms(file))]))
        shown = evaluation_images.section(file, result["classes"], checks.headline_rule(result["protocols"]))
    settings = runs.read_config(folder / "run.cfg")
    blocks = "".join(f'<div class="block"><h3>{text.escape(name)}</h3>{text.table(pairs)}</div>' for name, pairs in settings)
    provenance = runs.read_json(folder / "provenance.json")
    notes = "".join(f'<p class="note">{text.escape(note)}</p>' for note in result.get("notes", []))
    warnings = "".join(f'<p class="warn">{text.escape(warning)}</p>' for warning in result.get("warnings", []))
    body = [headline(result), warnings, notes, drawings, shown, cost(result, folder),
            text.section("Settings", f'<div class="blocks">{blocks}</div>'),
            text.section("Provenance", tables.provenance_of(types.SimpleNamespace(provenance=provenance)) if provenance else "")]
    about = (f"evaluation of {result['images']:,} images", f"langrun {provenance.get('version', '')}".strip())
    return folder.resolve().name, about, body
