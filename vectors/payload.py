"""Reads payload.json with a decoder written from docs/protocol/payload.md alone: no code in common with the project's.

    python3 vectors/payload.py

Checks the framing, the layout hash and the decoded tensors; not the signature, for which Python has no library of its own.
"""

import hashlib
import json
import pathlib
import struct

DIMS = [[70, 130], [130], [3, 5], [64, 64]]
SIDE, K, BITS = 32, 24, 2


class Decoder:
    def __init__(self, data):
        self.data, self.at, self.offset, self.range = data, 0, 0, 2**32 - 1
        for _ in range(4):
            self.take()
        assert self.offset != 2**32 - 1, "not canonical"

    def take(self):
        digit = self.data[self.at] if self.at < len(self.data) else 0
        self.at += 1
        self.offset = self.offset * 256 + digit

    def decide(self, p16):
        bound = (self.range >> 16) * p16
        bit = self.offset < bound
        if bit:
            self.range = bound
        else:
            self.offset -= bound
            self.range -= bound
        while self.range < 2**24:
            self.range *= 256
            self.take()
        return int(bit)

    def end(self):
        assert self.at == len(self.data) + 3, "truncated or trailing"
        assert self.offset < 2**24, "not canonical"


class Contexts:
    def __init__(self, initial, first, last):
        self.p, self.age, self.first, self.last = list(initial), [0] * len(initial), first, last

    def decide(self, coder, c):
        p = self.p[c]
        d = coder.decide(24 + int(p * 65488))
        self.p[c] = p + (d - p) * (1 / (self.age[c] + self.first))
        self.age[c] = min(self.age[c] + 1, self.last - self.first)
        return d


def kept_of(n):
    return -(-n * K // (SIDE * SIDE))


def bucket(count, seen):
    x = min((count + 1) * SIDE * SIDE * 256 // (seen * K + SIDE * SIDE), 2**31 - 1)
    if x < 16:
        return 0
    e = x.bit_length() - 1
    return min(2 * (e - 8) + (x >> (e - 1) & 1) + 8, 15)


def middle(b):
    return (1.75 if b % 2 else 1.25) * 2.0 ** (b // 2 - 4)


def share(high, count):
    return (6 * high + count + 4) // (2 * count + 2)


def tensor(coder, kept, dims, levels):
    rows, cols = (1, dims[0]) if len(dims) == 1 else (dims[0], dims[1])
    height, width = (1, SIDE * SIDE) if len(dims) == 1 else (SIDE, SIDE)
    level_contexts, sign_contexts = Contexts([0.5] * 16, 2, 256), Contexts([0.5] * 9, 2, 256)
    counts, highs, balance, buckets = [0] * cols, [0] * cols, [0] * cols, [0] * cols
    indices, values = [], []
    for row in range(rows):
        if row % height == 0:
            places = [min(height, rows - row) * min(width, cols - c) for c in range(0, cols, width)]
            wanted = [kept_of(n) for n in places]
        if row % 16 == 0:
            buckets = [bucket(n, row) for n in counts]
        row_kept = row_high = 0
        for col in range(cols):
            b = col // width
            if col % width == 0 or col % 16 == 0:
                r = bucket(row_kept, col)
            if wanted[b] == 0:
                here = 0
            elif wanted[b] == places[b]:
                here = 1
            else:
                here = kept.decide(coder, 16 * r + buckets[col])
            places[b] -= 1
            if not here:
                continue
            wanted[b] -= 1
            high = 0
            if BITS == 2:
                high = level_contexts.decide(coder, 4 * share(row_high, row_kept) + share(highs[col], counts[col]))
            negative = sign_contexts.decide(coder, max(-4, min(4, balance[col])) + 4)
            indices.append(row * cols + col)
            values.append(-levels[high] if negative else levels[high])
            row_kept += 1
            row_high += high
            counts[col] += 1
            highs[col] += high
            balance[col] += -1 if negative else 1
            buckets[col] = bucket(counts[col], row + 1)
            r = bucket(row_kept, col + 1)
    return indices, values


vector = json.loads((pathlib.Path(__file__).parent / "payload.json").read_text())
data = bytes.fromhex(vector["bytes"])
assert hashlib.sha256(data).hexdigest() == vector["sha256"]
magic, version, uid, round_, tokens = struct.unpack_from("<4sHHQQ", data)
(body_bytes,) = struct.unpack_from("<I", data, 184)
assert (magic, version, uid, round_, tokens) == (b"SKPL", 1, 513, 7, 61440)
assert len(data) == 253 + body_bytes
numbers = [SIDE, K, BITS, len(DIMS)] + [n for dims in DIMS for n in [len(dims)] + dims]
layout = hashlib.sha256(b"skein layout 1\n" + struct.pack(f"<{len(numbers)}I", *numbers)).digest()
assert layout == data[152:184] == bytes.fromhex(vector["layout"])

body = data[188 : 188 + body_bytes]
bfloat16 = [struct.unpack("<f", b"\0\0" + body[i : i + 2])[0] for i in range(0, 2 * BITS * len(DIMS), 2)]
coder = Decoder(body[2 * BITS * len(DIMS) :])
initial = [min(0.9, middle(r) * middle(c) * K / (SIDE * SIDE)) for r in range(16) for c in range(16)]
kept = Contexts(initial, 20, 1024)
digest = hashlib.sha256()
for t, dims in enumerate(DIMS):
    indices, values = tensor(coder, kept, dims, bfloat16[BITS * t : BITS * (t + 1)])
    digest.update(struct.pack(f"<{len(indices)}i", *indices))
    digest.update(struct.pack(f"<{len(values)}f", *values))
coder.end()
assert digest.hexdigest() == vector["tensorsSha256"], digest.hexdigest()
print("payload.json: decoded as docs/protocol/payload.md says")
