"""The figure of the life cycle, from the folders that run.sh makes: Frechet distance over Langevin steps.

python figure.py FOLDER OUT.png
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  (after the choice of a backend)

folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for axis, start in zip(axes, ("generator", "data")):
    count = 0
    for name in ("shortrun", "midrun", "convergent"):
        points = []
        for file in sorted((folder / f"{name}-{start}").glob("score-step-*.json")):
            score = json.loads(file.read_text())
            count = score["count"]
            points.append((int(file.stem.rsplit("-", 1)[1]), score["distance"]))
        if points:
            axis.plot(*zip(*sorted(points)), marker="o", markersize=3, label=name)
    axis.set_xscale("symlog", linthresh=10)
    axis.set_yscale("log")
    axis.set_xlabel("Langevin steps")
    axis.set_title(f"{count} chains from {'the generator' if start == 'generator' else 'data'}")
    axis.grid(alpha=0.3)
axes[0].set_ylabel("Frechet distance to training images")
axes[0].legend()
figure.savefig(out, dpi=110)
