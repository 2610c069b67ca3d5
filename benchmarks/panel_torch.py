"""The networks of `panel.py` in PyTorch: `PANEL[name](outputs)` returns `(params, apply, sample)`,
params a list."""

from itertools import pairwise

import torch
import torch.nn.functional as F


def _gaussian(*shape):
    fan_in = 1
    for size in shape[:-1]:
        fan_in *= size
    return torch.randn(*shape) / fan_in**0.5


def _conv(x, w, stride=1):
    """Images first by channels; kernels as in `panel.py`, height x width x in x out; padding
    SAME."""
    k, size = w.shape[0], x.shape[-1]
    total = max((-(-size // stride) - 1) * stride + k - size, 0)
    x = F.pad(x, (total // 2, total - total // 2) * 2)
    return F.conv2d(x, w.permute(3, 2, 0, 1), stride=stride)


def mlp(outputs, width=1024):
    sizes = [784, width, width, width, outputs]
    params = [p for i, o in pairwise(sizes) for p in (_gaussian(i, o), torch.zeros(o))]

    def apply(p, x):
        for i in range(0, 6, 2):
            x = torch.relu(x @ p[i] + p[i + 1])
        return x @ p[6] + p[7]

    return params, apply, lambda n: torch.randn(n, 784)


def cnn(outputs, channels=64):
    widths, strides = [1, channels, channels, 2 * channels, 2 * channels], [1, 2, 1, 2]
    params = [p for a, b in pairwise(widths) for p in (_gaussian(3, 3, a, b), torch.zeros(b))]
    params += [_gaussian(widths[-1], outputs), torch.zeros(outputs)]

    def apply(p, x):
        for i, stride in enumerate(strides):
            x = torch.relu(_conv(x, p[2 * i], stride) + p[2 * i + 1][:, None, None])
        return x.mean((2, 3)) @ p[8] + p[9]

    return params, apply, lambda n: torch.randn(n, 1, 28, 28)


def resnet18(outputs, base=64):
    widths = [base * 2 ** (block // 2) for block in range(8)]
    strides = [2 if block in (2, 4, 6) else 1 for block in range(8)]
    params, before = [_gaussian(3, 3, 3, base)], base
    for width, stride in zip(widths, strides, strict=True):
        params += [_gaussian(3, 3, before, width), _gaussian(3, 3, width, width)]
        params += [_gaussian(1, 1, before, width)] if stride > 1 else []
        before = width
    params += [_gaussian(before, outputs), torch.zeros(outputs)]

    def apply(p, x):
        p = iter(p)
        x = torch.relu(_conv(x, next(p)))
        for stride in strides:
            branch = _conv(torch.relu(_conv(x, next(p), stride)), next(p))
            x = torch.relu(0.3 * branch + (_conv(x, next(p), stride) if stride > 1 else x))
        return x.mean((2, 3)) @ next(p) + next(p)

    return params, apply, lambda n: torch.randn(n, 3, 32, 32)


def gpt(outputs, width=128, layers=4, heads=4, length=32, vocabulary=64):
    params = [_gaussian(vocabulary, width), 0.1 * torch.randn(length, width)]
    for _ in range(layers):
        params += [
            torch.ones(width),
            *(_gaussian(width, width) for _ in range(4)),
            torch.ones(width),
        ]
        params += [
            _gaussian(width, 4 * width),
            torch.zeros(4 * width),
            _gaussian(4 * width, width),
            torch.zeros(width),
        ]
    params.append(_gaussian(width, outputs))
    causal = torch.tril(torch.ones(length, length)).bool()

    def normed(x, gain):
        x = x - x.mean(-1, keepdim=True)
        return x / torch.sqrt((x**2).mean(-1, keepdim=True) + 1e-5) * gain

    def apply(p, x):
        h = x @ p[0] + p[1]
        for i in range(2, 2 + 10 * layers, 10):
            gain, q, k, v, o, second, up, rise, down, shift = p[i : i + 10]
            z = normed(h, gain)
            q, k, v = ((z @ w).reshape(-1, length, heads, width // heads) for w in (q, k, v))
            scores = torch.einsum("nthc,nshc->nhts", q, k) / (width // heads) ** 0.5
            weights = torch.softmax(torch.where(causal, scores, -1e9), -1)
            h = h + torch.einsum("nhts,nshc->nthc", weights, v).reshape(-1, length, width) @ o
            h = h + F.gelu(normed(h, second) @ up + rise, approximate="tanh") @ down + shift
        return h.mean(1) @ p[-1]

    return (
        params,
        apply,
        lambda n: F.one_hot(torch.randint(0, vocabulary, (n, length)), vocabulary).float(),
    )


PANEL = {"mlp": mlp, "cnn": cnn, "gpt": gpt, "resnet18": resnet18}
