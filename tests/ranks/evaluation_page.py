"""Checks the page of an evaluation, or of a sweep, against what its folder holds: evaluation_page.py DIR"""
import base64
import html.parser
import json
import pathlib
import re
import struct
import sys

import h5py

LINKS = {"src", "href", "xlink:href", "srcset", "poster", "data", "action"}
VOID = {"meta", "img", "br", "hr", "input", "link", "use", "path"}  # those the page has, closed or not


def want(condition, what):
    if not condition:
        sys.exit(f"{sys.argv[1]}/report.html: {what}")


class Page(html.parser.HTMLParser):
    """What a browser would be asked for, and what a reader would see, section by section."""

    def __init__(self, text):
        super().__init__()
        self.attributes, self.code, self.headlines = [], [], []
        self.sections, self.section, self.block = {"": ""}, "", ""  # text by h2
        self.tables = []  # (section, block, rows)
        self.pictures, self.warnings, self.words = [], [], []
        self.drawings = 0
        self.open = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.attributes += [(tag, *pair) for pair in attrs.items()]
        if tag not in VOID:
            self.open.append((tag, attrs.get("class") or ""))
        self.drawings += tag == "svg"
        if tag == "img":
            self.pictures.append((self.section, attrs.get("src") or "", attrs.get("alt") or ""))
        elif tag == "table":
            self.tables.append((self.section, self.block, []))
        elif tag == "tr" and self.tables:
            self.tables[-1][2].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1][2]:
            self.tables[-1][2][-1].append("")
        elif tag == "div" and attrs.get("class") == "figure":
            self.headlines.append([])

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        while tag not in VOID and self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        inside = [tag for tag, _ in self.open]
        last = self.open[-1] if self.open else ("", "")
        if last[0] in ("style", "script"):
            self.code.append(data)
            return
        if last[0] == "h2":
            self.section, self.block = data, ""
        elif last[0] == "h3":
            self.block = data
        elif last == ("p", "warn"):
            self.warnings.append(data)
        elif ("div", "figure") in self.open:
            self.headlines[-1].append(data)
        elif ("td" in inside or "th" in inside) and self.tables:
            self.tables[-1][2][-1][-1] += data
        self.sections[self.section] = self.sections.get(self.section, "") + " " + data
        if "svg" not in inside:
            self.words += data.split()

    def grids(self, section):
        return [rows for where, _, rows in self.tables if where == section]

    def rows(self, section):
        return [row for where, _, rows in self.tables if where == section for row in rows]


def letters(name):
    return re.sub("[^a-z]", "", name)


def check_alone(page):
    """It asks for nothing outside itself, and fits a phone."""
    viewport = [value for tag, key, value in page.attributes if tag == "meta" and key == "content" and "device-width" in value]
    want(("meta", "name", "viewport") in page.attributes and viewport, "no viewport: unreadable on a phone")
    for tag, key, value in page.attributes:
        value = value or ""
        want(key not in LINKS or value.startswith(("data:", "#")), f"{tag} asks for {key}={value[:60]}")
        want(key.startswith("xmlns") or not re.search(r"https?://|url\((?!['\"]?(#|data:))", value), f"{tag} {key}={value[:60]}")
    for code in page.code:
        want(not re.search(r"https?://|@import|fetch\(|url\((?!['\"]?(#|data:))", code), "style or script asks for more")
    want(not {"nan", "inf", "None"} & set(page.words), "shows nan, inf or None")


def check_pictures(page, folder):
    """Embedded, whole, of the images' size, of each kind that the gallery has."""
    shown = [(source, alt) for section, source, alt in page.pictures if section == "Images"]
    kinds = {alt.split(":")[0] for _, alt in shown}
    want(kinds == {"natural", "natural, purified", "attacked", "attacked, purified"}, f"images of {sorted(kinds)}")
    for source, alt in shown:
        head, _, code = source.partition(",")
        png = base64.b64decode(code, validate=True)
        want(head == "data:image/png;base64" and png[:8] == b"\x89PNG\r\n\x1a\n" and png[-8:-4] == b"IEND", f"no PNG: {alt}")
        want(struct.unpack(">II", png[16:24]) == (32, 32), f"the image '{alt}' is {struct.unpack('>II', png[16:24])}")


def check_answers(page, folder, result):
    """Under the pictures of the first grid stands what the defense says, and at its end what became of the image."""
    order = ("verified_any_step", "final_step", "any_step", "majority_vote", "resubmission")
    rule = next(name for name in order if name in result["protocols"])
    with h5py.File(folder / "records.h5") as file:
        pictured, labels = file["gallery/image"][()], file["label"][()]
        broken, natural = file[f"rules/{rule}"][()], file["natural_correct"][()]
        judge = {name: file["judge"][name][()] for name in ("image", "purpose", "restart", "step", "label")}
        small = {name: file["small"][name][()] for name in ("image", "purpose", "restart", "step", "label")}
    places = [len(pictured) - 1] if len(pictured) == 1 else \
        [int(place * (len(pictured) - 1) / (min(16, len(pictured)) - 1)) for place in range(min(16, len(pictured)))]
    images = [pictured[place] for place in places]
    rows = {cells[0]: cells[1:] for cells in page.grids("Images")[0]}
    said = [judge["label"][(judge["image"] == image) & (judge["purpose"] == 2)][0] for image in images]
    want(rows["natural, purified"] == [result["classes"][label] for label in said], f"answers {rows['natural, purified']}")
    ends = []
    for image in images:
        found = [(small["restart"][row], small["step"][row], 0, small["label"][row])
                 for row in range(len(small["image"])) if small["image"][row] == image and small["purpose"][row] == 0]
        found += [(judge["restart"][row], 1e9 if judge["purpose"][row] == 6 else judge["step"][row], 1, judge["label"][row])
                  for row in range(len(judge["image"])) if judge["image"][row] == image and judge["purpose"][row] in (1, 6)]
        ends.append(result["classes"][max(found)[3]] if found else "–")
    want(rows["attacked, purified"] == ends, f"answers of attacked images {rows['attacked, purified']}, expected {ends}")
    outcomes = []
    for image in images:
        hit = [at for at in broken[image] if at >= 0]
        outcomes.append("wrong naturally" if not natural[image] else
                        ("broken" if rule in ("final_step", "resubmission") else f"broken at {min(hit)}") if hit else "held")
    want(page.grids("Images")[0][-1][1:] == outcomes, f"outcomes {page.grids('Images')[0][-1][1:]}, expected {outcomes}")
    want(page.grids("Images")[0][0][1:] == [result["classes"][labels[image]] for image in images], "true classes")


def settings_of(path):
    """run.cfg as {(section, key): value}"""
    found, section = {}, "general"
    for line in map(str.strip, path.read_text().splitlines()):
        if line.startswith("["):
            section = line[1:-1]
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[section, key.strip()] = value.strip()
    return found


def check_evaluation(page, folder):
    result = json.loads((folder / "result.json").read_text())
    wanted = [("natural", result["natural"]), *result["protocols"].items()]
    shown = [(letters(cells[0]), *cells[1:3]) for cells in page.headlines]
    want(shown == [(letters(name), f"{rule['value']:.3f}", f"{rule['low']:.3f} to {rule['high']:.3f}") for name, rule in wanted],
         f"headlines {shown}")
    want(all(len(cells) == 4 and len(cells[3]) > 5 for cells in page.headlines), "a rule is not explained")
    want(page.warnings == result["warnings"], f"warnings {page.warnings}")
    for note in result["notes"]:
        want(note in page.sections[""], f"no note '{note}'")
    asked = settings_of(folder / "run.cfg")
    titles = ["Shares and their intervals", "Margins over replicates"]
    titles += ["Accuracy over attack steps"] * bool(result["accuracy_by_step"])
    titles += ["Agreement of the attack's gradients"] * any(cosine is not None for cosine in result["gradient_cosine_by_step"])
    if asked["general", "energy"] != "none":
        titles += ["Energies of natural and attacked images", "Energies after the chains"]
    for title in titles:
        want(title in page.sections.get("Curves", ""), f"no curve '{title}'")
    want(page.drawings == len(titles), f"{page.drawings} drawings, expected {titles}")
    check_pictures(page, folder)
    check_answers(page, folder, result)
    have = {(block, row[0]): row[1] for section, block, rows in page.tables if section == "Settings" for row in rows}
    want(len(asked) > 30 and have == asked, f"settings differ: {sorted(set(have.items()) ^ set(asked.items()))[:4]}")
    cost = dict(row[:2] for row in page.rows("Cost and noise"))
    starts = json.loads((folder / "cost.json").read_text())["starts"]
    calls = sum(start["energy_calls"] for start in starts) / sum(start["images"] for start in starts)
    want(abs(float(cost["energy calls an image"].replace(",", "")) - calls) <= 1e-3 * calls, f"cost {cost}, {calls} energy calls")
    want("defend" in page.sections.get("Provenance", ""), "no command")


def check_sweep(page, folder):
    sweep = json.loads((folder / "sweep.json").read_text())
    points = sweep["points"]
    head, *rows = page.rows("Points")
    rules = list(points[0]["result"]["protocols"])
    want([letters(cell) for cell in head] == [*map(letters, sweep["keys"]), "natural", *map(letters, rules), "folder"], f"head {head}")
    want(len(rows) == len(points), f"{len(rows)} rows of {len(points)} points")
    for point, row in zip(points, rows):
        found = point["result"]["protocols"]
        want(row == [*(point["values"][key] for key in sweep["keys"]), f"{point['result']['natural_accuracy']:.3f}",
                     *(f"{found[r]['value']:.3f} ({found[r]['low']:.3f} to {found[r]['high']:.3f})" for r in rules),
                     point["folder"]], f"row {row}")
    norms = sorted({point["values"].get("attack.norm") for point in points}, key=str)
    titles = ["Accuracy over attack steps", "Energies of natural and attacked images", "Margins over replicates"]
    for key in sweep["keys"]:
        if key != "attack.norm":
            split = key == "attack.eps" and "attack.norm" in sweep["keys"]
            titles += [f"Accuracy over {key} ({norm})" for norm in norms] if split else [f"Accuracy over {key}"]
    for title in titles:
        want(title in page.sections.get("Curves", ""), f"no curve '{title}'")
    want(page.drawings == len(titles), f"{page.drawings} drawings, {len(titles)} expected")
    want(page.warnings == sweep["warnings"], f"warnings {page.warnings}")
    have = {(block, row[0]): row[1] for section, block, rows in page.tables if section == "Settings of all points" for row in rows}
    asked = settings_of(folder / points[0]["folder"] / "run.cfg")
    for key in sweep["keys"]:
        del asked[tuple(key.rpartition(".")[::2])]
    want(len(asked) > 30 and have == asked, f"settings differ: {sorted(set(have.items()) ^ set(asked.items()))[:4]}")
    want((folder / "sweep.png").read_bytes()[:4] == b"\x89PNG", "no sweep.png")


def main():
    folder = pathlib.Path(sys.argv[1])
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    check_alone(page)
    (check_sweep if (folder / "sweep.json").exists() else check_evaluation)(page, folder)


main()
