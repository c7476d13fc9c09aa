"""The model of src/engine in PyTorch, written for speed: the yardstick of torch_step.py and torch_train.py.

Unlike vectors/llama.py, which spells the formulas out, this one uses what PyTorch offers: fused attention, fused RMSNorm,
fused AdamW, one matrix for q, k, v and one for gate and up (they follow each other in our flat layout, so both read the same
params). float32 throughout.
"""

import math
import os

# A core type set for other programs would halve OpenBLAS builds of PyTorch; it must be unset before PyTorch is loaded.
os.environ.pop("OPENBLAS_CORETYPE", None)

import torch
import torch.nn.functional as F
from torch import nn

# The configurations of bench/RESULTS.md.
CONFIGS = {
    "S": dict(vocabSize=4096, dim=256, layers=6, heads=8, kvHeads=8, headDim=32, ffnDim=688, ropeTheta=10000.0,
              normEps=1e-5, tied=False, seqLen=256, batch=8),
    "M": dict(vocabSize=8192, dim=512, layers=8, heads=8, kvHeads=8, headDim=64, ffnDim=1376, ropeTheta=10000.0,
              normEps=1e-5, tied=False, seqLen=512, batch=4),
}


def rope_table(s, length):
    """Cosines and sines, each [length, headDim], the second half repeating the first; angles in float64."""
    frequency = s["ropeTheta"] ** (-2 * torch.arange(s["headDim"] // 2, dtype=torch.float64) / s["headDim"])
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency).repeat(1, 2)
    return angle.cos().float(), angle.sin().float()


def turn(x, cos, sin):
    """Rotates the pairs (i, i + headDim/2) of x [rows, heads, length, headDim]."""
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Layer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        d, q, kv, f = s["dim"], s["heads"] * s["headDim"], s["kvHeads"] * s["headDim"], s["ffnDim"]
        for name, dims in (("norm1", (d,)), ("wqkv", (q + 2 * kv, d)), ("wo", (d, q)),
                           ("norm2", (d,)), ("wgateup", (2 * f, d)), ("wdown", (d, f))):
            self.register_parameter(name, nn.Parameter(torch.empty(dims)))

    def forward(self, x, cos, sin):
        s = self.s
        rows, length, dim = x.shape
        heads, kv, hd = s["heads"], s["kvHeads"], s["headDim"]
        a = F.rms_norm(x, (dim,), self.norm1, s["normEps"])
        qkv = F.linear(a, self.wqkv).view(rows, length, heads + 2 * kv, hd).transpose(1, 2)
        turned = turn(qkv[:, : heads + kv], cos, sin)
        mixed = F.scaled_dot_product_attention(turned[:, :heads], turned[:, heads:], qkv[:, heads + kv :], is_causal=True,
                                               enable_gqa=kv != heads)
        x = x + F.linear(mixed.transpose(1, 2).reshape(rows, length, heads * hd), self.wo)
        b = F.rms_norm(x, (dim,), self.norm2, s["normEps"])
        gate, up = F.linear(b, self.wgateup).chunk(2, -1)
        return x + F.linear(F.silu(gate) * up, self.wdown)


class Llama(nn.Module):
    """Gives the mean cross-entropy of tokens [rows, length + 1], or the losses [rows, length] with reduction "none"."""

    def __init__(self, s, seq_len):
        super().__init__()
        self.s = s
        self.embed = nn.Parameter(torch.empty(s["vocabSize"], s["dim"]))
        self.layers = nn.ModuleList(Layer(s) for _ in range(s["layers"]))
        self.norm = nn.Parameter(torch.empty(s["dim"]))
        self.head = self.embed if s["tied"] else nn.Parameter(torch.empty(s["vocabSize"], s["dim"]))
        cos, sin = rope_table(s, seq_len)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)

    def forward(self, tokens, reduction="mean"):
        length = tokens.shape[1] - 1
        x = F.embedding(tokens[:, :-1], self.embed)
        for layer in self.layers:
            x = layer(x, self.cos[:length], self.sin[:length])
        logits = F.linear(F.rms_norm(x, (self.s["dim"],), self.norm, self.s["normEps"]), self.head)
        each = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction=reduction)
        return each if reduction == "mean" else each.view(tokens.shape[0], length)

    def flat_order(self):
        """Our parameters in the order of src/engine/shape.ts; fused matrices are neighbours there."""
        yield self.embed
        for layer in self.layers:
            yield from (layer.norm1, layer.wqkv, layer.wo, layer.norm2, layer.wgateup, layer.wdown)
        yield self.norm
        if not self.s["tied"]:
            yield self.head

    @torch.no_grad()
    def load_flat(self, flat):
        """Fills all params from `flat`, float32 in our layout."""
        at = 0
        for p in self.flat_order():
            p.copy_(flat[at : at + p.numel()].view_as(p))
            at += p.numel()
        if at != flat.numel():
            raise SystemExit(f"the params file holds {flat.numel()} values, the model {at}")

    @torch.no_grad()
    def init_normal(self, seed=0):
        """Random params, for timing."""
        torch.manual_seed(seed)
        for p in self.flat_order():
            p.fill_(1.0) if p.dim() == 1 else p.normal_(0, 1 / math.sqrt(p.shape[1]))


def adamw(model, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1):
    """Fused AdamW that decays matrices only."""
    params = list(model.flat_order())
    groups = [dict(params=[p for p in params if p.dim() > 1], weight_decay=weight_decay),
              dict(params=[p for p in params if p.dim() == 1], weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=0.0, betas=(beta1, beta2), eps=eps, fused=True)


def train_step(model, optimizer, tokens, lr, clip=1.0):
    """One step; the loss before it, as a tensor, and the gradients' norm before clipping."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    loss = model(tokens)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"] + optimizer.param_groups[1]["params"], clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.detach(), norm


def setup(threads):
    """PyTorch's settings for a fast CPU in plain float32."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("highest")
