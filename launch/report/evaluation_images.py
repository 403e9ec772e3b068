"""Images of an evaluation: natural, attacked, and where the chains took them."""
import base64
import io

import numpy as np
from PIL import Image

from . import checks, text

MOST = 16
ROWS = (("natural", "natural"), ("purified", "natural, purified"), ("adversarial", "attacked"),
        ("purified_adversarial", "attacked, purified"))


def uri(image):
    """uint8 [H, W, C], or float32 [C, H, W] in [-1, 1], as a picture in the page; nothing where it is NaN."""
    if image.dtype != np.uint8:
        if not np.isfinite(image).all():
            return ""
        image = np.clip(np.round((image.transpose(1, 2, 0) + 1) * 127.5), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(image.squeeze(), "L" if image.shape[2] == 1 else "RGB").save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def broken_by(file, rule):
    """[images, restarts] by the headline rule; no restarts without an attack."""
    return file[f"rules/{rule}"][()] if rule else np.zeros((len(file["label"]), 0), int)


def outcome(broken, natural, rule):
    if not natural:
        return '<span class="bad">wrong naturally</span>'
    hit = broken[broken >= 0]
    if len(hit):
        return f'<span class="bad">broken{"" if rule in ("final_step", "resubmission") else f" at {hit.min()}"}</span>'
    return "held" if len(broken) and (broken == -1).any() else "right"


def answer(answers, image, label, names):
    """What the defense says of it, under a picture."""
    said = answers.get(int(image))
    if said is None:
        return ""
    return f'<small{"" if said == label else " class=bad"}>{text.escape(names(said))}</small>'


def grid(file, places, classes, rule):
    """A table: one column an image, under purified ones what the defense says of them."""
    gallery = file["gallery"]
    image = gallery["image"][()][places]
    label, natural = file["label"][()][image], file["natural_correct"][()][image]
    broken = broken_by(file, rule)[image]
    name_of = lambda value: classes[value] if value < len(classes) else str(value)
    names = [name_of(value) for value in label]
    said = {"purified": checks.natural_answers(file), "adversarial": {}, "purified_adversarial": checks.attacked_answers(file)}
    if not np.isfinite(gallery["purified_adversarial"][()][places]).any():
        said["adversarial"] = said["purified_adversarial"]
    rows = ["<tr><th></th>" + "".join(f"<td>{text.escape(name)}</td>" for name in names) + "</tr>"]
    for key, title in ROWS:
        if key not in gallery:
            continue
        pictures = [uri(gallery[key][place]) for place in places]
        if any(pictures):
            cells = "".join(f'<td><img src="{p}" alt="{text.escape(f"{title}: {n}")}">'
                            f'{answer(said.get(key, {}), i, l, name_of)}</td>' if p else "<td>–</td>"
                            for p, n, i, l in zip(pictures, names, image, label))
            rows.append(f"<tr><th>{text.escape(title)}</th>{cells}</tr>")
    results = "".join(f"<td>{outcome(b, n, rule)}</td>" for b, n in zip(broken, natural))
    rows.append(f"<tr><th></th>{results}</tr>")
    return f'<div class="card wide"><div class="scroll"><table class="grid">{"".join(rows)}</table></div></div>'


def smallest_margins(file):
    """By row: the smallest margin of the average, over the judge's checks of an image that held."""
    judge = file["judge"]
    image = judge["image"][()]
    mean = judge["logits"][()].mean(axis=1)
    label = file["label"][()][image]
    own = mean[np.arange(len(image)), label]
    mean[np.arange(len(image)), label] = -np.inf
    smallest = np.full(len(file["label"]), np.inf)
    np.minimum.at(smallest, image, own - mean.max(axis=1))
    return smallest


def section(file, classes, rule):
    if "gallery/natural" not in file:
        return ""
    image = file["gallery/image"][()]
    broken, natural = broken_by(file, rule)[image], file["natural_correct"][()][image] > 0
    held = natural & ~(broken >= 0).any(axis=1) & (broken == -1).any(axis=1) if broken.shape[1] else natural
    margin = smallest_margins(file)[image]
    chosen = np.arange(len(image))
    parts = [grid(file, chosen[np.linspace(0, len(chosen) - 1, min(MOST, len(chosen))).astype(int)], classes, rule)]
    risky = chosen[held][np.argsort(margin[held], kind="stable")][:MOST]
    if len(risky) and broken.shape[1]:
        parts.append("<h3>The riskiest of those that held</h3><p class=\"note\">smallest margins of the judge's averages</p>"
                     + grid(file, risky, classes, rule))
    first = np.where(broken >= 0, broken, np.iinfo(np.int64).max).min(axis=1) if broken.shape[1] else np.zeros(0)
    early = [place for place in np.argsort(first, kind="stable") if first[place] < np.iinfo(np.int64).max][:MOST]
    if early:
        parts.append("<h3>Broken first</h3>" + grid(file, np.array(early), classes, rule))
    note = ("Purified: where the first replicate's chain ended. Under it stands what the defense says of the image, by all its "
            "replicates. Values outside the pixel range are shown at its ends.")
    return text.section("Images", "".join(parts), note)
