"""
Golden vectors of the baselines' outer optimizer, from torch.optim.SGD in float32. Writes vectors/outer.json.

    python vectors/outer.py          needs PyTorch

For each case: the params after each of some steps, as little-endian float32 in hex, with random gradients. Gradients and first
params are drawn from the congruential generator of apply.py: first the params, f32(u - 1/2) each, then for every step the
gradients, f32((u - 1/2) / 8).
"""
import json
import os
import struct

import torch

from apply import f32, generator

CASES = [
    dict(seed=1, length=67, steps=5, lr=0.7, momentum=0.9, nesterov=True),
    dict(seed=2, length=67, steps=5, lr=0.4, momentum=0.8, nesterov=False),
    dict(seed=3, length=67, steps=3, lr=0.9, momentum=0.0, nesterov=False),
    dict(seed=4, length=67, steps=3, lr=1.0, momentum=0.0, nesterov=False),
]


def run(case):
    draw = generator(case["seed"])
    params = torch.tensor([f32(next(draw) - 0.5) for _ in range(case["length"])], requires_grad=True)
    options = dict(lr=case["lr"], momentum=case["momentum"], nesterov=case["nesterov"])
    optimizer = torch.optim.SGD([params], **options)
    after = []
    for _ in range(case["steps"]):
        params.grad = torch.tensor([f32((next(draw) - 0.5) / 8) for _ in range(case["length"])])
        optimizer.step()
        after.append(struct.pack(f"<{case['length']}f", *params.tolist()).hex())
    return dict(case, after=after)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "outer.json"), "w") as file:
        json.dump(dict(torch=torch.__version__, cases=[run(case) for case in CASES]), file, indent=1)
        file.write("\n")
