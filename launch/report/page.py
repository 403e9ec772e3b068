"""The page: sections of one run, or of several side by side."""
import datetime

from . import bank, chains, curves, diagnostics, evaluation, runs, style, sweep, tables, text, timers

PICTURE_BYTES = 6_000_000  # of the page, all runs together


def gallery(run, alone):
    """A run's grids over time: one large, the others to choose from."""
    found = run.pictures
    heading = "" if alone else f"<h3>{text.escape(run.name)}</h3>"
    if not found.pictures:
        return ""
    caption, latest = found.pictures[-1]
    thumbs = "".join(f'<button type="button" data-caption="{text.escape(c)}"><img src="{uri}" alt="samples, '
                     f'{text.escape(c)}" loading="lazy"><span>{text.escape(c)}</span></button>'
                     for c, uri in found.pictures)
    shown = len(found.pictures)
    many = f"{shown} of {found.count} pictures, evenly chosen" if found.count > shown else f"{shown} pictures"
    strip = f'<div class="strip">{thumbs}</div><p class="note">{many}. Choose one to see it large.</p>'
    return (f'<div class="gallery">{heading}<figure class="large"><div class="scroll"><img src="{latest}" '
            f'alt="samples, {text.escape(caption)}"></div><figcaption>{text.escape(caption)}</figcaption></figure>'
            f"{strip if shown > 1 else ''}</div>")


def pictures(found):
    shown = "".join(gallery(run, len(found) == 1) for run in found)
    return text.section("Samples", f'<div class="galleries{"" if len(found) == 1 else " several"}">{shown}</div>'
                        if shown else "")


def warnings(found):
    return "".join(f'<p class="warn">{text.escape(run.name + ": " if len(found) > 1 else "")}'
                   f"{text.escape(warning)}</p>" for run in found for warning in run.warnings)


def document(title, about, body):
    now = datetime.datetime.now(datetime.timezone.utc)
    about = ", ".join(filter(None, (*about, f"drawn {now:%Y-%m-%d %H:%M} UTC")))
    head = f'<h1>{text.escape(title)}</h1><p class="note">{text.escape(about)}</p>'
    return ('<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{text.escape(title)}: langrun</title><style>{style.STYLE}</style></head>"
            f"<body><main>{head}{''.join(body)}</main><script>{style.SCRIPT}</script></body></html>\n")


def draw_runs(folders):
    found = runs.read_all(folders, PICTURE_BYTES)
    title = found[0].name if len(found) == 1 else f"{len(found)} runs side by side"
    version = found[0].provenance.get("version", "")
    about = (found[0].job if len(found) == 1 else "", f"langrun {version}".strip())
    names = "" if len(found) == 1 else text.legend([(run.place, run.name, False) for run in found])
    body = [names, warnings(found),
            tables.headline(found), pictures(found), curves.section(found), bank.section(found),
            diagnostics.section(found), chains.section(found), timers.section(found), tables.settings(found),
            tables.provenance(found)]
    return document(title, about, body)


def draw(folders):
    """The whole page as text."""
    if len(folders) == 1 and (folders[0] / "sweep.json").exists():
        return document(*sweep.read(folders[0]))
    if len(folders) == 1 and (folders[0] / "result.json").exists() and (folders[0] / "records.h5").exists():
        return document(*evaluation.read(folders[0]))
    return draw_runs(folders)
