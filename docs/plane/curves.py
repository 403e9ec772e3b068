"""python curves.py FOLDER PICTURES: the divergences that run.sh measured, as PICTURES/curves.png and a table on stdout."""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

RUNS = {"convergent": "ring, Adam then SGD", "adam": "ring, Adam throughout",
        "adam-constant": "ring, Adam at one rate", "midrun": "ring, midrun from data",
        "spirals": "spirals, Adam then SGD"}


def results(run, weights):
    """Of every checkpoint, by step."""
    found = [json.loads((folder / "result.json").read_text()) for folder in run.glob(f"density-{weights}-*")]
    return sorted(found, key=lambda result: result["step"])


def furthest(result):
    """How far the weight of a mode is off, at most."""
    return max(abs(mode["ratio"] - 1) for mode in result["modes"])


def draw(folder, target):
    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    for number, (name, label) in enumerate(RUNS.items()):
        for weights, style in (("average", "-"), ("raw", ":")):
            found = results(folder / name, weights)
            steps = [result["step"] for result in found]
            of = f"{label}, {weights} weights" if weights == "average" else None
            panels[0].plot(steps, [result["kl"] for result in found], style, color=f"C{number}", label=of)
            panels[1].plot(steps, [furthest(result) for result in found], style, color=f"C{number}")
    panels[0].axhline(0.05, color="0.6", linewidth=0.8)
    panels[1].axhline(0.2, color="0.6", linewidth=0.8)
    panels[0].set_title("KL(truth || model), nats", fontsize=10)
    panels[1].set_title("largest relative error of a mode's weight", fontsize=10)
    for panel in panels:
        panel.set_yscale("log")
        panel.set_xlabel("training step (dotted: raw weights)")
    panels[0].legend(fontsize=7)
    figure.savefig(target, dpi=90)


def table(folder):
    print("| run | weights | step | KL(truth, model) | KL(model, truth) | total variation | modes' weights | near the border |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, label in RUNS.items():
        for weights in ("average", "raw"):
            last = results(folder / name, weights)[-1]
            ratios = [mode["ratio"] for mode in last["modes"]]
            print(f"| {label} | {weights} | {last['step']} | {last['kl']:.4f} | {last['reverse_kl']:.4f} | "
                  f"{last['total_variation']:.4f} | {min(ratios):.3f} .. {max(ratios):.3f} | {last['border_mass']:.1g} |")


def main():
    folder, pictures = map(pathlib.Path, sys.argv[1:3])
    draw(folder, pictures / "curves.png")
    table(folder)


main()
