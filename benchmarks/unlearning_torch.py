"""The peer of `unlearning.py`: ResNet-9 and its importances in PyTorch, as the official code of SSD
takes them. Run by it in an environment of its own; prints one JSON line."""

import argparse
import json
import time

import torch
import torch.nn.functional as F
from torch import nn


def block(i, o, size=3, stride=1, padding=1, pool=False):
    layers = [nn.Conv2d(i, o, size, stride, padding), nn.BatchNorm2d(o), nn.CELU(0.075)]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))


class Residual(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.pair = nn.Sequential(block(channels, channels), block(channels, channels))

    def forward(self, x):
        return x + self.pair(x)


def resnet9(width, classes=10):
    w = width
    return nn.Sequential(
        block(3, w),
        block(w, 2 * w, 5, 2, 2),
        Residual(2 * w),
        block(2 * w, 4 * w, pool=True),
        Residual(4 * w),
        block(4 * w, 2 * w, padding=0),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * w, classes, bias=False),
    )


def importances(model, x, y, batch_size):
    """A backward pass a batch, the squared gradients of the batch mean added up."""
    total = [torch.zeros_like(p) for p in model.parameters()]
    starts = range(0, len(x), batch_size)
    for i in starts:
        model.zero_grad()
        F.cross_entropy(model(x[i : i + batch_size]), y[i : i + batch_size]).backward()
        for t, p in zip(total, model.parameters(), strict=True):
            t += p.grad.pow(2)
    return [t / len(starts) for t in total]


def losses(model, x, y, batch_size):
    with torch.no_grad():
        for i in range(0, len(x), batch_size):
            F.cross_entropy(model(x[i : i + batch_size]), y[i : i + batch_size])


def dampened(model, important, rest, alpha, lam):
    """The loop over parameters of the official code: selection, dampening, in place."""
    with torch.no_grad():
        for p, f, r in zip(model.parameters(), important, rest, strict=True):
            where = torch.where(f > alpha * r)
            update = (lam * r / f)[where]
            update[update > 1] = 1
            p[where] = p[where].mul(update)


def grid(model, important, rest, pairs, x):
    """Every pair from the original weights, and predictions on x."""
    kept = [p.detach().clone() for p in model.parameters()]
    for alpha, lam in pairs:
        dampened(model, important, rest, alpha, lam)
        with torch.no_grad():
            model(x).argmax(1)
            for p, k in zip(model.parameters(), kept, strict=True):
                p.copy_(k)


def timed(call, repeats):
    call()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {"wall": min(walls), "cpu": min(cpus)}


def main():
    parser = argparse.ArgumentParser()
    for name in ("width", "side", "samples", "batch", "tests", "repeats", "pairs", "square"):
        parser.add_argument(f"--{name}", type=int, required=True)
    a = parser.parse_args()
    torch.manual_seed(0)
    model = resnet9(a.width).eval()
    x, y = torch.randn(a.samples, 3, a.side, a.side), torch.arange(a.samples) % 10
    tests = torch.randn(a.tests, 3, a.side, a.side)
    pairs = [(10.0 ** (i % 7 - 1), 10.0 ** (i % 5 - 2)) for i in range(a.pairs)]
    square = torch.randn(a.square, a.square)
    product = timed(lambda: square @ square, a.repeats)
    important, rest = (importances(model, x[:8], y[:8], 8) for _ in range(2))
    found = {
        "matmul": {k: 2e-9 * a.square**3 / product[k] for k in ("wall", "cpu")},
        "forward": timed(lambda: losses(model, x, y, a.batch), a.repeats),
        "single samples": timed(lambda: importances(model, x, y, 1), a.repeats),
        "batch means": timed(lambda: importances(model, x, y, a.batch), a.repeats),
        "grid": timed(lambda: grid(model, important, rest, pairs, tests), a.repeats),
        "version": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
