"""`langrun data import` of JPEGs beside a Pillow program of the same work (find, decode, short side to S by antialiased
bilinear resize, middle crop, all images into one file on the disk), in turns on the same cores. Both are whole programs,
started anew each time. Prints a table and one JSON line with the ratios: median, lowest and highest over the repeats,
by wall time and by the processor time that each program used (the steadier one where others use the machine).

    .venv/bin/python tests/bench/peer_import.py --source images.tar [--size 128] [--cores 2] [--repeats 5]
                                                [--copies 20]

Wants Pillow and numpy, and h5py to compare the pixels: the Python of launch/setup has them.
"""
import argparse
import io
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import checks

checks.want({"PIL": "pillow", "numpy": "numpy"})

import numpy as np
from PIL import Image, features


def find(source):
    """Where the images of an uncompressed tar stand in it, by path."""
    with tarfile.open(source) as tar:
        return sorted((m.name, m.offset_data, m.size) for m in tar if m.isfile())


def fit(encoded, size, draft):
    image = Image.open(io.BytesIO(encoded))
    if draft:
        image.draft("RGB", (size, size))
    image = image.convert("RGB")
    width, height = image.size
    wide = (size * width // height, size) if height <= width else (size, size * height // width)
    if wide != image.size:
        image = image.resize(wide, Image.BILINEAR)
    left, top = round((wide[0] - size) / 2), round((wide[1] - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def begin_worker(source, out, size, draft):
    fit.state = (os.open(source, os.O_RDONLY), np.load(out, mmap_mode="r+"), size, draft)


def work(task):
    row, offset, length = task
    fd, images, size, draft = fit.state
    images[row] = fit(os.pread(fd, length, offset), size, draft)


def pillow(source, out, size, draft, cores):
    """The peer: processes that read, decode and write on their own, since Pillow's objects cost a copy between them."""
    members = find(source)
    np.lib.format.open_memmap(out, "w+", np.uint8, (len(members), size, size, 3)).flush()
    tasks = [(row, offset, length) for row, (_, offset, length) in enumerate(members)]
    with multiprocessing.Pool(cores, begin_worker, (source, out, size, draft)) as pool:
        for _ in pool.imap_unordered(work, tasks, chunksize=32):
            pass
    fd = os.open(out, os.O_RDONLY)
    os.fsync(fd)


def multiply(source, copies, folder):
    """A tar with every image `copies` times: enough work that starting a program does not count."""
    grown = Path(folder) / "grown.tar"
    with tarfile.open(source) as tar, tarfile.open(grown, "w", format=tarfile.USTAR_FORMAT) as out:
        for member in [m for m in tar if m.isfile()]:
            content = tar.extractfile(member).read()
            where, name = os.path.split(member.name)
            for copy in range(copies):
                member.name = os.path.join(where, f"{copy:03}-{name}")
                out.addfile(member, io.BytesIO(content))
    return grown


def timed(command, produced):
    for path in produced:
        if Path(path).is_dir():
            subprocess.run(["rm", "-r", path], check=True)
        else:
            Path(path).unlink(missing_ok=True)
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        checks.pass_on(command, os.waitstatus_to_exitcode(status), said)
    return time.perf_counter() - begin, used.ru_utime + used.ru_stime


def apart(ours, theirs):
    """Mean absolute difference of the two results, in 8-bit levels."""
    try:
        import h5py
    except ImportError:
        return None
    with h5py.File(ours) as file:
        a, b = file["images"], np.load(theirs, mmap_mode="r")
        picked = range(0, len(a), max(1, len(a) // 64))
        return float(np.mean([np.abs(a[i].astype(int) - b[i]).mean() for i in picked]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/langrun")
    parser.add_argument("--source", required=True, help="an uncompressed tar of JPEGs")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--cores", type=int, default=2, help="threads of langrun, processes of Pillow")
    parser.add_argument("--ranks", type=int, default=0, help="ranks of one thread instead of threads")
    parser.add_argument("--mpirun", default="mpirun --oversubscribe")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--copies", type=int, default=20, help="of each image, so that there is enough to do")
    parser.add_argument("--pillow", nargs=2, metavar=("OUT", "DRAFT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pillow:
        return pillow(args.source, args.pillow[0], args.size, args.pillow[1] == "draft", args.cores)
    checks.want_program(args.program, "build it, or name it with --program")
    if args.ranks:
        checks.want_program(args.mpirun.split()[0], "install Open MPI, or name it with --mpirun")
    if not os.path.isfile(args.source) or not tarfile.is_tarfile(args.source):
        checks.refuse(f"--source {args.source} is no tar")
    for name in ("size", "cores", "repeats", "copies"):
        if getattr(args, name) < 1:
            checks.refuse(f"--{name} {getattr(args, name)}: 1 or more is expected")

    with tempfile.TemporaryDirectory() as folder:
        source = str(multiply(args.source, args.copies, folder) if args.copies > 1 else args.source)
        images = len(find(source))
        store, array = f"{folder}/ours.h5", f"{folder}/theirs.npy"
        ours = [args.program, "data", "import", source, store, "--size", str(args.size)]
        if args.ranks:
            ours = args.mpirun.split() + ["-n", str(args.ranks)] + ours + ["--threads", "1"]
        else:
            ours += ["--threads", str(args.cores)]
        theirs = [sys.executable, __file__, "--source", source, "--size", str(args.size), "--cores", str(args.cores),
                  "--pillow", array]
        ways = {"langrun": (ours, [store, store + ".d"]),
                "langrun, scaled": (ours + ["--scaled-decoding"], [store, store + ".d"]),
                "Pillow": (theirs + ["full"], [array]), "Pillow, draft": (theirs + ["draft"], [array])}
        times = {name: [] for name in ways}
        for repeat in range(args.repeats + 1):
            for name, (command, produced) in ways.items():
                took = timed(command, produced)
                if repeat > 0:  # the first time warms the file cache
                    times[name].append(took)
        timed(*ways["langrun"]), timed(*ways["Pillow"])
        distance = apart(store, array)

    report = {"images": images, "size": args.size, "cores": args.cores, "ranks": args.ranks, "repeats": args.repeats,
              "pillow": Image.__version__, "jpeg": features.version_feature("libjpeg_turbo"),
              "mean_difference": distance}
    for name, took in times.items():
        wall, core = (statistics.median(images / t[i] for t in took) for i in (0, 1))
        print(f"{name:18} {wall:8.0f} images/s {core:8.0f} per core-second")
        report[name] = {"images_per_second": wall, "images_per_core_second": core}
    for a, b in (("langrun", "Pillow"), ("langrun, scaled", "Pillow"), ("langrun, scaled", "Pillow, draft")):
        for i, by in ((0, "wall"), (1, "core time")):
            ratio = sorted(theirs[i] / ours[i] for ours, theirs in zip(times[a], times[b]))
            spread = (statistics.median(ratio), ratio[0], ratio[-1])
            print(f"{a} / {b}, by {by}: {spread[0]:.2f} ({spread[1]:.2f} to {spread[2]:.2f})")
            report[f"{a} / {b}, {by}"] = spread
    print(json.dumps(report))


if __name__ == "__main__":
    main()
