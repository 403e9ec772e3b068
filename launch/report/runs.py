"""What the folder of a run holds: training runs of every job, and folders of chains that `sample` made."""
import dataclasses
import json
import os
import pathlib

import numpy as np

from . import chains, metrics, pictures

MOST_DROPS = 40
MOST_ATTEMPTS = 8


@dataclasses.dataclass
class Run:
    path: pathlib.Path
    name: str               # what tells it from the others
    place: int              # its number among them
    metrics: metrics.Metrics
    config: list            # [(section, [(key, value)])]
    provenance: dict
    pictures: pictures.Gallery
    chains: object          # chains.Chains or None
    scores: list
    drops: list             # [(step, learning rate)] where it falls at once
    rollbacks: list         # [(step, attempt)]
    diverged: list          # [(attempt, Metrics)]: what was taken back when the attempt began
    warnings: list

    @property
    def settings(self):
        return {(section, key): value for section, pairs in self.config for key, value in pairs}

    @property
    def job(self):
        return self.settings.get(("general", "job"), "")


def read_config(path):
    """run.cfg as [(section, [(key, value)])]."""
    sections = [("general", [])]
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for text in map(str.strip, lines):
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
    except (OSError, ValueError, RecursionError):
        return {}


def rate_drops(found):
    """Where the learning rate falls at once by 5 % or more; smooth decay gives none."""
    if "learning_rate" not in found.columns:
        return []
    steps, rates = found.finite("learning_rate")
    at = np.nonzero(rates[1:] < rates[:-1] * 0.95)[0] + 1
    return [(steps[i], rates[i]) for i in at] if len(at) <= MOST_DROPS else []


def rollbacks(found):
    """Steps from which a later attempt goes on after a divergence."""
    if "attempt" not in found.columns:
        return []
    steps, attempts = found.finite("attempt")
    at = np.nonzero(attempts[1:] != attempts[:-1])[0] + 1
    first = [0] if len(attempts) and attempts[0] > 0 else []
    return [(steps[i], int(attempts[i])) for i in [*first, *at]][-MOST_DROPS:]


def read_diverged(folder):
    files = [(int(f.stem[9:]), f) for f in folder.glob("diverged-*.jsonl") if f.stem[9:].isdecimal()]
    return [(attempt, metrics.read(file)) for attempt, file in sorted(files)[-MOST_ATTEMPTS:]]


def names_of(paths):
    """The shortest ends of the paths that tell them apart; numbered where the same folder comes twice."""
    full = [pathlib.Path(os.path.abspath(path)) for path in paths]
    named = {path: path.name or str(path) for path in full}
    for length in range(2, max(len(path.parts) for path in full) + 1):
        names = list(named.values())
        named = {p: str(pathlib.Path(*p.parts[-length:])) if names.count(n) > 1 else n for p, n in named.items()}
    return [f"{named[p]} ({full[:i].count(p) + 1})" if full.count(p) > 1 else named[p] for i, p in enumerate(full)]


def read(folder, name, place, picture_bytes, most_pictures):
    warnings = []
    found = metrics.read(folder / "metrics.jsonl")
    if found.bad:
        warnings.append(f"{found.bad} line{'s' * (found.bad != 1)} of metrics.jsonl could not be read.")
    gallery = pictures.read(folder / "samples", most_pictures, picture_bytes)
    if gallery.bad:
        warnings.append(f"{gallery.bad} picture{'s' * (gallery.bad != 1)} in samples/ could not be read.")
    long_chains = chains.read(folder / "chains.h5", warnings)
    if not len(found.steps) and long_chains is None:
        warnings.append("No step has been recorded yet.")
    return Run(folder, name, place, found, read_config(folder / "run.cfg"), read_json(folder / "provenance.json"),
               gallery, long_chains, chains.read_scores(folder), rate_drops(found), rollbacks(found),
               read_diverged(folder), warnings)


def read_all(folders, all_pictures):
    """The runs of the folders; `all_pictures` bytes of pictures are shared among them."""
    most = 12 if len(folders) == 1 else max(3, 24 // len(folders))
    return [read(folder, name, place, all_pictures // len(folders), most)
            for place, (folder, name) in enumerate(zip(folders, names_of(folders)))]
