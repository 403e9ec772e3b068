"""The evaluation of a defense in plain PyTorch, as the papers' program does it: BPDA+EOT on a light energy before a
ResNet-20, in batches of 10 images, fp32. What `langrun bench defend` is measured against. Prints one JSON line.

    .venv/bin/python tests/bench/peer_defend.py --energy weights.h5 --classifier resnet20.th --data test.h5
                                                [--images 40] [--batch 10] [--chain-steps 50] [--attack-steps 10]
                                                [--attack-replicates 15] [--defense-replicates 50] [--eps 8] [--alpha 2]
                                                [--work released|equal] [--repeats 1] [--threads 2]

Both works: the natural check is one call of all the batch's images, each repeated H_def times; then for n = 0 .. N each
image is repeated H_adv times, K Langevin steps by autograd, the logits averaged, cross-entropy, its gradient through the
classifier; what the small sample calls wrong and still stands is verified, image by image, by H_def fresh replicates;
then a step of PGD. `released`, as the papers' program: images that are broken or were called wrong at first are attacked
on with their batch, until none of it stands. `equal`, the chains that `--engine.leaving off` makes, and no others: images
called wrong at first are dropped, the others are attacked to the last step.
"""
import argparse
import json
import statistics
import time

import checks
import networks  # first: it says where there is no torch

checks.want({"h5py": "h5py"})

import h5py
import torch
import torch.nn.functional as F

MODE_HELP = "released: batches go on until none of their images stands; equal: the chains of --engine.leaving off"


def read_part(path, names):
    """The first of these parts of a file of weights, as a state dict, and what the file says of it."""
    with h5py.File(path) as file:
        found = next((name for name in names if name in file), None)
        if found is None:
            checks.refuse(f"{path} has none of {', '.join(names)}", 3)
        part = file[found]
        return {name: torch.from_numpy(part[name][()]) for name in part}, dict(part.attrs)


def read_energy(path):
    state, facts = read_part(path, ("energy_average", "energy"))
    if facts["network"] != "light":
        checks.refuse(f"{path} holds an energy {facts['network']}; this program has light alone", 3)
    net = networks.light(int(facts["width"]))
    net.load_state_dict({name.removeprefix("f."): tensor for name, tensor in state.items()})
    return net.eval(), float(facts["temperature"])


def read_classifier(name):
    path = name.rpartition(":")[0] or name
    if h5py.is_hdf5(path):
        state = read_part(path, ("classifier",))[0]
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
    net = networks.Resnet20()
    net.load_state_dict({key.removeprefix("module."): tensor for key, tensor in state.items()}, strict=False)
    lacking = set(net.state_dict()) - {key.removeprefix("module.") for key in state}
    lacking = {key for key in lacking if not key.endswith("num_batches_tracked")}
    if lacking:
        checks.refuse(f"{path} has no {sorted(lacking)[0]}: it is no ResNet-20", 3)
    return net.eval()


class Defense:
    def __init__(self, args):
        self.args = args
        self.energy, self.temperature = read_energy(args.energy)
        self.classifier = read_classifier(args.classifier)
        with h5py.File(args.data) as file:
            count = len(file["labels"])
            # As `langrun bench defend` picks them: stores are often sorted by class.
            chosen = [i * count // args.images for i in range(args.images)]
            pixels = torch.from_numpy(file["images"][chosen])
            self.labels = torch.from_numpy(file["labels"][chosen]).long()
        self.images = pixels.permute(0, 3, 1, 2).float().contiguous() / 127.5 - 1
        self.image_steps = 0

    def purified(self, x):
        self.image_steps += len(x) * self.args.chain_steps
        return networks.langevin(self.energy, x, self.args.chain_steps, self.args.eta, self.temperature)

    def averaged(self, ends, replicates, images):
        """Logits [B, classes] of [replicates B] images."""
        return self.classifier(ends).view(replicates, images, -1).mean(0)

    def judged(self, x, y):
        """Whether H_def fresh replicates call each image right."""
        replicates = self.args.defense_replicates
        with torch.no_grad():
            ends = self.purified_without_graph(x.repeat(replicates, 1, 1, 1))
            return self.averaged(ends, replicates, len(x)).argmax(1) == y

    def purified_without_graph(self, x):
        with torch.enable_grad():  # the chain's own gradient
            return self.purified(x)

    def small_sample(self, x, y):
        replicates = self.args.attack_replicates
        ends = self.purified(x.repeat(replicates, 1, 1, 1)).requires_grad_()
        logits = self.averaged(ends, replicates, len(x))
        gradient = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), [ends])[0]
        return logits.argmax(1) == y, gradient.view(replicates, *x.shape).mean(0)

    def verify(self, x, y, right, standing):
        for i in range(len(x)):
            if standing[i] and not right[i]:
                standing[i] = self.judged(x[i:i + 1], y[i:i + 1])[0]

    def attack(self, x, y):
        """Images of a batch that stood: naturally, and to the end."""
        args = self.args
        natural = self.judged(x, y)
        standing = natural.clone()
        if args.work == "equal":
            x, y, standing = x[natural], y[natural], standing[natural]
            if len(x) == 0:
                return int(natural.sum()), 0
        eps, alpha = 2 * args.eps / 255, 2 * args.alpha / 255
        moved = (x + eps * (2 * torch.rand_like(x) - 1)).clamp(-1, 1)
        for n in range(args.attack_steps + 1):
            right, gradient = self.small_sample(moved, y)
            self.verify(moved, y, right, standing)
            if args.work == "released" and not standing.any():
                break
            if n < args.attack_steps:
                moved = moved + alpha * gradient.sign()
                moved = torch.max(torch.min(moved, x + eps), x - eps).clamp(-1, 1)
        return int(natural.sum()), int(standing.sum())

    def run(self):
        self.image_steps = 0
        natural = robust = 0
        for x, y in zip(self.images.split(self.args.batch), self.labels.split(self.args.batch)):
            right, stood = self.attack(x, y)
            natural, robust = natural + right, robust + stood
        return natural / len(self.images), robust / len(self.images)


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--energy", required=True, help="file of weights, HDF5, of a light energy")
    parser.add_argument("--classifier", required=True, help="weights of a ResNet-20: PyTorch's, or HDF5")
    parser.add_argument("--data", required=True, help="image store with labels")
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--chain-steps", type=int, default=50)
    parser.add_argument("--eta", type=float, default=1e-2)
    parser.add_argument("--attack-steps", type=int, default=10)
    parser.add_argument("--attack-replicates", type=int, default=15)
    parser.add_argument("--defense-replicates", type=int, default=50)
    parser.add_argument("--eps", type=float, default=8)
    parser.add_argument("--alpha", type=float, default=2)
    parser.add_argument("--work", choices=("released", "equal"), default="released", help=MODE_HELP)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def main():
    args = options()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    defense = Defense(args)
    defense.small_sample(defense.images[:1], defense.labels[:1])  # the warm-up
    seconds = []
    for _ in range(args.repeats):
        begin = time.perf_counter()
        natural, robust = defense.run()
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"what": f"plain PyTorch, {args.work}", "unit": "images/s", "torch": torch.__version__,
                      "median": args.images / statistics.median(seconds), "low": args.images / max(seconds),
                      "high": args.images / min(seconds), "seconds": statistics.median(seconds),
                      "image_steps": defense.image_steps, "natural": natural, "robust": robust, **vars(args)}))


if __name__ == "__main__":
    main()
