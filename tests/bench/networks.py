"""Networks of the peers' programs, as a PyTorch user writes them: the light energy, the SNGAN energy and generator at
32x32, ResNet-20. No spectral normalisation, as the papers' energies have none."""
import checks

checks.want({"torch": "torch"})

import torch
import torch.nn.functional as F
from torch import nn


def light(n):
    slope = 0.05
    return nn.Sequential(
        nn.Conv2d(3, n, 3, 1, 1), nn.LeakyReLU(slope),
        nn.Conv2d(n, 2 * n, 4, 2, 1), nn.LeakyReLU(slope),
        nn.Conv2d(2 * n, 4 * n, 4, 2, 1), nn.LeakyReLU(slope),
        nn.Conv2d(4 * n, 8 * n, 4, 2, 1), nn.LeakyReLU(slope),
        nn.Conv2d(8 * n, 1, 4, 1, 0), nn.Flatten(0))


class Down(nn.Module):
    """A residual block of the energy; the stem has no leading ReLU."""

    def __init__(self, i, o, pool, stem=False):
        super().__init__()
        self.first, self.second = nn.Conv2d(i, o, 3, 1, 1), nn.Conv2d(o, o, 3, 1, 1)
        self.short = nn.Conv2d(i, o, 1) if pool or i != o else nn.Identity()
        self.pool, self.stem = pool, stem

    def forward(self, x):
        way = self.second(F.relu(self.first(x if self.stem else F.relu(x))))
        if not self.pool:
            return way + self.short(x)
        short = self.short(F.avg_pool2d(x, 2)) if self.stem else F.avg_pool2d(self.short(x), 2)
        return F.avg_pool2d(way, 2) + short


class Sngan32(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.blocks = nn.Sequential(Down(3, n, True, True), Down(n, n, True), Down(n, n, False), Down(n, n, False))
        self.last = nn.Linear(n, 1, bias=False)

    def forward(self, x):
        return self.last(F.relu(self.blocks(x)).mean((2, 3))).flatten()


class Up(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(i), nn.BatchNorm2d(o)])
        self.first, self.second = nn.Conv2d(i, o, 3, 1, 1), nn.Conv2d(o, o, 3, 1, 1)
        self.short = nn.Conv2d(i, o, 1)

    @staticmethod
    def larger(x):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, x):
        way = self.first(self.larger(F.relu(self.norms[0](x))))
        return self.second(F.relu(self.norms[1](way))) + self.short(self.larger(x))


class Generator32(nn.Module):
    def __init__(self, n, latent=128):
        super().__init__()
        self.n, self.first = n, nn.Linear(latent, 16 * n)
        self.blocks = nn.Sequential(Up(n, n), Up(n, n), Up(n, n))
        self.last = nn.Sequential(nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, 3, 3, 1, 1), nn.Tanh())

    def forward(self, z):
        return self.last(self.blocks(self.first(z).view(-1, self.n, 4, 4)))


class Residual(nn.Module):
    """Two convolutions around an identity shortcut; where the size halves every second pixel, and zero channels."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, 1, 1, bias=False), nn.BatchNorm2d(o)
        self.extra = (o - i) // 2

    def forward(self, x):
        way = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra)) if self.extra else x
        return F.relu(way + short)


class Resnet20(nn.Module):
    """Of images in [-1, 1]; its weights are of images in [0, 1], normalised by ImageNet's mean and deviation."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = (16, 16, 32, 64)
        for i in (1, 2, 3):
            first = Residual(widths[i - 1], widths[i], 1 if i == 1 else 2)
            self.add_module(f"layer{i}", nn.Sequential(first, *(Residual(widths[i], widths[i], 1) for _ in range(2))))
        self.linear = nn.Linear(64, classes)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1), persistent=False)

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(((x + 1) / 2 - self.mean) / self.deviation)))
        return self.linear(self.layer3(self.layer2(self.layer1(h))).mean((2, 3)))


NAMES = ("light", "sngan32")


def energy(name, width):
    return light(width or 32) if name == "light" else Sngan32(width or 256)


def langevin(net, start, steps, eta=1e-2, temperature=1.0):
    x = torch.autograd.Variable(start.clone(), requires_grad=True)
    for _ in range(steps):
        gradient = torch.autograd.grad(net(x).sum(), [x])[0]
        x.data += -(eta ** 2 / (2 * temperature)) * gradient + eta * torch.randn_like(x)
    return x.detach()
