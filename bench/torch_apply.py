"""Times the outer step in PyTorch, and the state root with hashlib: what bench/apply.ts compares ours with, and calls.

    python bench/torch_apply.py FOLDER --repeat 7

Reads the inputs that bench/apply.ts put into FOLDER, writes the new params of each rule there, and prints one JSON line: the fewest
milliseconds of each, from values (int32 indices and float32 values) and from codes (int32 indices, a byte for each value, a table of
four floats), which is what the entropy decoder leaves. Where there are several ways to write a step, all are timed and the fastest
counts: adding peer by peer (index_add_) into zeros or into the params themselves, all at once (scatter_add_), or, for the mean over
senders, scatter_reduce_ as Templar does it; indices as they are where PyTorch takes them so, or widened. One thread.
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
all_indices = torch.from_numpy(numpy.fromfile(path("indices.bin"), dtype=numpy.int32))
all_codes = torch.from_numpy(numpy.fromfile(path("codes.bin"), dtype=numpy.uint8))
all_books = torch.from_numpy(numpy.fromfile(path("books.bin"), dtype=numpy.float32)).view(-1, 4)
lr = inputs["outerLr"]

tensors = []  # of (offset, length, indices of each peer, codes of each peer, tables of each peer, values of each peer)
offset = at = book = 0
for length, counts in zip(inputs["lengths"], inputs["counts"]):
    codes = all_codes[at : at + sum(counts)].split(counts)
    books = all_books[book : book + len(counts)]
    values = [torch.index_select(b, 0, c.int()) for b, c in zip(books, codes)]
    tensors.append((offset, length, all_indices[at : at + sum(counts)].split(counts), codes, books, values))
    offset, at, book = offset + length, at + sum(counts), book + len(counts)


def clipped(values):
    norms = torch.stack([torch.linalg.vector_norm(v) for v in values])
    median = norms.median()
    return [v * torch.clamp(median / n, max=1) for v, n in zip(values, norms)]


def as_they_are(indices):
    return indices


def widened(indices):
    return [i.long() for i in indices]


def sum_by_peer(length, indices, values):
    total = torch.zeros(length)
    for i, v in zip(indices, values):
        total.index_add_(0, i, v)
    return total


def sum_at_once(length, indices, values):
    return torch.zeros(length).scatter_add_(0, torch.cat(indices).long(), torch.cat(values))


def mean_all_in_place(params, indices, values):
    for i, v in zip(indices, values):
        params.index_add_(0, i, v, alpha=-lr / len(indices))


def mean_all(total):
    return lambda params, indices, values: params.sub_(total(len(params), indices, values), alpha=lr / len(indices))


def mean_senders_counted(total):
    def run(params, indices, values):
        senders = total(len(params), indices, [torch.ones_like(v) for v in values])
        params.sub_(total(len(params), indices, values).div_(senders.clamp_(min=1)), alpha=lr)

    return run


def mean_senders_reduced(params, indices, values):
    mean = torch.zeros(len(params))
    mean.scatter_reduce_(0, torch.cat(indices).long(), torch.cat(values), "mean", include_self=False)
    params.sub_(mean, alpha=lr)


def trimmed(params, indices, values):
    count, length = len(indices), len(params)
    trim = count // 10
    every = torch.zeros(count, length)
    for row, i, v in zip(every, indices, values):
        row[i] = v
    for start in range(0, length, 1 << 16):
        part = every[:, start : start + (1 << 16)].t().contiguous().sort(1).values
        params[start : start + (1 << 16)].sub_(part[:, trim : count - trim].sum(1), alpha=lr / (count - 2 * trim))


def ways(name, run):
    return {name: (as_they_are, run), name + ", widened": (widened, run)}


MEAN_ALL = {
    **ways("index_add_", mean_all(sum_by_peer)),
    **ways("index_add_ into params", mean_all_in_place),
    "scatter_add_": (as_they_are, mean_all(sum_at_once)),
}
MEAN_SENDERS = {
    **ways("index_add_ and counts", mean_senders_counted(sum_by_peer)),
    "scatter_reduce_": (as_they_are, mean_senders_reduced),
    "scatter_add_ and counts": (as_they_are, mean_senders_counted(sum_at_once)),
}
RULES = {"mean-all": MEAN_ALL, "mean-senders": MEAN_SENDERS, "trimmed-mean": {"sort": (widened, trimmed)}}


def unpack_each(codes, books):
    return [torch.index_select(b, 0, c.int()) for b, c in zip(books, codes)]


def unpack_all(codes, books):
    if len({len(c) for c in codes}) > 1:
        return unpack_each(codes, books)
    return torch.gather(books, 1, torch.cat(codes).view(len(codes), -1).long()).unbind()


def unpacked(codes, books, values):
    return values


FROM_CODES = {"index_select": lambda c, b, _: unpack_each(c, b), "gather": lambda c, b, _: unpack_all(c, b)}


def step(params, way, clip, unpack):
    prepare, run = way
    for begin, length, indices, codes, books, values in tensors:
        values = unpack(codes, books, values)
        run(params[begin : begin + length], prepare(indices), clipped(values) if clip else values)


def least_ms(repeat, work):
    times = []
    for i in range(repeat + 1):
        began = time.perf_counter()
        work()
        if i > 0:
            times.append((time.perf_counter() - began) * 1000)
    return min(times)


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
    for rule, all_ways in RULES.items():
        name = prefix + rule
        if name not in inputs["rules"]:
            continue
        repeat = 1 if rule == "trimmed-mean" else args.repeat
        scratch = start_params.clone()
        found = {way: least_ms(repeat, lambda: step(scratch, all_ways[way], clip, unpacked)) for way in all_ways}
        how[name] = min(found, key=found.get)
        times[name] = found[how[name]]
        coded = {
            f"{unpack}, {way}": least_ms(repeat, lambda: step(scratch, all_ways[way], clip, FROM_CODES[unpack]))
            for way in sorted(found, key=found.get)[:3]
            for unpack in FROM_CODES
        }
        key = name + " from codes"
        how[key] = min(coded, key=coded.get)
        times[key] = coded[how[key]]
        params = start_params.clone()
        step(params, all_ways[how[name]], clip, FROM_CODES["gather"])
        params.numpy().tofile(path(name + ".bin"))
scratch = start_params.clone()
times["in place"], how["in place"] = least_ms(args.repeat, lambda: scratch.mul_(1.0000001)), "mul_"
data = memoryview(start_params.numpy()).cast("B")
times["state-root"], how["state-root"] = least_ms(args.repeat, lambda: state_root(data)), "hashlib"
print(json.dumps(dict(times=times, how=how, torch=torch.__version__)))
