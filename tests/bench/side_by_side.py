"""Ours against the plain PyTorch program on the same cores, in alternation: `mpirun -n R langrun bench NAME`, each rank
one thread, then the peer with R threads, N times over. Prints a table and, last, one JSON line.

    .venv/bin/python tests/bench/side_by_side.py langevin [--program build/langrun] [--ranks 2] [--rounds 5]
                                                          [--json FILE] [-- OPTIONS]
    .venv/bin/python tests/bench/side_by_side.py train -- --precision bf16 --batch 128
    .venv/bin/python tests/bench/side_by_side.py exchange
    .venv/bin/python tests/bench/side_by_side.py defend --repeats 1 -- --energy RUN --classifier FILE:resnet20 --data test.h5

OPTIONS go to `langrun bench` and, where the peer knows them, to the peer. `exchange` has its peer, MPI_Allreduce, in the
same process: it is only run N times. `defend` has two: with images leaving ours stands against the peer's `released`
work, with images staying against its `equal` work, in each precision; of an energy's run the weights of its newest
checkpoint are put aside first, so that all rounds and both programs have the same. In a ratio above 1 ours is the faster one. The peer runs under the same Python as
this, or, where that has no torch, under the one of launch/setup.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import checks

HERE = pathlib.Path(__file__).resolve().parent
SHARED = {"langevin": {"network", "width", "batch", "steps"},
          "train": {"network", "width", "generator-width", "batch", "chain-steps"}, "exchange": set(),
          "defend": {"energy", "eta", "classifier", "data", "images", "chain-steps", "attack-steps", "attack-replicates",
                     "defense-replicates", "eps", "alpha"}}
# The peer's work that ours stands against, by what `bench defend` says of images.
WORKS = {"leave": "released", "stay": "equal"}


def ours(args, options):
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "bench.json"
        environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1",
                           OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(args.ranks), args.program, "bench",
                   args.name, "--json", str(out), "--repeats", str(args.repeats)]
        if args.name == "langevin" and "lanes" not in options:
            options = {**options, "lanes": "1"}
        for key, value in options.items():
            if args.name == "langevin" and key == "batch":
                value = str(int(value) // args.ranks)  # a batch of each rank there, of all in a training step
            command += ["--" + key, value]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            checks.pass_on(command, done.returncode, done.stderr)
        return json.loads(out.read_text())["benchmarks"][0]


def peer_command(python, args, options):
    command = [python, str(HERE / f"peer_{args.name}.py"), "--threads", str(args.ranks), "--repeats", str(args.repeats)]
    for key, value in options.items():
        if key in SHARED[args.name]:
            command += ["--" + key, value]
    return command


def run_peer(command):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def find_peer(args, options):
    """The peer's command, once its Python, its imports and its options are known to be right."""
    other = checks.python_of_setup()
    for python in [sys.executable] + ([other] if other else []):
        command = peer_command(python, args, options)
        done = run_peer(command + ["--help"])  # imports everything, looks at the options, measures nothing
        if done.returncode == 0:
            return command
        # Another Python may have the modules; options stay as wrong as they are.
        if " has no " not in done.stderr:
            break
    checks.pass_on(command, done.returncode, done.stderr)


def peer(command):
    done = run_peer(command)
    if done.returncode != 0:
        checks.pass_on(command, done.returncode, done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def check(args, options):
    for name in ("ranks", "rounds", "repeats"):
        if getattr(args, name) < 1:
            checks.refuse(f"--{name} {getattr(args, name)}: 1 or more is expected")
    if args.json and pathlib.Path(args.json).exists():
        checks.refuse(f"--json {args.json} exists already; nothing is written over")
    for name in ("energy", "classifier", "data"):
        if args.name == "defend" and name not in options:
            checks.refuse(f"--{name} is missing: `defend` evaluates it")
    if "batch" in options:
        batch = options["batch"]
        if not batch.isdecimal() or int(batch) < 1:
            checks.refuse(f"--batch {batch}: a number of images, 1 or more, is expected")
        if args.name == "langevin" and int(batch) % args.ranks != 0:
            checks.refuse(f"--batch {batch} is not divisible by {args.ranks} ranks, which share it")
    checks.want_program("mpirun", "install Open MPI")
    checks.want_program(args.program, "build it, or name it with --program")


def keep_energy(options, folder):
    """Of a run that may be training still, the weights of now."""
    run = pathlib.Path(options["energy"])
    if not run.is_dir():
        return options
    newest = run / "checkpoint" / "latest" / "weights.h5"
    if not newest.is_file():
        checks.refuse(f"--energy {run} has no checkpoint/latest", 3)
    return {**options, "energy": str(shutil.copy(newest, folder / "energy.h5"))}


def defend_round(args, options, theirs, rows):
    report = ours(args, options)
    speeds = [figure for figure in report["figures"] if figure["unit"] == "images/s"]
    others = {}
    for ending, work in WORKS.items():
        if any(figure["what"].endswith(ending) for figure in speeds):
            others[ending] = peer(theirs + ["--work", work])
    for other in others.values():
        rows.setdefault((other["what"], other["unit"]), []).append(other["median"])
        rows.setdefault((other["what"] + ": Langevin steps an image", "steps"), []).append(
            other["image_steps"] / other["images"])
    for figure in report["figures"]:
        rows.setdefault(("ours: " + figure["what"], figure["unit"]), []).append(figure["median"])
    for figure in speeds:
        other = others[figure["what"].split()[-1]]
        rows.setdefault((f"ours, {figure['what']} / {other['what']}", "x"), []).append(figure["median"] / other["median"])


def spread(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def measure(args, options):
    theirs = None if args.name == "exchange" else find_peer(args, options)
    rows = {}
    for _ in range(args.rounds):
        if args.name == "defend":
            defend_round(args, options, theirs, rows)
            continue
        report = ours(args, options)
        if args.name == "exchange":
            for figure in report["figures"] + report["ratios"]:
                rows.setdefault((figure["what"], figure["unit"]), []).append(figure["median"])
            continue
        # langevin measures PyTorch's loop in its own process, too: the first figure is ours.
        mine, other = report["figures"][0], peer(theirs)
        rows.setdefault(("ours: " + mine["what"], mine["unit"]), []).append(mine["median"])
        rows.setdefault((other["what"], other["unit"]), []).append(other["median"])
        rows.setdefault(("ours / plain PyTorch", "x"), []).append(mine["median"] / other["median"])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(SHARED))
    parser.add_argument("--program", default=str(HERE.parent.parent / "build" / "langrun"))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3, help="measurements within each round; the median counts")
    parser.add_argument("--json", help="file for what the last line says; must not exist")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:cut])
    args.options = words[cut + 1:]
    keys, values = args.options[::2], args.options[1::2]
    if len(keys) != len(values) or not all(key.startswith("--") for key in keys):
        checks.refuse("after `--` come pairs of --KEY VALUE")
    options = {key[2:]: value for key, value in zip(keys, values)}
    if args.name == "langevin":
        options.setdefault("batch", "128")
    check(args, options)
    with tempfile.TemporaryDirectory() as folder:
        kept = keep_energy(options, pathlib.Path(folder)) if args.name == "defend" else options
        rows = measure(args, kept)
    print(f"{args.name}: {args.ranks} ranks of one thread, the peer with {args.ranks} threads, {args.rounds} rounds, "
          f"{' '.join(args.options)}")
    print(f"  {'':<60} {'median':>10} {'low':>10} {'high':>10}")
    for (what, unit), values in rows.items():
        s = spread(values)
        print(f"  {what:<60} {s['median']:>10.4g} {s['low']:>10.4g} {s['high']:>10.4g}  {unit}")
    line = json.dumps({"name": args.name, "ranks": args.ranks, "rounds": args.rounds, "options": options,
                       "rows": [{"what": what, "unit": unit, **spread(values), "values": values}
                                for (what, unit), values in rows.items()]})
    if args.json:
        pathlib.Path(args.json).write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
