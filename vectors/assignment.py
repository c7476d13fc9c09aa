"""
Golden vectors of the keyed permutation, the order of passes and the assignment of sequences: docs/protocol/data.md written down
a second time, independently, in plain Python. Writes vectors/assignment.json.

    python3 vectors/assignment.py
"""
import hashlib
import json
import os

M32 = 0xFFFFFFFF


def mix(x, first, second):
    h = (x + first) & M32
    for word in (second, 0):
        h = ((h ^ (h >> 16)) * 0x85EBCA6B) & M32
        h = ((h ^ (h >> 13)) * 0xC2B2AE35) & M32
        h = ((h ^ (h >> 16)) + word) & M32
    return h


def permute(key, n, i):
    words = []
    for block in range(2):
        digest = hashlib.sha256(f"skein-permutation-1 {block} {n} {key}".encode()).digest()
        words += [int.from_bytes(digest[4 * j : 4 * j + 4], "little") for j in range(8)]
    k = 1
    while 4**k < n:
        k += 1
    while True:
        left, right = i >> k, i & (2**k - 1)
        for r in range(8):
            left, right = right, left ^ (mix(right, words[2 * r], words[2 * r + 1]) & (2**k - 1))
        i = (left << k) | right
        if i < n:
            return i


def pass_order(seed, sequences, g):
    return permute(f"{seed} pass {g // sequences}", sequences, g % sequences)


def assign(seed, sequences, uids_max, steps, batch, round, uid, step, slot, round_seed):
    slots = uids_max * steps * batch
    own = (uid * steps + step) * batch + slot
    g = round * slots + permute(f"{seed} round {round} {round_seed}", slots, own)
    number, within = divmod(g, sequences)
    first = (sequences + 1) // 2
    if within < first:
        place = permute(f"{seed} pass {number} first", first, within)
    else:
        place = first + permute(f"{seed} pass {number} second", sequences - first, within - first)
    return {"pass": number, "sequence": permute(f"{seed} halves", sequences, place)}


def main():
    sizes = [("skein", 1), ("skein", 2), ("skein", 10), ("", 12346), ("schlüssel 糸", 10**6), ("skein", 2**32), ("skein", 2**48)]
    permutations = []
    for key, n in sizes:
        inputs = sorted({i for i in (0, 1, 2, 3, 9, 12345, n // 3, n // 2, n - 2, n - 1) if 0 <= i < n})
        permutations.append({"key": key, "n": n, "inputs": inputs, "outputs": [permute(key, n, i) for i in inputs]})
    slots = [0, 1, 2, 76, 77, 78, 500, 10_000]
    orders = [{"seed": "s", "sequences": 77, "slots": slots, "outputs": [pass_order("s", 77, g) for g in slots]}]
    plans = [("run", 10_000, 4, 30, 8), ("run", 7, 1, 1, 3), ("big", 2**40, 256, 30, 192)]
    places = [(0, 0, 0, 0, ""), (0, 0, 0, 2, "ab"), (3, 0, 0, 1, "cd"), (10, 3, 29, 7, "ab"), (6_100_000, 255, 29, 191, "ff")]
    assignments = []
    for seed, sequences, uids_max, steps, batch in plans:
        fitting = [p for p in places if p[1] < uids_max and p[2] < steps and p[3] < batch]
        plan = {"seed": seed, "sequences": sequences, "uidsMax": uids_max, "stepsPerRound": steps, "batch": batch}
        outputs = [assign(seed, sequences, uids_max, steps, batch, *p) for p in fitting]
        assignments.append({"plan": plan, "places": fitting, "outputs": outputs})
    out = {"permutations": permutations, "orders": orders, "assignments": assignments}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "assignment.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
