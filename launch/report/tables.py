"""Headlines, settings and provenance."""
import math

import numpy as np

from . import text

HEADLINES = (("energy_difference", "Energy difference"), ("gradient_magnitude", "Gradient magnitude"),
             ("loss", "Loss"), ("validation_accuracy", "Validation accuracy"), ("generator_loss", "Generator loss"))


def tail(values):
    """The finite values of the last tenth, at least 10."""
    last = values[-max(10, len(values) // 10):]
    return last[np.isfinite(last)]


def facts(run):
    """A run in a few figures: (name, value, remark)."""
    columns, found = run.metrics.columns, []
    if len(run.metrics.steps):
        total = run.settings.get(("general", "steps"), "")
        found.append(("Steps", text.step(run.metrics.steps[-1]), f"of {int(total):,}" if total.isdecimal() else ""))
    for name, title in HEADLINES:
        last = tail(columns[name]) if name in columns else []
        if len(last):
            found.append((title, text.number(np.mean(last)), f"± {text.number(np.std(last))}, last {len(last)} steps"))
    speed = columns.get("image_steps_per_second", np.array([math.nan]))
    speed = speed[np.isfinite(speed)]
    if len(speed):
        found.append(("Image-steps a second", text.number(np.median(speed)), "median, all ranks"))
    seconds = sum(np.nansum(values[np.isfinite(values)]) for name, values in columns.items() if name.endswith(".avg"))
    if seconds:
        ranks = len(as_list(run.provenance.get("hosts")))
        found.append(("Time in steps", text.duration(seconds), f"on {ranks} rank{'s' * (ranks != 1)}" if ranks else ""))
    if run.rollbacks:
        found.append(("Returned to a checkpoint", str(len(run.rollbacks)), f"attempt {run.rollbacks[-1][1]}"))
    if run.chains:
        found.append(("Chains", f"{run.chains.count:,}", f"over {text.step(run.chains.steps[-1])} Langevin steps"))
    return found


def headline(runs):
    if len(runs) == 1:
        shown = facts(runs[0])
        return '<div class="figures">' + "".join(
            f'<div class="figure"><span>{text.escape(name)}</span><b>{text.escape(value)}</b>'
            f"<small>{text.escape(remark)}</small></div>" for name, value, remark in shown) + "</div>" if shown else ""
    found = [{name: (value, remark) for name, value, remark in facts(run)} for run in runs]
    names = list(dict.fromkeys(name for one in found for name in one))
    rows = [("Job", *(run.job or ("chains" if run.chains else "") for run in runs)),
            *((name, *(" ".join(one.get(name, ("–", ""))).strip() for one in found)) for name in names)]
    return f'<div class="block wide overview">{text.table(rows, ["", *(run.name for run in runs)])}</div>'


def settings(runs):
    if len(runs) == 1:
        blocks = "".join(f'<div class="block"><h3>{text.escape(section)}</h3>{text.table(pairs)}</div>'
                         for section, pairs in runs[0].config)
        return text.section("Settings", f'<div class="blocks">{blocks}</div>' if blocks else "")
    keys = list(dict.fromkeys(key for run in runs for key in run.settings))
    named = {key: key[1] if key[0] == "general" else ".".join(key) for key in keys}
    values = {key: [run.settings.get(key, "–") for run in runs] for key in keys}
    differing = [(named[key], *values[key]) for key in keys if len(set(values[key])) > 1]
    same = [(named[key], values[key][0]) for key in keys if len(set(values[key])) == 1]
    parts = []
    if differing:
        parts.append('<div class="block wide"><h3>What differs</h3>'
                     + text.table(differing, ["", *(run.name for run in runs)]) + "</div>")
    if same:
        parts.append(f"<details><summary>Settings that are the same in all ({len(same)})</summary>"
                     f'<div class="block wide">{text.table(same)}</div></details>')
    return text.section("Settings", "".join(parts))


def as_list(found):
    return found if isinstance(found, list) else []


def command_of(found):
    return " ".join(map(str, as_list(found.get("command"))))


def provenance_of(run):
    found = run.provenance
    libraries = found.get("libraries")
    rows = [("langrun", f"{found.get('version', '?')} ({found.get('commit', '?')})"),
            *(libraries.items() if isinstance(libraries, dict) else [])]
    hosts, devices = as_list(found.get("hosts")), as_list(found.get("devices"))
    ranks = [(rank, host, devices[rank] if rank < len(devices) else "") for rank, host in enumerate(hosts)]
    starts = [(g.get("generation"), str(g.get("time", "")).replace("T", " ").rstrip("Z"), g.get("first_step"),
               g.get("ranks"), command_of(g)) for g in as_list(found.get("generations")) if isinstance(g, dict)]
    head = ("generation", "time (UTC)", "first step", "ranks", "command")
    return (f'<pre>{text.escape(command_of(found))}</pre><div class="blocks">'
            f'<div class="block"><h3>versions</h3>{text.table(rows)}</div>'
            f'<div class="block"><h3>ranks</h3>{text.table(ranks)}</div></div>'
            f"<h3>starts</h3>{text.table(starts, head)}")


def provenance(runs):
    having = [run for run in runs if run.provenance]
    if len(runs) == 1:
        return text.section("Provenance", "".join(map(provenance_of, having)))
    return text.section("Provenance", "".join(
        f"<details><summary>{text.escape(run.name)}</summary>{provenance_of(run)}</details>" for run in having))
