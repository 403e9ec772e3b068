"""Checks the page of an evaluation, or of a sweep, against what its folder holds: evaluation_page.py DIR"""
import json
import pathlib
import re
import sys

folder = pathlib.Path(sys.argv[1])
page = (folder / "report.html").read_text(encoding="utf-8")


def want(condition, what):
    if not condition:
        sys.exit(f"{folder}/report.html: {what}")


want('name="viewport"' in page, "no viewport: unreadable on a phone")
outside = [link for link in re.findall(r'(?:src|href)="([^"]*)"', page) if not link.startswith(("data:", "#"))]
want(not outside, f"asks for {outside[:3]}")
want("@import" not in page and "url(http" not in page, "asks for a style from outside")
want("nan" not in re.sub(r"<[^>]*>", " ", page).split(), "shows nan")

if (folder / "sweep.json").exists():
    sweep = json.loads((folder / "sweep.json").read_text())
    for point in sweep["points"]:
        want(point["folder"] in page, f"no row of {point['folder']}")
        for rule in point["result"]["protocols"].values():
            want(f"{rule['value']:.3f} ({rule['low']:.3f} to {rule['high']:.3f})" in page, f"no figure {rule}")
    for key in sweep["keys"]:
        want(f"Accuracy over {key}" in page, f"no curve over {key}")
    want((folder / "sweep.png").stat().st_size > 1000, "no sweep.png")
else:
    result = json.loads((folder / "result.json").read_text())
    shown = re.findall(r'<div class="figure"><span>([^<]*)</span><b>([^<]*)</b>', page)
    wanted = [result["natural"], *result["protocols"].values()]
    want([value for _, value in shown] == [f"{rule['value']:.3f}" for rule in wanted], f"headlines {shown}")
    for title in ("Shares and their intervals", "Accuracy over attack steps", "Energies of attacked images",
                  "Margins over replicates", "Cost and noise", "Settings", "Provenance"):
        want(title in page, f"no part '{title}'")
    want(page.count("data:image/png;base64,") >= 4, "no images")
    want(page.count("<svg") >= 4, "no curves")
    for line in (folder / "run.cfg").read_text().splitlines():
        if " = " in line:
            want(f">{line.split(' = ')[0]}<" in page, f"setting '{line}' is missing")
    for warning in result["warnings"]:
        want(warning.split("'")[0][:30] in page, f"no warning '{warning}'")
