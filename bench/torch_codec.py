"""The steps of bench/codec-speed.ts in PyTorch; that program starts this one and asks for them one at a time.

    python bench/torch_codec.py FOLDER [--cpu]

Reads FOLDER/inputs.json (chunkSide, k, beta, dims of each tensor) and delta.bin, residual.bin (float32). Then for each line on
standard input, the name of a task, it does the task once and prints one JSON line with its milliseconds. Error feedback, top-k of each
chunk (torch.topk on all chunks of a tensor at once, unsorted: the fastest of its ways), sign and two magnitude levels, packed as 12-bit
positions in the chunk and 2-bit codes, as Templar sends them. The levels are fitted with one split at the mean magnitude; ours takes up
to sixteen. No entropy coding. One thread. With --cpu
it counts processor time. Buffers for dense results are made once and written before the clock starts.
"""

import json
import os
import sys
import time

import numpy
import torch

torch.set_num_threads(1)
torch.set_grad_enabled(False)
folder = sys.argv[1]
clock = time.process_time if "--cpu" in sys.argv else time.perf_counter
with open(os.path.join(folder, "inputs.json")) as file:
    inputs = json.load(file)
side, k, beta = inputs["chunkSide"], inputs["k"], inputs["beta"]


def read(name):
    return torch.from_numpy(numpy.fromfile(os.path.join(folder, name), dtype=numpy.float32))


delta, start_residual = read("delta.bin"), read("residual.bin")
residual, dense = start_residual.clone(), start_residual.clone()
copy_from, copy_to = torch.ones(1 << 26), torch.ones(1 << 26)


def spans(length, by):
    """Whole pieces of `length` cut every `by`, and the rest: (start, piece, how many)."""
    whole = length // by
    rest = [(whole * by, length % by, 1)] if length % by else []
    return ([(0, by, whole)] if whole else []) + rest


class Tensor:
    """One tensor's place in the flat vectors, and its blocks: at most four kinds (whole, right edge, bottom edge, corner)."""

    def __init__(self, dims, offset):
        rows, cols = (1, dims[0]) if len(dims) == 1 else dims
        high, wide = (1, side * side) if len(dims) == 1 else (side, side)
        self.rows, self.cols, self.offset, self.length = rows, cols, offset, rows * cols
        self.kinds = [
            (r0, h, down, c0, w, across, -(-h * w * k // (side * side)))
            for r0, h, down in spans(rows, high)
            for c0, w, across in spans(cols, wide)
        ]
        # Flat index of each block's first value, made once: it depends on dims only.
        self.starts = [
            (((r0 + torch.arange(down) * h) * cols)[:, None] + (c0 + torch.arange(across) * w)[None, :]).reshape(-1, 1)
            for r0, h, down, c0, w, across, _ in self.kinds
        ]
        self.kept = [down * across * keep for _, _, down, _, _, across, keep in self.kinds]

    def of(self, flat):
        return flat[self.offset : self.offset + self.length]


tensors, at = [], 0
for dims in inputs["dims"]:
    tensors.append(Tensor(dims, at))
    at += tensors[-1].length


def select(t):
    """Error feedback, top-k, quantization: positions by kind of block, codes, levels; residual keeps the rest."""
    values = t.of(residual)
    values.mul_(beta).add_(t.of(delta))
    matrix = values.view(t.rows, t.cols)
    positions, kept, flats = [], [], []
    for (r0, h, down, c0, w, across, keep), starts in zip(t.kinds, t.starts):
        part = matrix[r0 : r0 + h * down, c0 : c0 + w * across]
        blocks = part.view(down, h, across, w).permute(0, 2, 1, 3).reshape(down * across, h * w)
        place = blocks.abs().topk(keep, sorted=False).indices
        positions.append(place.view(-1))
        kept.append(blocks.gather(1, place).view(-1))
        flats.append((starts + torch.div(place, w, rounding_mode="trunc") * t.cols + place % w).view(-1) if w != t.cols else (starts + place).view(-1))
    position, value, flat = torch.cat(positions), torch.cat(kept), torch.cat(flats)
    magnitude = value.abs()
    high = magnitude > magnitude.mean()
    count = high.sum()
    high_sum = (magnitude * high).sum()
    levels = torch.stack([(magnitude.sum() - high_sum) / (len(value) - count).clamp_(min=1), high_sum / count.clamp_(min=1)])
    levels = levels.bfloat16()
    code = high.to(torch.uint8) | ((value < 0).to(torch.uint8) << 1)
    values.index_add_(0, flat, book_of(levels)[code.long()], alpha=-1)
    return position, code, levels


def book_of(levels):
    levels = levels.float()
    return torch.cat([levels, -levels])


def padded(x, by):
    return torch.nn.functional.pad(x, (0, -len(x) % by)) if len(x) % by else x


def pack(position, code):
    """12-bit positions, two in three bytes, and 2-bit codes, four in a byte."""
    pairs = padded(position.to(torch.int32), 2).view(-1, 2)
    a, b = pairs[:, 0], pairs[:, 1]
    places = torch.stack([a & 255, (a >> 8) | ((b & 15) << 4), b >> 4], 1).to(torch.uint8)
    fours = padded(code, 4).view(-1, 4)
    return places, fours[:, 0] | (fours[:, 1] << 2) | (fours[:, 2] << 4) | (fours[:, 3] << 6)


def unpack(t, places, codes):
    """Flat indices (int64, as scatter wants them) and codes."""
    bytes_ = places.to(torch.int32)
    a, b, c = bytes_[:, 0], bytes_[:, 1], bytes_[:, 2]
    position = torch.stack([a | ((b & 15) << 8), (b >> 4) | (c << 4)], 1).view(-1)[: sum(t.kept)]
    flats = []
    for (_, _, _, _, w, _, keep), starts, place in zip(t.kinds, t.starts, position.split(t.kept)):
        place = place.view(-1, keep)
        flat = starts + place if w == t.cols else starts + torch.div(place, w, rounding_mode="trunc") * t.cols + place % w
        flats.append(flat.view(-1))
    code = torch.stack([codes & 3, (codes >> 2) & 3, (codes >> 4) & 3, codes >> 6], 1).view(-1)[: sum(t.kept)]
    return torch.cat(flats), code


sent = [select(t) for t in tensors]
message = [(*pack(position, code), levels) for position, code, levels in sent]


def encode():
    return [(*pack(position, code), levels) for position, code, levels in map(select, tensors)]


def decode():
    out = []
    for t, (places, codes, levels) in zip(tensors, message):
        flat, code = unpack(t, places, codes)
        out.append((flat, book_of(levels)[code.long()]))
    return out


def decode_dense():
    for t, (flat, values) in zip(tensors, decode()):
        t.of(dense).zero_().index_copy_(0, flat, values)


TASKS = {
    "encode": encode,
    "select": lambda: [select(t) for t in tensors],
    "code": lambda: [pack(position, code) for position, code, _ in sent],
    "decode": decode,
    "decode-dense": decode_dense,
    "copy": lambda: copy_to.copy_(copy_from),
    "feedback": lambda: residual.mul_(beta).add_(delta),
}

kept = [t.offset + flat for t, (flat, _) in zip(tensors, decode())]
torch.cat(kept).sort().values.to(torch.int32).numpy().tofile(os.path.join(folder, "kept.bin"))
size = sum(places.numel() + codes.numel() + 4 for places, codes, _ in message)
print(json.dumps(dict(torch=torch.__version__, bytes=size)), flush=True)
for line in sys.stdin:
    residual.copy_(start_residual)
    began = clock()
    TASKS[line.strip()]()
    print(json.dumps(dict(ms=(clock() - began) * 1000)), flush=True)
