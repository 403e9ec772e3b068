"""The networks of langrun as PyTorch modules, for weights that `langrun weights export` wrote.

    import langrun_networks
    network = langrun_networks.load("energy.pth")        # reads energy.pth and, beside it, energy.json

`load` builds the module that the .json describes and loads the state dict strictly. Energies take images [B, 3, H, W] in
[-1, 1] (mlp2d: points [B, 2, 1, 1]) and return energies [B]; generators take latents [B, n] and return images in [-factor,
factor], where factor is 1 unless the .json says otherwise; encoders take images and return latents on the sphere;
classifiers take images in [-1, 1] and return logits [B, classes], their own normalisation applied inside.
"""
import json
import pathlib

import torch
import torch.nn.functional as F
from torch import nn


def spectrally_normed(module, wanted):
    """Divides the weight by its largest singular value at every call. langrun finds that by ten power iterations."""
    if wanted:
        nn.utils.parametrize.register_parametrization(module, "weight", _LargestSingularValue())
    return module


class _LargestSingularValue(nn.Module):
    def forward(self, weight):
        return weight / torch.linalg.matrix_norm(weight.flatten(1), 2)


# ---- energies ----


class Light(nn.Module):
    """Five plain convolutions with LeakyReLU(0.05) between, for 32x32."""

    def __init__(self, width=32):
        super().__init__()
        n, slope = width or 32, 0.05
        self.f = nn.Sequential(
            nn.Conv2d(3, n, 3, 1, 1), nn.LeakyReLU(slope), nn.Conv2d(n, 2 * n, 4, 2, 1), nn.LeakyReLU(slope),
            nn.Conv2d(2 * n, 4 * n, 4, 2, 1), nn.LeakyReLU(slope), nn.Conv2d(4 * n, 8 * n, 4, 2, 1),
            nn.LeakyReLU(slope), nn.Conv2d(8 * n, 1, 4, 1, 0))

    def forward(self, x):
        return self.f(x).flatten()


class Mlp2d(nn.Module):
    """Points of the plane [B, 2, 1, 1]; the first layer is given 8 x."""

    def __init__(self, width=64):
        super().__init__()
        n = width or 64
        self.f = nn.Sequential(nn.Linear(2, n), nn.SiLU(), nn.Linear(n, n), nn.SiLU(), nn.Linear(n, n), nn.SiLU(),
                               nn.Linear(n, 1))

    def forward(self, x):
        return self.f(8 * x.flatten(1)).flatten()


class ResBlock(nn.Module):
    """SNGAN's residual block; the stem has no leading ReLU."""

    def __init__(self, i, o, pool=False, stem=False):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(i, o, 3, 1, 1), nn.Conv2d(o, o, 3, 1, 1)
        if pool or i != o:
            self.shortcut = nn.Conv2d(i, o, 1)
        self.pool, self.stem = pool, stem

    def forward(self, x):
        h = self.conv2(F.relu(self.conv1(x if self.stem else F.relu(x))))
        s = F.avg_pool2d(x, 2) if self.pool else x
        if hasattr(self, "shortcut"):
            s = self.shortcut(s)
        return (F.avg_pool2d(h, 2) if self.pool else h) + s


class SnganEnergy(nn.Module):
    """SNGAN's residual energy for 32, 64 or 128 pixels."""

    def __init__(self, size, width=0):
        super().__init__()
        n = width or (256 if size == 32 else 1024)
        if size == 32:
            shapes = [(3, n, True, True), (n, n, True), (n, n), (n, n)]
        else:
            steps = [n // 16, n // 8, n // 4, n // 2, n]
            shapes = [(3, steps[0], True, True)] + [(i, o, True) for i, o in zip(steps, steps[1:])]
            shapes += [(n, n)] if size == 128 else []
        self.stem = ResBlock(*shapes[0])
        self.blocks = nn.Sequential(*(ResBlock(*shape) for shape in shapes[1:]))
        self.linear = nn.Linear(n, 1, bias=False)

    def forward(self, x):
        return self.linear(F.relu(self.blocks(self.stem(x))).mean((2, 3))).flatten()


class Bottleneck(nn.Module):
    def __init__(self, i, o, pool, spectral_norm):
        super().__init__()
        h = i // 4

        def conv(*shape):
            return spectrally_normed(nn.Conv2d(*shape), spectral_norm)

        self.conv1, self.conv2 = conv(i, h, 1), conv(h, h, 3, 1, 1)
        self.conv3, self.conv4 = conv(h, h, 3, 1, 1), conv(h, o, 1)
        if o > i:
            self.shortcut = conv(i, o - i, 1)
        self.pool = pool

    def forward(self, x):
        h = self.conv2(F.relu(self.conv1(F.relu(x))))
        h = F.relu(self.conv3(F.relu(h)))
        if self.pool:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        h = self.conv4(h)
        return h + (torch.cat([x, self.shortcut(x)], 1) if hasattr(self, "shortcut") else x)


class Attention(nn.Module):
    def __init__(self, c, spectral_norm):
        super().__init__()

        def conv(i, o):
            return spectrally_normed(nn.Conv2d(i, o, 1, bias=False), spectral_norm)

        self.theta, self.phi, self.g, self.o = conv(c, c // 8), conv(c, c // 8), conv(c, c // 2), conv(c // 2, c)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        theta, phi = self.theta(x).flatten(2), F.max_pool2d(self.phi(x), 2).flatten(2)
        g = F.max_pool2d(self.g(x), 2).flatten(2)
        beta = F.softmax(theta.transpose(1, 2) @ phi, 2)
        return x + self.gamma * self.o((g @ beta.transpose(1, 2)).view(len(x), -1, *x.shape[2:]))


class BigganEnergy(nn.Module):
    """BigGAN-deep's discriminator without classes, for 64, 128 or 224 pixels."""

    PLANS = {64: ([1, 1, 2, 2, 4, 4, 8, 8, 16], False, 1), 128: ([1, 2, 2, 4, 4, 8, 8, 16, 16, 16, 16], True, 2),
             224: ([1, 2, 2, 4, 4, 8, 8, 8, 8, 16, 16, 16, 16], True, 4)}

    def __init__(self, size, width=0, spectral_norm=False):
        super().__init__()
        multiples, first_pools, self.attended = self.PLANS[size]
        widths = [m * (width or 48) for m in multiples]
        self.conv = spectrally_normed(nn.Conv2d(3, widths[0], 3, 1, 1), spectral_norm)
        self.blocks = nn.ModuleList(Bottleneck(widths[k], widths[k + 1], (k % 2 == 0) == first_pools, spectral_norm)
                                    for k in range(len(widths) - 1))
        self.attention = Attention(widths[self.attended], spectral_norm)
        self.linear = spectrally_normed(nn.Linear(widths[-1], 1, bias=False), spectral_norm)

    def forward(self, x):
        h = self.conv(x)
        for k, block in enumerate(self.blocks):
            h = block(self.attention(h) if k == self.attended else h)
        return self.linear(F.relu(h).mean((2, 3))).flatten()


# ---- generators ----


class GeneratorBlock(nn.Module):
    """SNGAN's up block; a decoder's blocks may keep the size, and its stem begins with its convolution."""

    def __init__(self, i, o, norm, up=True, stem=False):
        super().__init__()
        if not stem:
            self.bn1 = norm(i)
        self.conv1, self.bn2, self.conv2 = nn.Conv2d(i, o, 3, 1, 1), norm(o), nn.Conv2d(o, o, 3, 1, 1)
        if up or i != o:
            self.shortcut = nn.Conv2d(i, o, 1)
        self.up, self.stem = up, stem

    def larger(self, x):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False) if self.up else x

    def forward(self, x):
        h = self.conv1(self.larger(x if self.stem else F.relu(self.bn1(x))))
        s = self.shortcut(x) if hasattr(self, "shortcut") else x
        return self.conv2(F.relu(self.bn2(h))) + self.larger(s)


class FixedNorm(nn.BatchNorm2d):
    """Batch norm of a generator that was trained without statistics: mean 0, variance 1."""

    def forward(self, x):
        scale = self.weight / (1 + self.eps) ** 0.5
        return x * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


def norm_of(batch_norm):
    return lambda c: (nn.BatchNorm2d if batch_norm == "running" else FixedNorm)(c, eps=1e-3, momentum=0.01)


class SnganGenerator(nn.Module):
    """SNGAN's generator of images of 32, 64 or 128 pixels."""

    def __init__(self, size, width=0, latent=128, batch_norm="running", factor=1):
        super().__init__()
        n = width or (256 if size == 32 else 1024)
        widths = {32: [n] * 4, 64: [n, n // 2, n // 4, n // 8, n // 16],
                  128: [n, n, n // 2, n // 4, n // 8, n // 16]}[size]
        norm = norm_of(batch_norm)
        self.n, self.linear, self.factor = n, nn.Linear(latent, 16 * n), factor
        self.blocks = nn.Sequential(*(GeneratorBlock(i, o, norm) for i, o in zip(widths, widths[1:])))
        self.bn, self.conv = norm(widths[-1]), nn.Conv2d(widths[-1], 3, 3, 1, 1)

    def forward(self, z):
        h = self.blocks(self.linear(z).view(-1, self.n, 4, 4))
        return self.factor * torch.tanh(self.conv(F.relu(self.bn(h))))


class Decoder(nn.Module):
    """The second half of an autoencoder of 32x32 images; its latent [B, 256] is a map of 16x16."""

    def __init__(self, width=0, batch_norm="running", factor=1):
        super().__init__()
        n, norm = width or 256, norm_of(batch_norm)
        self.blocks = nn.Sequential(GeneratorBlock(1, n, norm, up=False, stem=True), GeneratorBlock(n, n, norm),
                                    GeneratorBlock(n, n, norm, up=False), GeneratorBlock(n, n, norm, up=False))
        self.bn, self.conv, self.factor = norm(n), nn.Conv2d(n, 3, 3, 1, 1), factor

    def forward(self, z):
        h = self.blocks(z.view(-1, 1, 16, 16))
        return self.factor * torch.tanh(self.conv(F.relu(self.bn(h))))


class Encoder(nn.Module):
    """The first half: images [B, 3, 32, 32] to latents [B, 256] on the sphere of radius 16."""

    def __init__(self, width=0):
        super().__init__()
        n = width or 256
        self.blocks = nn.Sequential(ResBlock(3, n, False, True), ResBlock(n, n, True), ResBlock(n, n), ResBlock(n, n))
        self.conv = nn.Conv2d(n, 1, 3, 1, 1)

    def forward(self, x):
        z = self.conv(F.relu(self.blocks(x))).flatten(1)
        return z / z.norm(dim=1, keepdim=True) * z.shape[1] ** 0.5


# ---- classifiers ----

NORMALISATIONS = {"imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
                  "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))}


class Normalised(nn.Module):
    """[-1, 1] as a classifier was trained to see it; nothing of it is in the state dict."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        for key, values in zip(("mean", "deviation"), NORMALISATIONS.get(name, ())):
            self.register_buffer(key, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, x):
        return x if self.name == "none" else ((x + 1) / 2 - self.mean) / self.deviation


def plain(i, o, kernel, stride):
    return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False)


class PlainBlock(nn.Module):
    """Option A of He et al.: where the size halves, every second pixel, and zeros for the new channels."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = plain(i, o, 3, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = plain(o, o, 3, 1), nn.BatchNorm2d(o)
        self.extra = (o - i) // 2

    def forward(self, x):
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(h + (F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra)) if self.extra else x))


class ProjectedBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = plain(i, o, 3, stride), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = plain(o, o, 3, 1), nn.BatchNorm2d(o)
        changes = stride != 1 or i != o
        self.shortcut = nn.Sequential(plain(i, o, 1, stride), nn.BatchNorm2d(o)) if changes else nn.Sequential()

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


class WideBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, 1, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), nn.Conv2d(o, o, 3, stride, 1)
        changes = stride != 1 or i != o
        self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride)) if changes else nn.Sequential()

    def forward(self, x):
        return self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x)))))) + self.shortcut(x)


def groups(network, block, start, widths, count):
    """Adds layer1, layer2, ... of `count` blocks to a module; all but the first halve the size."""
    for k, (i, o) in enumerate(zip([start, *widths], widths), 1):
        rest = (block(o, o, 1) for _ in range(count - 1))
        network.add_module(f"layer{k}", nn.Sequential(block(i, o, 1 if k == 1 else 2), *rest))


class Resnet(nn.Module):
    """ResNet-20, 32, 44, 56 (three groups, option A) and ResNet-18 for 32x32 (four groups, projections)."""

    def __init__(self, block, groups_of, doublings, width, classes, normalisation):
        super().__init__()
        self.normalised = Normalised(normalisation)
        self.conv1, self.bn1 = plain(3, width, 3, 1), nn.BatchNorm2d(width)
        self.depth = doublings + 1
        groups(self, block, width, [width << k for k in range(self.depth)], groups_of)
        self.linear = nn.Linear(width << doublings, classes)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(self.normalised(x))))
        for k in range(1, self.depth + 1):
            h = getattr(self, f"layer{k}")(h)
        return self.linear(h.mean((2, 3)))


class WideResnet(nn.Module):
    """WRN-28: convolutions with bias, no dropout; width 160 is WRN-28-10."""

    def __init__(self, width=160, classes=10, normalisation="none"):
        super().__init__()
        self.normalised = Normalised(normalisation)
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1)
        groups(self, WideBlock, 16, [width, 2 * width, 4 * width], 4)
        self.bn1, self.linear = nn.BatchNorm2d(4 * width), nn.Linear(4 * width, classes)

    def forward(self, x):
        h = self.layer3(self.layer2(self.layer1(self.conv1(self.normalised(x)))))
        return self.linear(F.relu(self.bn1(h)).mean((2, 3)))


# ---- by name ----


def energy(network, width=0, spectral_norm=False, **_):
    if network == "light":
        return Light(width)
    if network == "mlp2d":
        return Mlp2d(width)
    if network.startswith("sngan"):
        return SnganEnergy(int(network[5:]), width)
    if network.startswith("biggan"):
        return BigganEnergy(int(network[6:]), width, spectral_norm)
    raise ValueError(f"no energy is called {network}")


def generator(network, width=0, latent=128, batch_norm="running", factor=1, **_):
    if network.startswith("sngan"):
        return SnganGenerator(int(network[5:]), width, latent, batch_norm, factor)
    if network == "decoder32":
        return Decoder(width, batch_norm, factor)
    raise ValueError(f"no generator is called {network}")


def classifier(network, width=0, classes=10, normalisation="none", **_):
    if network == "wrn28-10":
        return WideResnet(width or 160, classes, normalisation)
    if network == "resnet18":
        return Resnet(ProjectedBlock, 2, 3, width or 64, classes, normalisation)
    blocks = {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9}
    if network in blocks:
        return Resnet(PlainBlock, blocks[network], 2, width or 16, classes, normalisation)
    raise ValueError(f"no classifier is called {network}")


def encoder(network, width=0, **_):
    if network == "encoder32":
        return Encoder(width)
    raise ValueError(f"no encoder is called {network}")


BUILDERS = {"energy": energy, "generator": generator, "classifier": classifier, "encoder": encoder}


def build(part, network, **facts):
    """A module with PyTorch's first weights; `part`: energy, generator, classifier or encoder."""
    return BUILDERS[part.removesuffix("_average")](network, **facts)


def load(path):
    """The module of an exported state dict, in evaluation mode."""
    path = pathlib.Path(path)
    facts = json.loads(path.with_suffix(".json").read_text())
    module = build(**facts)
    state = torch.load(path, map_location="cpu", weights_only=True)
    if facts.get("spectral_norm"):  # a parametrised weight has another name inside the module
        named = {name.replace(".parametrizations.weight.original", ".weight"): name for name in module.state_dict()}
        state = {named[name]: value for name, value in state.items()}
    module.load_state_dict(state, strict=True)
    return module.eval()
