"""
Golden vectors of the outer step and of the state root: docs/protocol/apply.md written down a second time, independently, in plain
Python, whose floats are float64. Writes vectors/apply.json.

    python3 vectors/apply.py

Inputs are not stored but drawn from one 32-bit congruential generator, as in llama.py:

    s <- (1664525 * s + 1013904223) mod 2^32, starting from the case's seed;   u = floor(s / 2^8) / 2^24, in [0, 1)

first the params of all tensors, f32((u - 1/2) * 0.125) each; then for every round, every contribution r and every tensor, element
by element: one draw u; the element is sent if u < density; if so another draw gives its value f32((u - 1/2) * 2^(r mod 5 - 7)).

Every round is applied to the outcome of the one before. Stored: the state root after each round, and the bytes of the first
params (little-endian float32, hex) after the last.
"""
import hashlib
import json
import os
import struct

PIECE = 1 << 20  # bytes


def f32(x):
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")


def generator(seed):
    s = seed
    while True:
        s = (1664525 * s + 1013904223) % 2**32
        yield (s >> 8) / 2**24


def root_of_fraction(q):
    scale = 1.0
    while q < 0.25:
        q, scale = q * 4.0, scale * 0.5
    x = 0.5 * (1.0 + q)
    for _ in range(6):
        x = 0.5 * (x + q / x)
    return x * scale


def factors(contributions):
    squares = []
    for contribution in contributions:
        total = 0.0
        for _, value in contribution:
            total += value * value
        squares.append(total)
    median = sorted(squares)[(len(squares) - 1) // 2]
    return [1.0 if n <= median else 0.0 if median == 0 else root_of_fraction(median / n) for n in squares]


def apply(params, contributions, rule, clip, trim_percent, alpha):
    count = len(contributions)
    scale = factors(contributions) if clip == "median-norm" and count else [1.0] * count
    sent = {}
    for factor, contribution in zip(scale, contributions):
        for at, value in contribution:
            sent.setdefault(at, []).append(factor * value)
    out = list(params)
    for at, values in sent.items():
        divisor = len(values) if rule == "mean-senders" else count
        if rule == "trimmed-mean":
            trim = count * trim_percent // 100
            values = sorted(values + [0.0] * (count - len(values)))[trim : count - trim]
            divisor = count - 2 * trim
        total = 0.0
        for value in values:
            total += value
        updated = f32(params[at] - (alpha / divisor) * total)
        if updated - updated == 0:
            out[at] = updated
    return out


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def merkle(leaves):
    """RFC 6962, section 2.1: split at the largest power of two below the count."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha(b"\x01", merkle(leaves[:k]), merkle(leaves[k:]))


def path(index, leaves):
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if index < k:
        return path(index, leaves[:k]) + [merkle(leaves[k:])]
    return path(index - k, leaves[k:]) + [merkle(leaves[:k])]


def leaves_of(data):
    return [sha(b"\x00", data[at : at + PIECE]) for at in range(0, len(data), PIECE)]


def state_root(data):
    return sha(b"\x02", struct.pack("<Q", len(data) // 4), merkle(leaves_of(data)))


def proof(data, index):
    return struct.pack("<Q", len(data) // 4) + b"".join(path(index, leaves_of(data)))


def run(case):
    draw = generator(case["seed"])
    tensors = [[f32((next(draw) - 0.5) * 0.125) for _ in range(n)] for n in case["tensors"]]
    roots = []
    for count in case["rounds"]:
        contributions = []
        for r in range(count):
            contribution = []
            for n in case["tensors"]:
                sparse = []
                for at in range(n):
                    if next(draw) < case["density"]:
                        sparse.append((at, f32((next(draw) - 0.5) * 2.0 ** (r % 5 - 7))))
                contribution.append(sparse)
            contributions.append(contribution)
        for i, tensor in enumerate(tensors):
            tensors[i] = apply(tensor, [c[i] for c in contributions], case["rule"], case["clip"], case["trimPercent"],
                               case["outerLr"])
        flat = [value for tensor in tensors for value in tensor]
        data = struct.pack(f"<{len(flat)}f", *flat)
        roots.append(state_root(data).hex())
    return dict(case, roots=roots, head=data[:64].hex())


def states():
    """Param i of a state is the float32 with the bits (i * 2654435761 mod 2^32) & 0x3fffffff: positive and finite."""
    for count in (1, 262143, 262144, 262145, 786439, 1310720, 1835009):
        data = b"".join(struct.pack("<I", (i * 2654435761) % 2**32 & 0x3FFFFFFF) for i in range(count))
        pieces = -(-len(data) // PIECE)
        yield dict(params=count, root=state_root(data).hex(), proofs=[proof(data, i).hex() for i in range(pieces)])


CASES = [
    dict(seed=10 * i + j, tensors=tensors, rounds=rounds, density=density, rule=rule, clip=clip, trimPercent=trim, outerLr=lr)
    for i, (rule, trim) in enumerate([("mean-all", 0), ("mean-senders", 0), ("trimmed-mean", 10), ("trimmed-mean", 30)])
    for j, (clip, tensors, rounds, density, lr) in enumerate([
        ("none", [7, 300, 64], [1, 4, 0, 20], 0.1, 1.0),
        ("median-norm", [301, 5, 128], [3, 8, 20], 0.25, 0.65),
        ("median-norm", [40, 1], [2, 11, 20, 7], 0.02, 0.9),
    ])
]

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "apply.json"), "w") as file:
        json.dump(dict(cases=[run(case) for case in CASES], states=list(states())), file, indent=1)
        file.write("\n")
