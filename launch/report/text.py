"""Numbers, times and tables for people."""
import html
import math


def escape(value):
    return html.escape(str(value))


def number(value):
    """Four significant digits, no exponent where it reads well without."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}"
    if 1e4 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


def step(value):
    return f"{value:,.0f}"


def duration(seconds):
    seconds = int(seconds)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    return (f"{days}d " if days else "") + f"{hours}:{minutes:02}:{seconds % 60:02}"


def table(rows, head=None, kind=""):
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    top = "<thead><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr></thead>" if head else ""
    return f'<div class="scroll"><table class="{kind}">{top}<tbody>{body}</tbody></table></div>'


def card(title, drawing, note="", value="", legend="", wide=False):
    shown = f" <span>{escape(value)}</span>" if value else ""
    under = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<div class="card{" wide" if wide else ""}"><h3>{escape(title)}{shown}</h3>{legend}{drawing}{under}</div>'


def legend(entries):
    """[(colour number, name, dashed)] in a line above a figure."""
    return '<p class="legend">' + "".join(
        f'<span><i class="stroke s{colour % 8}{" dashed" if dashed else ""}"></i>{escape(name)}</span>'
        for colour, name, dashed in entries) + "</p>"


def section(title, content, note=""):
    under = f'<p class="note">{note}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{under}{content}</section>" if content else ""


def cards(items):
    return f'<div class="cards">{"".join(items)}</div>' if items else ""
