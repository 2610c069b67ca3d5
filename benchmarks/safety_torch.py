"""The peer of `safety.py`: a training step of the same transformer in PyTorch, as the release of
Jain et al. 2024 writes it. Run by it in an environment of its own; prints one JSON line."""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = self.norm(x)
        q, k, v = (
            a.unflatten(-1, (self.heads, -1)).transpose(1, 2) for a in self.qkv(x).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp_out(F.gelu(self.mlp_in(x), approximate="tanh"))


class Network(nn.Module):
    def __init__(self, vocabulary, length, width, depth, heads):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.register_buffer("positions", torch.randn(length, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def main():
    vocabulary, length, width, depth, heads, batch, repeats = map(int, sys.argv[1:])
    torch.manual_seed(0)
    model = Network(vocabulary, length, width, depth, heads)
    adam = torch.optim.AdamW(model.parameters(), 1e-3, (0.9, 0.95), weight_decay=1e-4)
    tokens = torch.randint(vocabulary, (batch, length))

    def step():
        adam.zero_grad()
        logits = model(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()

    found = timed(step, repeats)
    sizes = {"large": (2048, 2048, 2048), "own": (batch * (length - 1), width, 4 * width)}
    for name, (rows, inner, columns) in sizes.items():
        a, b = torch.ones(rows, inner), torch.ones(inner, columns)
        seconds = timed(lambda a=a, b=b: a @ b, repeats)["cpu"]
        found[f"{name}_product_gflop_per_cpu_s"] = 2e-9 * rows * inner * columns / seconds
    found["parameters"] = sum(p.numel() for p in model.parameters())
    print(json.dumps(found | {"version": torch.__version__, "threads": torch.get_num_threads()}))


def timed(call, repeats):
    call()
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {"wall": min(walls), "cpu": min(cpus)}


if __name__ == "__main__":
    main()
