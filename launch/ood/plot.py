"""DIR/ood.png from DIR/result.json and DIR/ood.h5: histograms of the energy, in distribution and of each other set. Ends
with langrun's exit codes; the last lines of stderr say why."""
import json
import os
import pathlib
import sys

BINS = 60


def give_up(code, message, hint):
    sys.stderr.write(f"{message}\nhint: {hint}\n")
    sys.exit(code)


def edges(values, numpy):
    """Bins over what most values span: one that is far off must not squeeze the others into a line."""
    low = min(numpy.quantile(v, 0.002) for v in values)
    high = max(numpy.quantile(v, 0.998) for v in values)
    return numpy.linspace(low, high if high > low else low + 1, BINS + 1)


def draw(result, energies, target):
    import matplotlib
    import numpy

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sets = result["sets"]
    columns = min(3, len(sets))
    rows = -(-len(sets) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(4.2 * columns, 3 * rows), squeeze=False,
                                   constrained_layout=True)
    for panel, (entry, out) in zip(axes.flat, zip(sets, energies[1:])):
        bins = edges([energies[0], out], numpy)
        for values, label in ((energies[0], "in distribution"), (out, pathlib.Path(entry["name"]).name)):
            panel.hist(numpy.clip(values, bins[0], bins[-1]), bins, density=True, alpha=0.55, label=label)
        panel.set_title(f"AUROC {entry['auroc']:.4f} [{entry['low']:.4f}, {entry['high']:.4f}]", fontsize=9)
        panel.set_xlabel("energy H(x)")
        panel.set_yticks([])
        panel.legend(fontsize=8)
    for panel in list(axes.flat)[len(sets):]:
        panel.set_visible(False)
    partial = target.with_name(target.name + ".partial")
    figure.savefig(partial, format="png", dpi=120)
    os.replace(partial, target)


def main():
    folder = pathlib.Path(sys.argv[1])
    try:
        import h5py

        result = json.loads((folder / "result.json").read_text())
        with h5py.File(folder / "ood.h5") as file:
            energies = [file["in"][()]] + [file[f"out-{i}"][()] for i in range(len(result["sets"]))]
        draw(result, energies, folder / "ood.png")
    except ImportError as missing:
        give_up(3, f"the plot needs the Python package {missing.name or 'matplotlib'}, which {sys.executable} lacks",
                f"{sys.executable} -m pip install matplotlib h5py, or set LANGRUN_PYTHON to an interpreter that has it")
    except OSError as failure:
        give_up(6, f"cannot write {folder / 'ood.png'}: {failure.strerror}", "make room, or check its permissions")


main()
