"""Times the outer step in PyTorch, and the state root with hashlib: what bench/apply.ts compares ours with, and calls.

    python bench/torch_apply.py FOLDER --repeat 7

Reads the inputs that bench/apply.ts put into FOLDER, writes the new params of each rule there, and prints one JSON line: median
milliseconds of each. Where there are several ways to write a rule, all are timed and the fastest counts: adding peer by peer
(index_add_), all at once (scatter_add_), or, for the mean over senders, scatter_reduce_ as Templar does it. The work starts
from indices already widened to int64, which PyTorch's scatter needs; that widening is not counted. One thread.
"""

import argparse
import hashlib
import json
import os
import time

import numpy
import torch

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("folder")
parser.add_argument("--repeat", type=int, default=7)
args = parser.parse_args()
torch.set_num_threads(1)
torch.set_grad_enabled(False)


def path(name):
    return os.path.join(args.folder, name)


with open(path("inputs.json")) as file:
    inputs = json.load(file)
start_params = torch.from_numpy(numpy.fromfile(path("params.bin"), dtype=numpy.float32))
all_indices = torch.from_numpy(numpy.fromfile(path("indices.bin"), dtype=numpy.int32).astype(numpy.int64))
all_values = torch.from_numpy(numpy.fromfile(path("values.bin"), dtype=numpy.float32))
lr = inputs["outerLr"]

tensors = []  # of (offset, length, indices of each peer, values of each peer)
offset = at = 0
for length, counts in zip(inputs["lengths"], inputs["counts"]):
    tensors.append((offset, length, all_indices[at : at + sum(counts)].split(counts), all_values[at : at + sum(counts)].split(counts)))
    offset, at = offset + length, at + sum(counts)


def clipped(values):
    norms = torch.stack([torch.linalg.vector_norm(v) for v in values])
    median = norms.median()
    return [v * torch.clamp(median / n, max=1) for v, n in zip(values, norms)]


def sum_by_peer(length, indices, values):
    total = torch.zeros(length)
    for i, v in zip(indices, values):
        total.index_add_(0, i, v)
    return total


def sum_at_once(length, indices, values):
    return torch.zeros(length).scatter_add_(0, torch.cat(indices), torch.cat(values))


def mean_all(total):
    return lambda length, indices, values: (total(length, indices, values), lr / len(indices))


def mean_senders_counted(total):
    def run(length, indices, values):
        senders = total(length, indices, [torch.ones_like(v) for v in values])
        return total(length, indices, values).div_(senders.clamp_(min=1)), lr

    return run


def mean_senders_reduced(length, indices, values):
    return torch.zeros(length).scatter_reduce_(0, torch.cat(indices), torch.cat(values), "mean", include_self=False), lr


def trimmed(length, indices, values):
    count = len(indices)
    trim = count // 10
    out = torch.empty(length)
    every = torch.zeros(count, length)
    for row, i, v in zip(every, indices, values):
        row[i] = v
    for start in range(0, length, 1 << 16):
        part = every[:, start : start + (1 << 16)].t().contiguous().sort(1).values
        out[start : start + (1 << 16)] = part[:, trim : count - trim].sum(1)
    return out, lr / (count - 2 * trim)


MEAN_ALL = {"index_add_": mean_all(sum_by_peer), "scatter_add_": mean_all(sum_at_once)}
MEAN_SENDERS = {
    "scatter_reduce_": mean_senders_reduced,
    "index_add_ and counts": mean_senders_counted(sum_by_peer),
    "scatter_add_ and counts": mean_senders_counted(sum_at_once),
}
RULES = {"mean-all": MEAN_ALL, "mean-senders": MEAN_SENDERS, "trimmed-mean": {"sort": trimmed}}


def step(params, aggregate, clip):
    for begin, length, indices, values in tensors:
        update, rate = aggregate(length, indices, clipped(values) if clip else values)
        params[begin : begin + length].sub_(update, alpha=rate)


def median_ms(repeat, work):
    times = []
    for i in range(repeat + 1):
        began = time.perf_counter()
        work()
        if i > 0:
            times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[len(times) // 2]


def state_root(data):
    leaves = []
    for start in range(0, len(data), 1 << 20):
        leaf = hashlib.sha256(b"\0")
        leaf.update(data[start : start + (1 << 20)])
        leaves.append(leaf.digest())
    while len(leaves) > 1:
        pairs = [hashlib.sha256(b"\1" + leaves[i] + leaves[i + 1]).digest() for i in range(0, len(leaves) - 1, 2)]
        leaves = pairs + leaves[2 * len(pairs) :]
    return leaves[0]


times, how = {}, {}
for prefix, clip in (("", False), ("clipped-", True)):
    for rule, ways in RULES.items():
        name = prefix + rule
        repeat = 1 if rule == "trimmed-mean" else args.repeat
        scratch = start_params.clone()
        found = {way: median_ms(repeat, lambda: step(scratch, aggregate, clip)) for way, aggregate in ways.items()}
        how[name] = min(found, key=found.get)
        times[name] = found[how[name]]
        params = start_params.clone()
        step(params, ways[how[name]], clip)
        params.numpy().tofile(path(name + ".bin"))
data = memoryview(start_params.numpy()).cast("B")
times["state-root"], how["state-root"] = median_ms(args.repeat, lambda: state_root(data)), "hashlib"
print(json.dumps(dict(times=times, how=how, torch=torch.__version__)))
