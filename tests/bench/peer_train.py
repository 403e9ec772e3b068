"""A whole training step of a shortrun in plain PyTorch, as the papers' programs write it: a bank of chains and latents,
half of the drawn ones started anew from the generator, K Langevin steps by autograd, an energy and a generator update
with Adam. What `langrun bench train` is measured against. Prints one JSON line.

    .venv/bin/python tests/bench/peer_train.py [--network light] [--generator-width 64] [--batch 128]
                                               [--chain-steps 100] [--repeats 5] [--threads 2]
"""
import argparse
import json
import statistics
import time

import networks  # first: it says where there is no torch
import torch


class Step:
    def __init__(self, args):
        self.args, self.temperature = args, 1e-4
        self.energy = networks.energy(args.network, args.width)
        self.generator = networks.Generator32(args.generator_width)
        self.energy_adam = torch.optim.Adam(self.energy.parameters(), lr=1e-4)
        self.generator_adam = torch.optim.Adam(self.generator.parameters(), lr=1e-4)
        self.data = torch.rand(max(1024, 2 * args.batch), 3, 32, 32) * 2 - 1
        self.latents = torch.randn(8 * args.batch, 128)
        with torch.no_grad():
            self.images = torch.cat([self.generator(z) for z in self.latents.split(args.batch)])

    def run(self):
        args = self.args
        data = self.data[torch.randperm(len(self.data))[:args.batch]]
        data = data + 1e-2 * torch.randn_like(data)
        rows = torch.randperm(len(self.images))[:args.batch]
        latents, chains = self.latents[rows], self.images[rows]
        anew = torch.rand(args.batch) < 0.5
        latents[anew] = torch.randn(int(anew.sum()), 128)
        with torch.no_grad():
            chains[anew] = self.generator(latents)[anew]
        begin = time.perf_counter()
        chains = networks.langevin(self.energy, chains, args.chain_steps, 1e-2, self.temperature)
        sampled = time.perf_counter() - begin
        self.energy_adam.zero_grad()
        ((self.energy(data).mean() - self.energy(chains).mean()) / self.temperature).backward()
        self.energy_adam.step()
        self.generator_adam.zero_grad()
        ((chains - self.generator(latents)) ** 2).sum(dim=(1, 2, 3)).mean().backward()
        self.generator_adam.step()
        self.latents[rows], self.images[rows] = latents, chains
        return sampled


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="light", choices=networks.NAMES)
    parser.add_argument("--width", type=int, default=0, help="0: the paper's")
    parser.add_argument("--generator-width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--chain-steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    step = Step(args)
    whole, sampling = [], []
    for repeat in range(args.repeats + 1):
        begin = time.perf_counter()
        sampled = step.run()
        if repeat > 0:  # the first is the warm-up
            whole.append(time.perf_counter() - begin)
            sampling.append(sampled)
    work = args.batch * args.chain_steps
    print(json.dumps({"what": "plain PyTorch step in Python", "unit": "image-steps/s", "torch": torch.__version__,
                      "median": work / statistics.median(whole), "low": work / max(whole), "high": work / min(whole),
                      "seconds": statistics.median(whole), "seconds_sampling": statistics.median(sampling),
                      **vars(args)}))


if __name__ == "__main__":
    main()
