"""The plain PyTorch Langevin loop, as the papers' programs write it: what `langrun bench langevin` is measured against,
in Python. Prints one JSON line with the median and spread of image-steps/s.

    .venv/bin/python tests/bench/peer_langevin.py [--network light] [--batch 128] [--steps 10] [--repeats 7]
                                                  [--threads 1]
"""
import argparse
import json
import statistics
import time

import networks  # first: it says where there is no torch
import torch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="light", choices=networks.NAMES)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=0, help="0: the paper's")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    energy, start = networks.energy(args.network, args.width), torch.rand(args.batch, 3, 32, 32) * 2 - 1
    networks.langevin(energy, start, min(args.steps, 2))
    work, rates, core_rates = args.batch * args.steps, [], []
    for _ in range(args.repeats):
        begin, core_begin = time.perf_counter(), time.process_time()
        networks.langevin(energy, start, args.steps)
        rates.append(work / (time.perf_counter() - begin))
        core_rates.append(work / (time.process_time() - core_begin))
    print(json.dumps({"what": "plain PyTorch loop in Python", "unit": "image-steps/s", "torch": torch.__version__,
                      "median": statistics.median(rates), "low": min(rates), "high": max(rates),
                      "median_by_core_time": statistics.median(core_rates), **vars(args)}))


if __name__ == "__main__":
    main()
