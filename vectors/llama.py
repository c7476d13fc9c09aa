"""Golden vectors of the Llama-3 training step, from PyTorch's autograd in float64.

    python vectors/llama.py          writes vectors/llama-<case>.json and .bin beside this file

Needs PyTorch and nothing else. The model is written from its formulas (see src/engine/reference for the same in TypeScript),
with no library's Llama, so that three independent derivations must agree: autograd here, hand-written float64 kernels there,
and the fast kernels. Every case is also run in float32, and the difference is recorded: it is what rounding alone may cost.

Params and tokens are not stored but drawn from one 32-bit congruential generator (Numerical Recipes' constants), which any
language can repeat exactly:

    s <- (1664525 * s + 1013904223) mod 2^32, starting from the case's seed;   u = floor(s / 2^8) / 2^24, in [0, 1)

first every param in flat order (the layout of src/engine/shape.ts): 1 + (u - 1/2) / 2 in tensors of one dim, (u - 1/2) * scale
in the others, rounded to float32; then the tokens, floor(u * vocabSize) each: of a batch for every step, [rows, length + 1].

The .json file holds the case, the loss of each row of the first batch, loss and gradient norm of each step, and of every final
tensor its norm, its sum and how far it moved. The .bin file holds little-endian float32: the logits [rows, vocabSize] that
follow each row's first `length` tokens, then the gradients of the mean loss of the first batch at the initial params, in
flat order.
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_num_threads(1)

STEPS = 10


def shape(vocab, dim, layers, heads, kv_heads, head_dim, ffn, theta, eps, tied):
    return dict(vocabSize=vocab, dim=dim, layers=layers, heads=heads, kvHeads=kv_heads, headDim=head_dim, ffnDim=ffn,
                ropeTheta=theta, normEps=eps, tied=tied)


def rates(peak):
    """A little warmup, a plateau, a decay: one rate a step."""
    return [peak * f for f in (0.25, 0.5, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0.1)]


# Clip limits are set where they bind in some steps and not in others; `clip: null` is no clipping.
CASES = {
    "mha": dict(shape=shape(64, 32, 2, 4, 4, 8, 64, 10000, 1e-5, False), rows=4, length=16, seed=1, scale=0.5,
                lr=rates(4e-3), options=dict(clipNorm=2.45)),
    "gqa-tied": dict(shape=shape(96, 48, 2, 6, 2, 8, 80, 500000, 1e-6, True), rows=3, length=24, seed=2, scale=0.5,
                     lr=rates(3e-3), options=dict(clipNorm=3.3, beta1=0.8, beta2=0.99, weightDecay=0.3)),
    "odd": dict(shape=shape(67, 40, 2, 4, 2, 10, 56, 10000, 1e-5, False), rows=5, length=13, seed=3, scale=0.5,
                lr=rates(5e-3), options=dict(clipNorm=None, weightDecay=0.0, eps=1e-6)),
    "long": dict(shape=shape(51, 18, 3, 2, 1, 14, 23, 10000, 1e-5, True), rows=2, length=150, seed=4, scale=0.75,
                 lr=rates(4e-3), options=dict(clipNorm=1.3)),
}


def layout(s):
    """Names and dims of all params, in flat order."""
    d, q, kv, f = s["dim"], s["heads"] * s["headDim"], s["kvHeads"] * s["headDim"], s["ffnDim"]
    yield "embed", (s["vocabSize"], d)
    for layer in range(s["layers"]):
        for name, dims in (("norm1", (d,)), ("wq", (q, d)), ("wk", (kv, d)), ("wv", (kv, d)), ("wo", (d, q)),
                           ("norm2", (d,)), ("wgate", (f, d)), ("wup", (f, d)), ("wdown", (d, f))):
            yield f"layers.{layer}.{name}", dims
    yield "norm", (d,)
    if not s["tied"]:
        yield "head", (s["vocabSize"], d)


def uniform(seed):
    s = seed
    while True:
        s = (1664525 * s + 1013904223) % 2**32
        yield (s >> 8) / 2**24


def draw_params(case, u, dtype):
    params = {}
    for name, dims in layout(case["shape"]):
        values = torch.tensor([next(u) - 0.5 for _ in range(math.prod(dims))], dtype=torch.float64)
        values = 1 + values / 2 if len(dims) == 1 else values * case["scale"]
        params[name] = values.to(torch.float32).to(dtype).reshape(dims).requires_grad_()
    return params


def draw_tokens(case, u):
    vocab = case["shape"]["vocabSize"]
    n = case["rows"] * (case["length"] + 1)
    return torch.tensor([math.floor(next(u) * vocab) for _ in range(n)]).reshape(case["rows"], -1)


def rmsnorm(x, gain, eps):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * gain


def rotate(x, theta):
    """Turns the pairs (i, i + hd/2) of x [rows, heads, length, hd] by t * theta^(-2i/hd)."""
    length, hd = x.shape[-2:]
    frequency = theta ** (-2 * torch.arange(hd // 2, dtype=torch.float64) / hd)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def attention(x, p, layer, s):
    """Causal attention of x [rows, length, d]; the score matrix is written out."""
    rows, length, _ = x.shape
    def heads(name, count):
        return (x @ p[f"layers.{layer}.{name}"].T).reshape(rows, length, count, s["headDim"]).transpose(1, 2)
    q = rotate(heads("wq", s["heads"]), s["ropeTheta"])
    k = rotate(heads("wk", s["kvHeads"]), s["ropeTheta"])
    v = heads("wv", s["kvHeads"])
    reads = [h // (s["heads"] // s["kvHeads"]) for h in range(s["heads"])]
    scores = q @ k[:, reads].transpose(2, 3) / math.sqrt(s["headDim"])
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    mixed = scores.masked_fill(future, -math.inf).softmax(-1) @ v[:, reads]
    return mixed.transpose(1, 2).reshape(rows, length, -1) @ p[f"layers.{layer}.wo"].T


def forward(p, tokens, s):
    """Logits [rows, length, vocabSize] of tokens [rows, length]."""
    x = p["embed"][tokens]
    for i in range(s["layers"]):
        x = x + attention(rmsnorm(x, p[f"layers.{i}.norm1"], s["normEps"]), p, i, s)
        b = rmsnorm(x, p[f"layers.{i}.norm2"], s["normEps"])
        gated = F.silu(b @ p[f"layers.{i}.wgate"].T) * (b @ p[f"layers.{i}.wup"].T)
        x = x + gated @ p[f"layers.{i}.wdown"].T
    return rmsnorm(x, p["norm"], s["normEps"]) @ p["embed" if s["tied"] else "head"].T


def row_losses(p, batch, s):
    """Mean cross-entropy of each row."""
    logits = forward(p, batch[:, :-1], s)
    each = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
    return each.reshape(len(batch), -1).mean(1), logits[:, -1]


def backward(p, batch, s):
    for tensor in p.values():
        tensor.grad = None
    losses, last = row_losses(p, batch, s)
    losses.mean().backward()
    return losses.detach(), last.detach()


def optimizer(params, case):
    o = dict(beta1=0.9, beta2=0.95, eps=1e-8, weightDecay=0.1) | case["options"]
    groups = [dict(params=[t for t in params.values() if t.dim() > 1], weight_decay=o["weightDecay"]),
              dict(params=[t for t in params.values() if t.dim() == 1], weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=0.0, betas=(o["beta1"], o["beta2"]), eps=o["eps"])


def run(case, dtype):
    s, u = case["shape"], uniform(case["seed"])
    params = draw_params(case, u, dtype)
    batches = [draw_tokens(case, u) for _ in range(STEPS)]
    losses, last = backward(params, batches[0], s)
    grads = {name: t.grad.detach().clone() for name, t in params.items()}
    initial = {name: t.detach().clone() for name, t in params.items()}
    adamw = optimizer(params, case)
    steps = []
    for lr, batch in zip(case["lr"], batches):
        step_losses, _ = backward(params, batch, s)
        clip = case["options"]["clipNorm"]  # clip_grad_norm_ would divide by norm + 1e-6; this is the plain formula
        norm = torch.cat([t.grad.flatten() for t in params.values()]).norm()
        for tensor in params.values():
            tensor.grad *= 1.0 if clip is None else min(1.0, clip / norm.item())
        for group in adamw.param_groups:
            group["lr"] = lr
        adamw.step()
        steps.append(dict(loss=step_losses.mean().item(), gradNorm=norm.item()))
    final = {}
    for name, tensor in params.items():
        t = tensor.detach()
        final[name] = dict(norm=t.norm().item(), sum=t.sum().item(), moved=(t - initial[name]).norm().item())
    return dict(logits=last, grads=grads, rowLosses=losses.tolist(), steps=steps, final=final)


def relative(a, b):
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def rounding(single, double):
    """How far float32 PyTorch is from float64 PyTorch."""
    steps = [abs(a["loss"] - b["loss"]) / b["loss"] for a, b in zip(single["steps"], double["steps"])]
    moved = [abs(t["moved"] / double["final"][n]["moved"] - 1) for n, t in single["final"].items()]
    grads = [relative(g, double["grads"][n]) for n, g in single["grads"].items()]
    return dict(logits=relative(single["logits"], double["logits"]), grads=max(grads), losses=max(steps), moved=max(moved))


def main():
    here = pathlib.Path(__file__).parent
    for name, case in CASES.items():
        double, single = run(case, torch.float64), run(case, torch.float32)
        record = dict(name=name, torch=torch.__version__.split("+")[0], **case, steps=double["steps"],
                      rowLosses=double["rowLosses"], final=double["final"], float32=rounding(single, double))
        (here / f"llama-{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        flat = torch.cat([double["logits"].flatten(), *(g.flatten() for g in double["grads"].values())])
        (here / f"llama-{name}.bin").write_bytes(flat.to(torch.float32).numpy().astype("<f4").tobytes())
        print(name, flat.numel(), record["float32"], [round(x["gradNorm"], 2) for x in record["steps"]],
              [round(x["loss"], 3) for x in record["steps"]])


if __name__ == "__main__":
    main()
