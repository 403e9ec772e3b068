"""How many verdicts differ between evaluations of the same images, with 95 % intervals: verdicts.py A B [C D] [--json FILE].

A, B, C, D are folders of `langrun defend`, or their records.h5. An image's verdict is whether it was naturally correct and
whether it stood by verified_any_step; beside it the step at which it broke. Shares are of all images, with Wilson's
interval. With C and D the share of A and B is held against theirs, image by image (interval of Agresti and Min, 2005): with
A fp32, B bf16, C fp32 and D fp32 of another seed, whether bf16 changes more than chance does.
"""
import argparse
import json
import math
import pathlib
import sys

import h5py
import numpy as np

Z = 1.959964  # of 95 %, two-sided
UNCOVERED = -3


def refuse(message):
    print(f"verdicts.py: error: {message}", file=sys.stderr)
    sys.exit(2)


class Record:
    def __init__(self, name):
        path = pathlib.Path(name)
        path = path / "records.h5" if path.is_dir() else path
        if not path.is_file():
            refuse(f"there is no {path}: name a folder of a finished `langrun defend`")
        with h5py.File(path) as file:
            if "rules/verified_any_step" not in file:
                refuse(f"{path} is not the record of an evaluation")
            self.name, self.index = name, file["index"][()]
            self.natural = file["natural_correct"][()].astype(bool)
            self.broken = file["rules/verified_any_step"][()]
        if self.broken.shape[1] == 0 or (self.broken == UNCOVERED).any():
            refuse(f"{path} does not cover the rule verified_any_step")
        self.stands = self.natural & ~(self.broken >= 0).any(axis=1)


def wilson(hits, count):
    share, z = hits / count, Z * Z / count
    middle = (share + z / 2) / (1 + z)
    half = Z * math.sqrt(share * (1 - share) / count + z / (4 * count)) / (1 + z)
    return {"value": share, "low": max(0.0, middle - half), "high": min(1.0, middle + half), "hits": int(hits),
            "count": count}


def paired(one, other):
    """Share of `one` less share of `other`, both of the same images."""
    count, only_one, only_other = len(one), (one & ~other).sum(), (other & ~one).sum()
    b, c, n = only_one + 0.5, only_other + 0.5, count + 2  # half an image more in each of the four cells
    middle, half = (b - c) / n, Z * math.sqrt(b + c - (b - c) ** 2 / n) / n
    return {"value": float(only_one - only_other) / count, "low": max(-1.0, middle - half),
            "high": min(1.0, middle + half)}


def differing(a, b):
    """Per image, whether the two records differ."""
    if not np.array_equal(a.index, b.index):
        refuse(f"{a.name} and {b.name} are not of the same images in the same order")
    if a.broken.shape != b.broken.shape:
        refuse(f"{a.name} has {a.broken.shape[1]} restarts, {b.name} {b.broken.shape[1]}")
    natural = a.natural != b.natural
    return {"naturally correct": natural, "verdict": natural | (a.stands != b.stands),
            "verdict or step": natural | (a.broken != b.broken).any(axis=1)}


def compared(a, b):
    differ = differing(a, b)
    report = {"a": a.name, "b": b.name,
              "differ": {what: wilson(which.sum(), len(which)) for what, which in differ.items()},
              "natural_accuracy": paired(a.natural, b.natural), "robust_accuracy": paired(a.stands, b.stands)}
    print(f"{a.name} against {b.name}, {len(a.index)} images")
    for what, share in report["differ"].items():
        print(f"  {what + ' differs':<40} {share['value']:.4f}  [{share['low']:.4f}, {share['high']:.4f}]")
    for what in ("natural_accuracy", "robust_accuracy"):
        d = report[what]
        print(f"  {what.replace('_', ' ') + ', first less second':<40} {d['value']:+.4f}  "
              f"[{d['low']:+.4f}, {d['high']:+.4f}]")
    return report, differ


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", metavar="RECORD", help="A B, or A B C D")
    parser.add_argument("--json", help="file for the figures; must not exist")
    args = parser.parse_args()
    if len(args.records) not in (2, 4):
        refuse(f"{len(args.records)} records are named, 2 or 4 are expected")
    if args.json and pathlib.Path(args.json).exists():
        refuse(f"{args.json} exists already; nothing is written over")
    records = [Record(name) for name in args.records]
    first, one = compared(records[0], records[1])
    report = {"pairs": [first]}
    if len(records) == 4:
        second, other = compared(records[2], records[3])
        if not np.array_equal(records[0].index, records[2].index):
            refuse("the two pairs are not of the same images")
        report["pairs"].append(second)
        report["first_less_second"] = {what: paired(one[what], other[what]) for what in one}
        print("shares of the first pair less those of the second, paired")
        for what, d in report["first_less_second"].items():
            larger = "larger beyond the interval" if d["low"] > 0 else "no larger beyond the interval"
            print(f"  {what + ' differs':<40} {d['value']:+.4f}  [{d['low']:+.4f}, {d['high']:+.4f}]  {larger}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
