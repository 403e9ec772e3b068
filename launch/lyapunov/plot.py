"""DIR/lyapunov.png from DIR/result.json: the exponent over the noise scale, a curve with its interval for each
separation. Ends with langrun's exit codes; the last lines of stderr say why."""
import json
import os
import pathlib
import sys


def give_up(code, message, hint):
    sys.stderr.write(f"{message}\nhint: {hint}\n")
    sys.exit(code)


def draw(result, target):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), constrained_layout=True)
    axes.axhline(0, color="0.6", linewidth=0.8)
    for delta in result["deltas"]:
        points = [p for p in result["exponents"] if p["delta"] == delta]
        etas = [p["eta"] for p in points]
        line, = axes.plot(etas, [p["exponent"] for p in points], marker="o", markersize=3, label=f"{delta:g}")
        if all(p["low"] is not None for p in points):
            axes.fill_between(etas, [p["low"] for p in points], [p["high"] for p in points], alpha=0.2,
                              color=line.get_color(), linewidth=0)
    axes.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xlabel("noise scale (1: as in training)")
    axes.set_ylabel("maximal Lyapunov exponent, per step")
    axes.set_title(f"{result['weights']} weights, {result['chains']} chains, {result['steps']} steps")
    axes.legend(title="separation (L2)")
    partial = target.with_name(target.name + ".partial")
    figure.savefig(partial, format="png", dpi=120)
    os.replace(partial, target)


def main():
    folder = pathlib.Path(sys.argv[1])
    try:
        result = json.loads((folder / "result.json").read_text())
        draw(result, folder / "lyapunov.png")
    except ImportError as missing:
        give_up(3, f"the plot needs the Python package {missing.name or 'matplotlib'}, which {sys.executable} lacks",
                f"{sys.executable} -m pip install matplotlib, or set LANGRUN_PYTHON to an interpreter that has it")
    except OSError as failure:
        give_up(6, f"cannot write {folder / 'lyapunov.png'}: {failure.strerror}", "make room, or check its permissions")


main()
