"""FILE from a plan's JSON on standard input: steps a day and efficiency over ranks, of weak and of strong scaling. Ends
with langrun's exit codes; the last lines of stderr say why."""
import json
import os
import pathlib
import sys


def give_up(code, message, hint):
    sys.stderr.write(f"{message}\nhint: {hint}\n")
    sys.exit(code)


def draw(plan, target):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, (days, shares) = pyplot.subplots(1, 2, figsize=(9.5, 4), constrained_layout=True)
    curves = (("weak_scaling", "weak: a rank keeps its images"),
              ("strong_scaling", f"strong: batch {plan['strong_scaling'][0]['batch']:g}"))
    for key, label in curves:
        points = plan[key]
        ranks = [point["ranks"] for point in points]
        line, = days.loglog(ranks, [point["steps_a_day"] for point in points], marker="o", markersize=3, label=label)
        shares.semilogx(ranks, [100 * point["efficiency"] for point in points], marker="o", markersize=3, label=label)
        ideal = [points[0]["steps_a_day"] * (n if key == "strong_scaling" else 1) for n in ranks]
        days.loglog(ranks, ideal, color=line.get_color(), linewidth=0.8, linestyle=":")
    for axes in (days, shares):
        axes.axvline(plan["ranks"], color="0.6", linewidth=0.8, linestyle="--")
        axes.set_xlabel("ranks")
        axes.set_xticks([point["ranks"] for point in plan["weak_scaling"]][::2])
        axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%d"))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
    days.set_ylabel("steps a day (dotted: without exchange)")
    shares.set_ylabel("efficiency, %")
    shares.set_ylim(0, 105)
    days.legend()
    figure.suptitle(f"{plan['job']}, {plan['throughput']['image_steps_per_second_a_rank']:.4g} image-steps/s a rank, "
                    f"{plan['assumed']['network_bytes_a_second_a_rank'] / 1e9:.3g} GB/s", fontsize=10)
    partial = target.with_name(target.name + ".partial")
    figure.savefig(partial, format="png", dpi=120)
    os.replace(partial, target)


def main():
    target = pathlib.Path(sys.argv[1])
    try:
        draw(json.load(sys.stdin), target)
    except ImportError as missing:
        give_up(3, f"the plot needs the Python package {missing.name or 'matplotlib'}, which {sys.executable} lacks",
                f"{sys.executable} -m pip install matplotlib, or set LANGRUN_PYTHON to an interpreter that has it")
    except OSError as failure:
        give_up(6, f"cannot write {target}: {failure.strerror}", "make room, or check its permissions")


main()
