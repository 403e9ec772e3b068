"""Draws the energy differences of two runs side by side and prints their distances: compare.py FOLDER OUT.png, on what
docs/precision/run.sh leaves."""

import json
import pathlib
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for precision in ("fp32", "bf16"):
    lines = [json.loads(line) for line in (folder / precision / "metrics.jsonl").read_text().splitlines()]
    difference = [line["energy_difference"] for line in lines]
    window = 20
    smooth = [statistics.fmean(difference[max(0, i - window + 1):i + 1]) for i in range(len(difference))]
    axes.plot([line["step"] for line in lines], smooth, label=f"{precision}, mean of {window} steps", linewidth=1.2)
    distance = json.loads((folder / f"score-{precision}.json").read_text())["distance"]
    rate = statistics.median(line["image_steps_per_second"] for line in lines)
    print(f"{precision}: distance {distance:.3f}, energy difference of the last 100 steps "
          f"{statistics.fmean(difference[-100:]):.4g} (standard deviation {statistics.stdev(difference[-100:]):.2g}), "
          f"{rate:.0f} image-steps/s")
axes.axhline(0, linewidth=0.8, color="grey")
axes.set(xlabel="training step", ylabel="energy of data minus energy of chains")
axes.legend()
axes.grid(alpha=0.3)
figure.savefig(out, dpi=110)
