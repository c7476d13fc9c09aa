"""Does a span of inner steps in PyTorch, from any state of AdamW, in several arithmetics: what other engines would make of the same work.

    python bench/torch_span.py job.json

The job: {"shape": ModelShape, "seqLen", "batch", "lr": [one a step], "tokens": path, "params": path, "m": path, "v": path, "steps": optimizer
steps before, "threads": 1, "modes": ["fp32", "tf32", "bf16"], "options": {"beta1", "beta2", "eps", "weightDecay", "clipNorm"}, "out": path}. Relative
paths are relative to the job's file; files are those of torch_train.py. For each mode, <out>.<mode>.<params|m|v> receives the state afterwards.

fp32: plain. tf32: the inputs of every matrix product with params rounded to TF32's 10 bits, forwards and backwards, as a GPU's tensor cores take
them. bf16: PyTorch's autocast to bfloat16, as mixed-precision training has it; params, moments and AdamW stay float32.
"""

import json
import pathlib
import sys

import torch_llama as llama  # first: it sets the environment for PyTorch

import torch
import torch.nn.functional as F


def read(path):
    return torch.from_file(str(path), dtype=torch.float32, size=path.stat().st_size // 4).clone()


def tf32(x):
    """Rounds to 10 bits of mantissa, to nearest, ties away from zero."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0x1000) & ~0x1FFF).view(torch.float32)


class RoundedLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        x, w = tf32(x), tf32(w)
        ctx.save_for_backward(x, w)
        return x @ w.T

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        grad = tf32(grad)
        return grad @ w, grad.flatten(0, -2).T @ x.flatten(0, -2)


def split(model, flat):
    at = 0
    for p in model.flat_order():
        yield p, flat[at : at + p.numel()].view_as(p)
        at += p.numel()


def run(job, path, mode):
    model = llama.Llama(job["shape"], job["seqLen"])
    model.load_flat(read(path("params")))
    options = job["options"]
    optimizer = llama.adamw(model, options["beta1"], options["beta2"], options["eps"], options["weightDecay"])
    for (p, m), (_, v) in zip(split(model, read(path("m"))), split(model, read(path("v")))):
        optimizer.state[p] = dict(step=torch.tensor(float(job["steps"])), exp_avg=m.clone(), exp_avg_sq=v.clone())
    tokens = torch.from_file(str(path("tokens")), dtype=torch.int32, size=path("tokens").stat().st_size // 4)
    tokens = tokens.view(-1, job["batch"], job["seqLen"] + 1)
    plain = F.linear
    if mode == "tf32":
        F.linear = lambda x, w: RoundedLinear.apply(x, w)
    try:
        for step, lr in enumerate(job["lr"]):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mode == "bf16"):
                llama.train_step(model, optimizer, tokens[step].long(), lr, options["clipNorm"])
    finally:
        F.linear = plain
    states = [optimizer.state[p] for p in model.flat_order()]
    vectors = dict(params=list(model.flat_order()), m=[s["exp_avg"] for s in states], v=[s["exp_avg_sq"] for s in states])
    for name, parts in vectors.items():
        flat = torch.cat([part.detach().flatten() for part in parts])
        pathlib.Path(f"{path('out')}.{mode}.{name}").write_bytes(flat.numpy().astype("<f4").tobytes())


def main():
    job_path = pathlib.Path(sys.argv[1])
    job = json.loads(job_path.read_text())
    llama.setup(job.get("threads", 1))
    for mode in job["modes"]:
        run(job, lambda name: job_path.parent / job[name], mode)
        print(json.dumps(dict(mode=mode, torch=torch.__version__)), flush=True)


if __name__ == "__main__":
    main()
