"""
Golden vectors of tokenization, made once with the Python package `tokenizers` (0.23.3), which our own code and the npm package
must agree with. Reads vectors/tokenizer-own.json, a small tokenizer trained by src/data/bpe-train.ts on vectors/tokenizer-text.txt
(the test checks that training still gives it), derives variants of its pre-tokenizer, and writes vectors/tokenizer.json:
for each variant the changes to the file, and for each text the ids, the ids with special tokens as plain text, and the text
decoded from the ids.

    python3 vectors/tokenizer.py
"""
import json
import os
import random

from tokenizers import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(use_regex, prefix=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": use_regex}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def added(id, content, **flags):
    base = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": id, "content": content, **base, **flags}


def variants(own):
    end = own["added_tokens"][0]
    n = len(own["model"]["vocab"])
    pairs = own["model"]["merges"]
    yield "own", {}, {}
    yield "gpt2", {"pre_tokenizer": byte_level(True)}, {}
    yield "llama3", {"pre_tokenizer": sequence(split({"Regex": LLAMA3}), byte_level(False))}, {"ignore_merges": True}
    yield "digits", {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, byte_level(True))}, {}
    yield "removed", {"pre_tokenizer": sequence(split({"Regex": LLAMA3}, "Removed", True), byte_level(False))}, {}
    yield "literal", {"pre_tokenizer": sequence(split({"String": " th"}), byte_level(False))}, {}
    yield "prefix", {"pre_tokenizer": byte_level(True, True)}, {}
    yield "nfc", {"normalizer": {"type": "NFC"}}, {}
    yield "strings", {}, {"merges": [" ".join(p) for p in pairs]}
    yield "added", {
        "added_tokens": [
            end,
            added(n, "<|mask|>", lstrip=True),
            added(n + 1, "<|left|>", rstrip=True),
            added(n + 2, "thread", special=False, normalized=True),
            added(n + 3, "<|mask|>x"),
        ]
    }, {}


TEXTS = [
    "", " ", "  ", "\n", "\r\n\r\n", "a", "skein", " The thread is long.", "the thread's thread", "It's SHE'LL he'LL 'S 'ſab",
    "1234567890 12 345 ²³ Ⅷ½ ٣٤٥ 1,000.25", "tabs\t\tand\n\n\nlines   \n  indented\n", "trailing   ", "   leading",
    "a\u0085b\u00a0c\u2028d\u2029e\u3000f\ufeffg\u200bh\u180ei", "\ufeffbyte order mark", "e\u0301 \u00e9 ﬁ \u1e9b\u0323",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🧵x🧶", "糸は細いが、糸を集めれば布になる。", "Нить тонкая", "<|endoftext|>", "a<|endoftext|>b <|endoftext|>  c",
    "<|endoftext", "see <|mask|> here  <|left|>   there <|mask|>x thread threads", "\u0000\u0001\u007f\u0080\uffff",
    "x" * 300, "ab" * 200, " " * 200 + "x", "\n" * 100, "the thread is strong " * 12, "\U0010ffff\U00010000",
    "function wind(strand) { return strand; }", "---===***!!!???", "'''''", "don't Don'T DON'T", "a\rb\r\nc\n\rd",
]


def random_texts(count):
    rng = random.Random(20)
    pieces = ["the", " thread", "is", "'s", "'LL", " ", "  ", "\n", "\t", "12", "9", "é", "e\u0301", "糸", "🧵", "\u200d", "Ж", "!",
              "...", "(", "<|endoftext|>", "<|", "\u0085", "\u00a0", "A", "z", "_", "-", "\r\n", "ß", "ſ", "\u212a", "٣", "²"]
    for _ in range(count):
        kind = rng.random()
        if kind < 0.7:
            yield "".join(rng.choice(pieces) for _ in range(rng.randrange(1, 25)))
        else:
            points = [rng.choice([rng.randrange(0x80), rng.randrange(0x800), rng.randrange(0x3000)]) for _ in range(rng.randrange(1, 20))]
            yield "".join(map(chr, points))


def main():
    with open(os.path.join(HERE, "tokenizer-own.json"), encoding="utf-8") as file:
        own = json.load(file)
    texts = TEXTS + list(random_texts(60))
    out = {"texts": texts, "variants": []}
    for name, changes, model in variants(own):
        spec = {**own, **changes, "model": {**own["model"], **model}}
        tokenizer = Tokenizer.from_str(json.dumps(spec))
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
        decoded = [tokenizer.decode(row, skip_special_tokens=False) for row in ids]
        differing = {str(i): d for i, (t, d) in enumerate(zip(texts, decoded)) if t != d}
        tokenizer.encode_special_tokens = True
        plain = {}
        for i, text in enumerate(texts):
            row = tokenizer.encode(text, add_special_tokens=False).ids
            if row != ids[i]:
                plain[str(i)] = row
        out["variants"].append(
            {"name": name, "changes": changes, "model": model, "ids": ids, "plain": plain, "decodedOtherwise": differing}
        )
    with open(os.path.join(HERE, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(out, file, ensure_ascii=True, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
