"""Draws the Frechet distance of a run's checkpoints: curve.py FOLDER OUT.png, on the score-*.json of docs/cifar10/run.sh."""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
untrained = json.loads((folder / "score-initial.json").read_text())["distance"]
scores = {int(p.stem.removeprefix("score-")): json.loads(p.read_text())["distance"] for p in folder.glob("score-0*.json")}
steps = sorted(scores)
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot([0, *steps], [untrained, *(scores[step] for step in steps)], marker="o", markersize=4)
axes.axhline(untrained / 3, linestyle="--", linewidth=1, color="grey")
axes.annotate("a third of the untrained generator's", (steps[-1], untrained / 3), ha="right", va="bottom", color="grey")
axes.set(xlabel="training step", ylabel="Frechet distance, ResNet-20 features", ylim=(0, None), xlim=(0, None))
axes.grid(alpha=0.3)
figure.savefig(out, dpi=110)
for step in [0, *steps]:
    print(step, f"{scores.get(step, untrained):.3f}")
