"""Trains in PyTorch what `skein train` trains: the same params, batches, rates and clip, for the parity of the losses.

    python bench/torch_train.py job.json

The job: {"shape": ModelShape, "seqLen", "batch", "lr": [one a step], "tokens": path, "params": path, "valid": path,
"threads": 1, "compile": false, "options": {"beta1", "beta2", "eps", "weightDecay", "clipNorm"}, "out": path}; the last four are
optional, and so is "valid". Relative paths are relative to the job's file. Files are little-endian: tokens int32 [steps, batch,
seqLen + 1]; params float32, flat, in the layout of src/engine/shape.ts; valid int32 [rows, seqLen + 1]. "out" receives the final
params in the same layout.

Prints a JSON line {"step", "loss", "gradNorm"} for each step (from 1; the loss is that before the update) and at last
{"validLoss", "trainSeconds", "tokensPerSecond", "torch"}.
"""

import json
import math
import pathlib
import sys
import time

import torch_llama as llama  # first: it sets the environment for PyTorch

import torch


def read(path, dtype):
    return torch.from_file(str(path), dtype=dtype, size=path.stat().st_size // 4)


@torch.no_grad()
def validation_loss(model, rows, at_a_time):
    """Mean cross-entropy over all targets, summed in float64."""
    total = 0.0
    for some in rows.split(at_a_time):
        total += model(some.long(), reduction="none").double().sum().item()
    return total / (rows.shape[0] * (rows.shape[1] - 1))


def main():
    job_path = pathlib.Path(sys.argv[1])
    job = json.loads(job_path.read_text())
    options = dict(beta1=0.9, beta2=0.95, eps=1e-8, weightDecay=0.1, clipNorm=1.0) | job.get("options", {})
    clip = math.inf if options["clipNorm"] is None else options["clipNorm"]  # JSON has no Infinity
    path = lambda name: job_path.parent / job[name]
    llama.setup(job.get("threads", 1))
    model = llama.Llama(job["shape"], job["seqLen"])
    model.load_flat(read(path("params"), torch.float32))
    tokens = read(path("tokens"), torch.int32).view(-1, job["batch"], job["seqLen"] + 1)
    if len(tokens) < len(job["lr"]):
        raise SystemExit(f"the tokens file holds {len(tokens)} batches, the job wants {len(job['lr'])} steps")
    optimizer = llama.adamw(model, options["beta1"], options["beta2"], options["eps"], options["weightDecay"])
    run = torch.compile(model, dynamic=False) if job.get("compile") else model

    start = time.perf_counter()
    for step, lr in enumerate(job["lr"]):
        loss, norm = llama.train_step(run, optimizer, tokens[step].long(), lr, clip)
        print(json.dumps(dict(step=step + 1, loss=loss.item(), gradNorm=norm.item())), flush=True)
    seconds = time.perf_counter() - start
    speed = job["batch"] * job["seqLen"] * len(job["lr"]) / seconds
    last = dict(trainSeconds=round(seconds, 3), tokensPerSecond=round(speed, 1), torch=torch.__version__)
    if "valid" in job:
        valid = read(path("valid"), torch.int32).view(-1, job["seqLen"] + 1)
        last["validLoss"] = validation_loss(model, valid, job["batch"])
    if "out" in job:
        flat = torch.cat([p.detach().flatten() for p in model.flat_order()])
        path("out").write_bytes(flat.numpy().astype("<f4").tobytes())
    print(json.dumps(last))


if __name__ == "__main__":
    main()
