"""Draws a run on one self-contained page: python report.py DIR writes DIR/report.html.

Reads metrics.jsonl, samples/*.png, run.cfg and provenance.json; whatever is missing is left out. Ends with langrun's
exit codes: 3 where a package is missing, 6 where the page cannot be written; the last lines of stderr say why.
"""
import sys

# The script comes in on standard input, so Python would look for modules in the current folder first.
sys.path = [folder for folder in sys.path if folder]

import base64
import contextlib
import datetime
import html
import io
import json
import math
import os
import pathlib


def give_up(code, message, hint):
    sys.stderr.write(f"{message}\nhint: {hint}\n")
    sys.exit(code)


try:
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
except ImportError as missing:
    give_up(3, f"the report needs the Python package {missing.name or 'matplotlib'}, which {sys.executable} lacks",
            f"{sys.executable} -m pip install matplotlib, or set LANGRUN_PYTHON to an interpreter that has it")

MOST_PICTURES = 24
MOST_POINTS = 500
# Colours that stand in the drawings for the page's own, so that curves follow light and dark mode.
COLOURS = {"#010204": "--muted", "#010205": "--line", "#010206": "--accent", "#010207": "--warn"}
MUTED, LINE, ACCENT, WARN = COLOURS

# name: title, unit, what a reader should know
QUANTITIES = {
    "energy_difference": ("Energy difference", "", "Mean energy of data minus that of chains: the loss of the energy. "
                          "Healthy training swings about zero; growth without return is divergence."),
    "gradient_magnitude": ("Gradient magnitude", "", "How far the gradient moves an image in one Langevin step."),
    "generator_loss": ("Generator loss", "", "Squared distance of the chains from what the generator made of their "
                       "latents, summed over pixels."),
    "learning_rate": ("Learning rate, energy", "", ""),
    "generator_learning_rate": ("Learning rate, generator", "", ""),
    "bank_mean_age": ("Mean age of the bank", "rounds", "Rounds of sampling since a slot was last rejuvenated."),
    "image_steps_per_second": ("Speed", "image-steps/s", "Langevin steps times images, all ranks, while sampling."),
    "energy_data": ("Energy of data", "", ""),
    "energy_chains": ("Energy of chains", "", "Data and chains should move together."),
    "rejuvenated": ("Rejuvenated", "slots", "Slots of this step's batch that began anew."),
}


# ---- what the run folder holds -------------------------------------------------------------------------------------

def read_metrics(path):
    """Columns by name as float arrays (timers as name.avg etc.), and how many lines could not be read."""
    columns, lines, bad = {}, 0, 0
    if not path.exists():
        return {}, 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                record = json.loads(text)
                record["step"]
            except (ValueError, KeyError, TypeError):
                bad += 1
                continue
            flat = {}
            for name, value in record.items():
                if isinstance(value, dict):
                    flat.update({f"{name}.{part}": number for part, number in value.items()})
                else:
                    flat[name] = value
            for name, value in flat.items():
                column = columns.setdefault(name, [])
                column.extend([math.nan] * (lines - len(column)))
                column.append(float(value) if isinstance(value, (int, float)) else math.nan)
            lines += 1
    return {name: np.array(c + [math.nan] * (lines - len(c))) for name, c in columns.items()}, bad


def read_config(path):
    """run.cfg as [(section, [(key, value)])]."""
    sections = [("general", [])]
    if path.exists():
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
            text = text.strip()
            if text.startswith("[") and text.endswith("]"):
                sections.append((text[1:-1], []))
            elif text and not text.startswith("#"):
                key, _, value = text.partition("=")
                sections[-1][1].append((key.strip(), value.strip()))
    return [section for section in sections if section[1]]


def read_json(path):
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def read_pictures(folder):
    """(caption, data URI) of the run's sample grids, evenly thinned, first and last kept; and how many there are."""
    files = sorted(folder.glob("*.png"), key=lambda f: (len(f.stem) if f.stem.isdigit() else 99, f.stem))
    chosen = files
    if len(files) > MOST_PICTURES:
        chosen = [files[round(i * (len(files) - 1) / (MOST_PICTURES - 1))] for i in range(MOST_PICTURES)]
    pictures = []
    for file in chosen:
        caption = f"step {int(file.stem):,}" if file.stem.isdigit() else file.stem
        pictures.append((caption, "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()))
    return pictures, len(files)


# ---- numbers and curves --------------------------------------------------------------------------------------------

def number(value):
    """A number for people: four significant digits, no exponent where it reads well without."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}"
    if abs(value) < 1e7 and abs(value) >= 1e4:
        return f"{value:,.0f}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def duration(seconds):
    seconds = int(seconds)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    return (f"{days}d " if days else "") + f"{hours}:{minutes:02}:{seconds % 60:02}"


def tail(values):
    """The finite values of the last tenth, at least 10."""
    last = values[-max(10, len(values) // 10):]
    return last[np.isfinite(last)]


def rate_drops(columns):
    """Steps at which the learning rate falls at once by 5 % or more, with the new rate; smooth decay gives none."""
    rates = columns.get("learning_rate")
    if rates is None or len(rates) < 2:
        return []
    at = np.nonzero(rates[1:] < rates[:-1] * 0.95)[0] + 1
    return [(columns["step"][i], rates[i]) for i in at] if len(at) <= 12 else []


def thin(steps, values):
    """(steps, mean, low, high) in at most MOST_POINTS equal stretches: no spike is lost, no page is huge."""
    if len(steps) <= MOST_POINTS:
        return steps, values, values, values
    pieces = np.array_split(np.arange(len(steps)), MOST_POINTS)
    return (np.array([steps[p].mean() for p in pieces]), *(
        np.array([how(values[p]) for p in pieces]) for how in (np.mean, np.min, np.max)))


def smooth(values, window):
    """Running mean, shorter windows at both ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - window // 2, 0), np.minimum(index + window // 2 + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def frame(values):
    """Limits of the ordinate: everything, unless the start or a few outliers would flatten the rest."""
    low, high = values.min(), values.max()
    few = 1 if len(values) < 2000 else 0.1  # percent
    inner_low, inner_high = np.percentile(values[len(values) // 20:], [few, 100 - few])
    if len(values) > 50 and high - low > 4 * (inner_high - inner_low) > 0:
        low, high = inner_low, inner_high
    room = 0.08 * (high - low) or abs(high) * 0.05 or 1.0
    return low - room, high + room


def draw_curve(name, steps, values, drops):
    """One quantity against the step as inline SVG, and remarks for its caption."""
    remarks = []
    good = np.isfinite(values)
    figure, axes = plt.subplots(figsize=(4.4, 2.35), layout="constrained")
    for step in steps[~good & (np.cumsum(good) > 0)][:20]:
        axes.axvline(step, color=WARN, linewidth=1)
    all_values = values[good]
    x, mean, low, high = thin(steps[good], all_values)
    for step, rate in drops if "learning_rate" not in name else []:
        axes.axvline(step, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
    if name == "energy_difference":
        axes.axhline(0, color=MUTED, linewidth=0.8)
    window = max(len(x) // 25, 1)
    if len(x) > 60 and not name.endswith("learning_rate"):
        if len(all_values) > len(x):
            axes.fill_between(x, low, high, color=ACCENT, alpha=0.22, linewidth=0)
        else:
            axes.plot(x, mean, color=ACCENT, alpha=0.35, linewidth=0.7)
        axes.plot(x, smooth(mean, window), color=ACCENT, linewidth=1.7)
    else:
        axes.plot(x, mean, color=ACCENT, linewidth=1.7, marker="o" if len(x) < 3 else None,
                  drawstyle="steps-post" if name.endswith("learning_rate") else "default")
    if np.min(all_values) > 0 and np.percentile(all_values, 95) > 50 * np.percentile(all_values, 5):
        axes.set_yscale("log")
    else:
        axes.set_ylim(*frame(all_values))
        bottom, top = axes.get_ylim()
        outside = int(np.sum((all_values < bottom) | (all_values > top)))
        if outside:
            remarks.append(f"{outside} of {len(all_values)} values lie outside the frame, the farthest "
                           f"{number(all_values[np.argmax(np.abs(all_values))])}.")
    if not good.all():
        remarks.append(f"{int((~good).sum())} values are missing or not finite.")
    return finish(figure, axes), " ".join(remarks)


def finish(figure, axes):
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(which="both", colors=MUTED, labelcolor=MUTED, length=0, labelsize=9)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    if axes.get_yscale() == "linear":
        axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 5), useOffset=False)
        axes.yaxis.get_offset_text().set_color(MUTED)
    else:
        axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    text = out.getvalue()
    text = text[text.index("<svg"):]
    head, rest = text.split(">", 1)
    box = head[head.index("viewBox"):].split('"')[1]
    for colour, variable in COLOURS.items():
        rest = rest.replace(colour, f"var({variable})")
    return f'<svg viewBox="{box}" role="img" xmlns:xlink="http://www.w3.org/1999/xlink">{rest}'


# ---- the page ------------------------------------------------------------------------------------------------------

def escape(value):
    return html.escape(str(value))


def table(rows, head=None):
    text = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    top = "<thead><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr></thead>" if head else ""
    return f'<div class="scroll"><table>{top}<tbody>{text}</tbody></table></div>'


def headline(columns, config, provenance):
    """The run in six figures: (name, value, remark)."""
    settings = dict(pair for section, pairs in config if section == "general" for pair in pairs)
    total = settings.get("steps", "")
    figures = [("Steps", f"{int(columns['step'][-1]):,}", f"of {int(total):,}" if total.isdigit() else "")]
    for name, title in (("energy_difference", "Energy difference"), ("gradient_magnitude", "Gradient magnitude"),
                        ("generator_loss", "Generator loss")):
        last = tail(columns[name]) if name in columns else []
        if len(last):
            figures.append((title, number(np.mean(last)), f"± {np.std(last):.2g}, last {len(last)} steps"))
    speed = columns.get("image_steps_per_second", np.array([math.nan]))
    speed = speed[np.isfinite(speed)]
    if len(speed):
        figures.append(("Image-steps a second", number(np.median(speed)), "median, all ranks"))
    seconds = sum(np.nansum(values) for name, values in columns.items() if name.endswith(".avg"))
    if seconds:
        ranks = len(provenance.get("hosts", []))
        figures.append(("Time in steps", duration(seconds), f"on {ranks} rank{'s' * (ranks != 1)}" if ranks else ""))
    return "".join(f'<div class="figure"><span>{escape(name)}</span><b>{escape(value)}</b><small>{escape(remark)}'
                   "</small></div>" for name, value, remark in figures)


def pictures_section(pictures, count):
    if not pictures:
        return ""
    caption, latest = pictures[-1]
    thumbs = "".join(f'<button type="button" data-caption="{escape(c)}"><img src="{uri}" alt="samples, {escape(c)}" '
                     f'loading="lazy"><span>{escape(c)}</span></button>' for c, uri in pictures)
    shown = f"{len(pictures)} of {count} pictures, evenly chosen" if count > len(pictures) else f"{count} pictures"
    strip = f'<div class="strip">{thumbs}</div><p class="note">{shown}. Choose one to see it large.</p>'
    return (f'<section><h2>Samples</h2><figure class="large"><img id="large" src="{latest}" alt="{escape(caption)}">'
            f'<figcaption id="caption">{escape(caption)}</figcaption></figure>{strip if count > 1 else ""}</section>')


def curves_section(columns):
    steps, drops = columns["step"], rate_drops(columns)
    known = [name for name in QUANTITIES if name in columns]
    others = [name for name in columns if name not in QUANTITIES and name != "step" and "." not in name]
    cards = []
    for name in known + others:
        values = columns[name]
        if not np.isfinite(values).any():
            continue
        title, unit, meaning = QUANTITIES.get(name, (name.replace("_", " ").capitalize(), "", ""))
        drawing, remarks = draw_curve(name, steps, values, drops)
        last = number(values[np.isfinite(values)][-1])
        cards.append(f'<div class="card"><h3>{escape(title)} <span>{escape(last)} {escape(unit)}</span></h3>{drawing}'
                     f'<p class="note">{escape(" ".join(t for t in (meaning, remarks) if t))}</p></div>')
    note = ""
    if drops:
        what = ", ".join(f"{number(rate)} at step {int(step):,}" for step, rate in drops)
        note = f'<p class="note">Dotted lines: the learning rate falls to {escape(what)}.</p>'
    return f'<section><h2>Curves</h2>{note}<div class="cards">{"".join(cards)}</div></section>'


def timers_section(columns):
    phases = []
    for name in columns:
        if not name.endswith(".avg"):
            continue
        base = name[:-4]
        average, slowest = (np.nan_to_num(columns.get(base + part, columns[name])) for part in (".avg", ".max"))
        phases.append((base.removeprefix("seconds_"), average.mean(), slowest.mean(), average.sum()))
    whole = sum(phase[1] for phase in phases)
    if not whole:
        return ""
    bar = "".join(f'<i style="width:{100 * phase[1] / whole:.3f}%" class="p{i % 6}"></i>'
                  for i, phase in enumerate(phases))
    rows = "".join(
        f'<tr><td><i class="dot p{i % 6}"></i>{escape(name)}</td><td>{100 * mean / whole:.1f} %</td>'
        f"<td>{number(1e3 * mean)} ms</td><td>{number(1e3 * slowest)} ms</td><td>{duration(total)}</td></tr>"
        for i, (name, mean, slowest, total) in enumerate(phases))
    head = "".join(f"<th>{cell}</th>" for cell in ("phase", "share", "a step", "slowest rank", "in all"))
    return (f'<section><h2>Where the time goes</h2><div class="bar">{bar}</div>'
            f'<div class="scroll"><table class="numbers">'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>")


def settings_section(config):
    if not config:
        return ""
    blocks = "".join(f'<div class="block"><h3>{escape(section)}</h3>{table(pairs)}</div>' for section, pairs in config)
    return f'<section><h2>Settings</h2><div class="blocks">{blocks}</div></section>'


def provenance_section(found):
    if not found:
        return ""
    own = f"{found.get('version', '?')} ({found.get('commit', '?')})"
    rows = [("langrun", own), *found.get("libraries", {}).items()]
    ranks = list(zip(found.get("hosts", []), found.get("devices", []) or [""] * len(found.get("hosts", []))))
    starts = [(g.get("generation"), str(g.get("time", "")).replace("T", " ").rstrip("Z"), g.get("first_step"),
               g.get("ranks"), " ".join(g.get("command", []))) for g in found.get("generations", [])]
    return (f'<section><h2>Provenance</h2><pre>{escape(" ".join(found.get("command", [])))}</pre><div class="blocks">'
            f'<div class="block"><h3>versions</h3>{table(rows)}</div>'
            f'<div class="block"><h3>ranks</h3>{table([(i, *r) for i, r in enumerate(ranks)])}</div></div>'
            f'<h3>starts</h3>{table(starts, ("generation", "time (UTC)", "first step", "ranks", "command"))}</section>')


STYLE = """
:root{--paper:#f6f7f9;--card:#fff;--ink:#1b1f27;--muted:#667085;--line:#e3e6ec;--accent:#2f62d9;--warn:#d0342c;
color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--paper:#14161b;--card:#1d2027;--ink:#e8eaf0;--muted:#98a1b2;--line:#323743;
--accent:#7ea6ff;--warn:#ff7a70}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:1.7rem;line-height:1.2;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:44px 0 12px}
h3{font-size:.95rem;margin:0 0 8px;font-weight:600}section>h3{margin-top:20px}.note{color:var(--muted);font-size:.85rem;
margin:8px 0 0}.card,.block,.figure,.large,pre{background:var(--card);border:1px solid var(--line);border-radius:10px}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:22px}
.figure{padding:12px 14px;display:flex;flex-direction:column}.figure span,.figure small{color:var(--muted);
font-size:.8rem}.figure b{font-size:1.45rem;line-height:1.35;font-weight:650;font-variant-numeric:tabular-nums}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(330px,100%),1fr));gap:14px;margin-top:12px}
.card{padding:14px 14px 12px}.card h3{display:flex;justify-content:space-between;gap:10px}.card h3 span{font-weight:500;
color:var(--accent);font-variant-numeric:tabular-nums;white-space:nowrap}svg{display:block;width:100%;
height:auto;overflow:visible}svg text{font-family:inherit!important}.large{margin:0;padding:12px;text-align:center}
.large img{max-width:100%;max-height:78vh;border-radius:6px;display:block;margin:0 auto}figcaption{color:var(--muted);
font-size:.9rem;margin-top:8px}.strip{display:flex;gap:10px;overflow-x:auto;padding:12px 2px 6px}
.strip button{flex:0 0 auto;width:118px;padding:5px;background:var(--card);border:1px solid var(--line);
border-radius:8px;
color:var(--muted);font:inherit;font-size:.78rem;cursor:pointer}.strip img{width:100%;height:78px;object-fit:cover;
object-position:top;border-radius:4px;display:block;margin-bottom:3px}
.strip button[aria-pressed=true]{border-color:var(--accent);color:var(--accent)}
.bar{display:flex;height:20px;border-radius:6px;overflow:hidden;background:var(--line);margin-bottom:10px}
.p0{background:#2f62d9}.p1{background:#e08a1e}.p2{background:#2a9d6f}.p3{background:#b0468f}.p4{background:#7a6ff0}
.p5{background:#8a8f99}.dot{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.55em}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.87rem;font-variant-numeric:tabular-nums}
td,th{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}th{color:var(--muted);font-weight:500}.numbers td+td,.numbers th+th{text-align:right}
.blocks{columns:320px;column-gap:14px}.block{padding:12px 14px;margin-bottom:14px;break-inside:avoid}
.block td:last-child{overflow-wrap:anywhere}.block td:first-child{color:var(--muted);width:38%}
pre{padding:12px 14px;margin:0 0 14px;white-space:pre-wrap;overflow-wrap:anywhere;font-size:.83rem}
.warn{border-left:4px solid var(--warn);padding:6px 12px;margin:16px 0 0;background:var(--card)}@media(max-width:560px){
main{padding:18px 12px 40px}h1{font-size:1.35rem}.figures{grid-template-columns:1fr 1fr}.figure b{font-size:1.2rem}}
"""

SCRIPT = """
const large=document.getElementById('large'),caption=document.getElementById('caption');
const buttons=[...document.querySelectorAll('.strip button')];
const show=b=>{large.src=b.querySelector('img').src;large.alt='samples, '+b.dataset.caption;
caption.textContent=b.dataset.caption;buttons.forEach(o=>o.setAttribute('aria-pressed',o===b))};
buttons.forEach(b=>b.addEventListener('click',()=>show(b)));
if(buttons.length){const strip=document.querySelector('.strip');show(buttons[buttons.length-1]);
strip.scrollLeft=strip.scrollWidth}
"""


def page(run):
    columns, bad = read_metrics(run / "metrics.jsonl")
    config, provenance = read_config(run / "run.cfg"), read_json(run / "provenance.json")
    pictures, count = read_pictures(run / "samples")
    now = datetime.datetime.now(datetime.timezone.utc)
    body = [f"<h1>{escape(run.name)}</h1>",
            f'<p class="note">langrun {escape(provenance.get("version", ""))}, drawn {now:%Y-%m-%d %H:%M} UTC</p>']
    if bad:
        body.append(f'<p class="warn">{bad} line{"s" * (bad != 1)} of metrics.jsonl could not be read.</p>')
    if "step" in columns:
        body.append(f'<div class="figures">{headline(columns, config, provenance)}</div>')
    else:
        body.append('<p class="warn">No step has been recorded yet.</p>')
    body.append(pictures_section(pictures, count))
    if "step" in columns:
        body += [curves_section(columns), timers_section(columns)]
    body += [settings_section(config), provenance_section(provenance)]
    return ('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(run.name)}: langrun</title><style>{STYLE}</style></head><body><main>{''.join(body)}</main>"
            f"{'<script>' + SCRIPT + '</script>' if pictures else ''}</body></html>\n")


def main(folder):
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "langrun", "font.size": 9})
    run, partial = pathlib.Path(folder), pathlib.Path(folder, "report.html.partial")
    text = page(run)
    try:
        with open(partial, "w", encoding="utf-8") as file:
            print(text, end="", file=file, flush=True)
            os.fsync(file.fileno())
        os.replace(partial, run / "report.html")
    except OSError as failure:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        give_up(6, f"cannot write {run / 'report.html'}: {failure.strerror}", "make room, or check its permissions")


if __name__ == "__main__":
    main(sys.argv[1])
