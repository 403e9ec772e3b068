"""The plain PyTorch Langevin loop on the light energy, as the papers' programs write it: what `langrun bench langevin`
is measured against, in Python. Prints one JSON line with the median and spread of image-steps/s.

    python tests/bench/peer_langevin.py [--batch 128] [--steps 10] [--repeats 7] [--threads 1] [--width 32]
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn


def light(n):
    slope = 0.05
    return nn.Sequential(
        nn.Conv2d(3, n, 3, 1, 1), nn.LeakyReLU(slope),
        nn.Conv2d(n, 2 * n, 4, 2, 1), nn.LeakyReLU(slope),
        nn.Conv2d(2 * n, 4 * n, 4, 2, 1), nn.LeakyReLU(slope),
        nn.Conv2d(4 * n, 8 * n, 4, 2, 1), nn.LeakyReLU(slope),
        nn.Conv2d(8 * n, 1, 4, 1, 0))


def langevin(energy, start, steps, eta=1e-2):
    x = start.clone().requires_grad_(True)
    for _ in range(steps):
        gradient = torch.autograd.grad(energy(x).sum(), [x])[0]
        x.data += -(eta ** 2 / 2) * gradient + eta * torch.randn_like(x)
    return x.detach()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=32)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    energy, start = light(args.width), torch.rand(args.batch, 3, 32, 32) * 2 - 1
    langevin(energy, start, args.steps)
    work, rates, core_rates = args.batch * args.steps, [], []
    for _ in range(args.repeats):
        begin, core_begin = time.perf_counter(), time.process_time()
        langevin(energy, start, args.steps)
        rates.append(work / (time.perf_counter() - begin))
        core_rates.append(work / (time.process_time() - core_begin))
    print(json.dumps({"what": "plain PyTorch loop in Python", "unit": "image-steps/s", "torch": torch.__version__,
                      "median": statistics.median(rates), "low": min(rates), "high": max(rates),
                      "median_by_core_time": statistics.median(core_rates), **vars(args)}))


if __name__ == "__main__":
    main()
