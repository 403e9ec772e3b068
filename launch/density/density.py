"""DIR/density.png from DIR/density.h5: the model's density and gradient field, its bank's chains, and below them the
truth's with the data. Ends with langrun's exit codes; the last lines of stderr say why."""
import io
import os
import pathlib
import sys

# The script comes in by -c, so Python would look for modules in the current folder first.
sys.path = [folder for folder in sys.path if folder]


def give_up(code, message, hint):
    sys.stderr.write(f"{message}\nhint: {hint}\n")
    sys.exit(code)


try:
    import h5py
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot
    from PIL import Image
except ImportError as missing:
    give_up(3, f"the picture needs the Python package {missing.name or 'matplotlib'}, which {sys.executable} lacks",
            f"{sys.executable} -m pip install numpy h5py matplotlib, or set LANGRUN_PYTHON to an interpreter that has them")

# Nats below the peak that colours of the log density reach, the same for model and truth.
DEPTH = 14


def frame(axes, title, half):
    axes.set_title(title, fontsize=9)
    axes.set_xlim(-half, half)
    axes.set_ylim(-half, half)
    axes.set_aspect("equal")
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.tick_params(labelsize=7)


def draw_density(axes, log_density, half, most):
    extent = (-half, half, -half, half)
    axes.imshow(np.exp(log_density), origin="lower", extent=extent, cmap="magma", vmin=0, vmax=most,
                interpolation="nearest")


def draw_field(axes, log_density, gradient, half, peak):
    extent = (-half, half, -half, half)
    axes.imshow(log_density, origin="lower", extent=extent, cmap="viridis", vmin=peak - DEPTH, vmax=peak,
                interpolation="nearest")
    count = gradient.shape[0]
    places = ((np.arange(count) + 0.5) / count * 2 - 1) * half
    # Where chains are driven to, -grad E; lengths by their logarithm, or the far slopes would hide everything near.
    force = -gradient
    length = np.linalg.norm(force, axis=2, keepdims=True)
    arrow = force / np.maximum(length, 1e-12) * np.log1p(length) / np.log1p(length.max())
    axes.quiver(places, places, arrow[..., 0], arrow[..., 1], color="white", angles="xy", pivot="mid",
                scale=count * 0.55 / half / 1.2, scale_units="xy", width=0.003)


def draw_points(axes, points, half):
    axes.set_facecolor("black")
    if points is not None:
        axes.plot(points[:, 0], points[:, 1], ".", color="#ffb454", markersize=1, alpha=0.7)


def draw(values, target):
    half = values.attrs["half_width"]
    rows = [("model", values["log_density"][...], values["gradient"][...], "bank")]
    if "truth_log_density" in values:
        rows.append((values.attrs["density"], values["truth_log_density"][...], values["truth_gradient"][...], "data"))
    most = max(np.exp(row[1]).max() for row in rows[-1:])
    figure, axes = pyplot.subplots(len(rows), 3, figsize=(9, 3.1 * len(rows) + 0.3), constrained_layout=True,
                                   squeeze=False)
    for line, (name, log_density, gradient, points) in zip(axes, rows):
        draw_density(line[0], log_density, half, most)
        frame(line[0], f"{name}: density", half)
        draw_field(line[1], log_density, gradient, half, np.log(most))
        frame(line[1], f"{name}: log density and -gradient of E", half)
        draw_points(line[2], values[points][...] if points in values else None, half)
        frame(line[2], f"{points}" if points in values else f"no {points}", half)
    title = values.attrs["title"]
    if "kl" in values.attrs:
        title += f": KL(truth || model) = {values.attrs['kl']:.4f} nats"
    figure.suptitle(title, fontsize=10)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=90)
    # 256 colours are enough, and a third of the bytes.
    partial = target.with_name(target.name + ".partial")
    Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(partial, format="PNG", optimize=True)
    os.replace(partial, target)


def main():
    folder = pathlib.Path(sys.argv[1])
    with h5py.File(folder / "density.h5", "r") as values:
        try:
            draw(values, folder / "density.png")
        except OSError as failure:
            give_up(6, f"cannot write {folder / 'density.png'}: {failure.strerror or failure}", "make room, or check its rights")


main()
