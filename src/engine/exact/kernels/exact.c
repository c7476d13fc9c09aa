/* The exact engine: forward, backward and AdamW of a Llama-3 style decoder in strict float32.
 *
 * The same bits everywhere: on every instruction set, at any thread count, micro-batch size and with or without recomputation, because
 * every sum has one fixed order (simd.h, gemm.h) that depends on none of them. Sums over tokens (gradients) run token by token in
 * batch order and continue across micro-batches in the stored float32.
 *
 * All memory is laid out beforehand by plan.ts: the arena begins with a header of float64 slots (dimensions, arguments, byte offsets of
 * regions; the enums below mirror plan.ts). Every thread of the team calls run() with its number; stages are separated by barriers.
 *
 * Mathematics: Vaswani et al. 2017 with pre-norm, RMSNorm (Zhang & Sennrich 2019), RoPE (Su et al. 2021, rotate-half form), GQA
 * (Ainslie et al. 2023), SwiGLU (Shazeer 2020); attention keeps 48 query rows at a time, never T x T, and its backward pass
 * recomputes the probabilities from row maxima and sums (Dao et al. 2022, without the online rescaling); AdamW as in
 * Loshchilov & Hutter 2019. reference/ holds the same kernels as plain TypeScript.
 */
#include "gemm.h"

enum { ABI = 3 };
enum { /* header slots */
  H_ABI, H_VOCAB, H_DIM, H_LAYERS, H_HEADS, H_KV_HEADS, H_HEAD_DIM, H_FFN, H_TIED, H_NORM_EPS, H_THREADS, H_RECOMPUTE, H_CHUNK_ROWS,
  H_SEGMENTS, H_ROWS, H_LENGTH, H_SCALE, H_WANT_GRADS, H_LR, H_BETA1, H_BETA2, H_ADAM_EPS, H_DECAY, H_CORRECT1, H_CORRECT2, H_CLIP,
  H_SQUARES, H_REGIONS = 32
};
enum { /* regions, in plan.ts's order */
  R_PARAMS, R_GRADS, R_M, R_V, R_EMBED_GRADS, R_COS, R_SIN, R_TOKENS, R_TARGETS, R_SEGMENTS, R_PARTIAL, R_ROW_LOSS, R_PANEL, R_SCRATCH, R_SCRATCH_STRIDE,
  R_X, R_X_STRIDE, R_QKV, R_QKV_STRIDE, R_O, R_O_STRIDE, R_STATS, R_STATS_STRIDE, R_X2, R_X2_STRIDE, R_INV1, R_INV2, R_INV_STRIDE, R_GU, R_GU_STRIDE,
  R_NORMED, R_DX, R_DNORMED, R_DO, R_DQKV, R_S, R_DS, R_LOGITS, R_INV_FINAL
};
enum { OP_ZERO = 1, OP_MICRO = 2, OP_MERGE = 3, OP_SQUARES = 4, OP_ADAMW = 5, OP_LOGITS = 6 };

#define HEADER_BYTES 768
#define QB 48      /* query rows attention holds at a time: a multiple of every MR */
#define PIECE 8    /* token rows claimed at a time by row-wise stages */
#define STRIP 64   /* columns claimed at a time by column-wise stages */

/* Where one layer's params (and, at the same distances, its gradients) lie. */
typedef struct { idx norm1, wqkv, wo, norm2, wgu, wdown; } Layer;

typedef struct {
  char *base;
  const double *h;
  Team *team;
  int tid, threads;
  idx V, d, L, Hq, Hk, hd, F, Q, KV, QKV, B, T, R; /* R = B*T rows under way */
  float eps;
  float *params, *grads, *scratch;
} Ctx;

static void *region(const Ctx *c, int r) { return c->base + (unsigned long)c->h[H_REGIONS + r]; }
/* Right after the header, not in it: workers wait here before the header is written. */
static Team *team_of(char *base) { return (Team *)(base + HEADER_BYTES); }
static float *layered(const Ctx *c, int r, int stride, idx layer) {
  return (float *)(c->base + (unsigned long)(c->h[H_REGIONS + r] + c->h[H_REGIONS + stride] * (double)layer));
}
static Layer layer_at(const Ctx *c, idx l) {
  idx d = c->d, per = 2 * d + 2 * c->Q * d + 2 * c->KV * d + 3 * c->F * d, at = c->V * d + l * per;
  Layer w = {at, at + d, at + d + c->QKV * d, 0, 0, 0};
  w.norm2 = w.wo + d * c->Q;
  w.wgu = w.norm2 + d;
  w.wdown = w.wgu + 2 * c->F * d;
  return w;
}
static idx norm_at(const Ctx *c) { return layer_at(c, c->L).norm1; }
static idx head_at(const Ctx *c) { return c->h[H_TIED] != 0 ? 0 : norm_at(c) + c->d; }

#define SYNC() barrier(c->team, c->threads)
/* for each item i of n, and for each piece [lo, hi) of n items `size` at a time, claimed from the stage's which-th ticket */
#define EACH(which, i, n) for (idx i; i = claim(c->team, which), i < (n);)
#define PIECES(which, n, size) for (idx lo, hi; lo = claim(c->team, which) * (size), hi = lo + (size) < (n) ? lo + (size) : (n), lo < (n);)

/* ---- matrix product by the whole team ---- */

static void gemm(const Ctx *c, idx M, idx N, idx K, Mat A, Mat B, const float *from, float *C, idx ldc) {
  float *panel = region(c, R_PANEL);
  idx tiles = (M + MR - 1) / MR, per = c->threads == 1 ? MC / MR : tiles / (4 * c->threads);
  idx mc = MR * (per < 1 ? 1 : per > MC / MR ? MC / MR : per);
  for (idx j = 0; j < N; j += NC) {
    idx n = N - j < NC ? N - j : NC;
    for (idx k = 0; k < K; k += KC) {
      idx kc = K - k < KC ? K - k : KC;
      PIECES(0, n, NR) pack_sliver(kc, hi - lo, B.p + k * B.rs + (j + lo) * B.cs, B.rs, B.cs, panel + lo * kc);
      SYNC();
      const float *f = k ? C : from;
      PIECES(0, M, mc) {
        Mat a = {A.p + lo * A.rs + k * A.cs, A.rs, A.cs};
        mul_block(hi - lo, n, kc, a, panel, kc * NR, f ? f + lo * ldc + j : 0, C + lo * ldc + j, ldc, c->scratch);
      }
      SYNC();
    }
  }
}
/* y[R][n] = from + x[R][k]·w[n][k]ᵀ */
static void linear(const Ctx *c, idx rows, idx n, idx k, const float *x, const float *w, const float *from, float *y) {
  gemm(c, rows, n, k, (Mat){x, k, 1}, (Mat){w, 1, k}, from, y, n);
}
/* dx[R][k] = dy[R][n]·w[n][k] */
static void linear_dx(const Ctx *c, idx rows, idx n, idx k, const float *dy, const float *w, float *dx) {
  gemm(c, rows, k, n, (Mat){dy, n, 1}, (Mat){w, k, 1}, 0, dx, k);
}
/* dw[n][k] += dy[R][n]ᵀ·x[R][k] */
static void linear_dw(const Ctx *c, idx rows, idx n, idx k, const float *dy, const float *x, float *dw) {
  gemm(c, n, k, rows, (Mat){dy, 1, n}, (Mat){x, k, 1}, dw, dw, k);
}

/* ---- RMSNorm ---- */

/* Σ a·b·g (g may be null) over n in 16 lanes and the fixed tree. */
INLINE float dot3(const float *a, const float *b, const float *g, idx n) {
  v16 s = all(0.f);
  idx i = 0;
  for (; i + LANES <= n; i += LANES) s = s + (g ? LOAD(a + i) * LOAD(b + i) * LOAD(g + i) : LOAD(a + i) * LOAD(b + i));
  if (i < n) {
    v16 p = load_part(a + i, n - i, 0.f) * load_part(b + i, n - i, 0.f);
    s = s + (g ? p * load_part(g + i, n - i, 0.f) : p);
  }
  return sum16(s);
}
/* inv = 1/sqrt(mean(x²)+eps) per row; y = x·inv·gain */
static void rms(const Ctx *c, const float *x, const float *gain, float *inv, float *y) {
  idx d = c->d;
  PIECES(0, c->R, PIECE)
    for (idx t = lo; t < hi; t++) {
      float r = 1.f / __builtin_sqrtf(dot3(x + t * d, x + t * d, 0, d) / (float)d + c->eps);
      inv[t] = r;
      for (idx i = 0; i < d; i++) y[t * d + i] = x[t * d + i] * r * gain[i];
    }
}
/* y again from the kept inv. */
static void rms_again(const Ctx *c, int ticket, const float *x, const float *gain, const float *inv, float *y) {
  idx d = c->d;
  PIECES(ticket, c->R, PIECE)
    for (idx t = lo; t < hi; t++) {
      float r = inv[t];
      for (idx i = 0; i < d; i++) y[t * d + i] = x[t * d + i] * r * gain[i];
    }
}
/* dx = (add ? dx : 0) + (dy·gain - x·inv²·mean(dy·gain·x))·inv;  dgain += Σ_t dy·x·inv, token by token */
static void rms_back(const Ctx *c, const float *x, const float *gain, const float *inv, const float *dy, int add, float *dx, float *dgain) {
  idx d = c->d;
  PIECES(0, c->R, PIECE)
    for (idx t = lo; t < hi; t++) {
      const float *xr = x + t * d, *yr = dy + t * d;
      float *o = dx + t * d, r = inv[t], m = dot3(yr, xr, gain, d) * r / (float)d;
      if (add) for (idx i = 0; i < d; i++) o[i] = o[i] + (yr[i] * gain[i] - xr[i] * r * m) * r;
      else for (idx i = 0; i < d; i++) o[i] = (yr[i] * gain[i] - xr[i] * r * m) * r;
    }
  PIECES(1, d, STRIP) {
    float sum[STRIP];
    idx n = hi - lo;
    for (idx i = 0; i < n; i++) sum[i] = dgain[lo + i];
    for (idx t = 0; t < c->R; t++) {
      const float *xr = x + t * d + lo, *yr = dy + t * d + lo;
      float r = inv[t];
      for (idx i = 0; i < n; i++) sum[i] = sum[i] + yr[i] * (xr[i] * r);
    }
    for (idx i = 0; i < n; i++) dgain[lo + i] = sum[i];
  }
}

/* ---- rotary embedding: pairs (i, i+hd/2) of every q and k head turn by the position's angle; sign -1 turns back ---- */

static void rope(const Ctx *c, int ticket, float *qkv, float sign) {
  idx half = c->hd / 2;
  const float *cs = region(c, R_COS), *sn = region(c, R_SIN);
  PIECES(ticket, c->R, PIECE)
    for (idx t = lo; t < hi; t++) {
      const float *co = cs + t % c->T * half, *si = sn + t % c->T * half;
      for (idx head = 0; head < c->Hq + c->Hk; head++) {
        float *p = qkv + t * c->QKV + head * c->hd;
        for (idx i = 0; i < half; i++) {
          float a = p[i], b = p[i + half], s = si[i] * sign;
          p[i] = a * co[i] - b * s;
          p[i + half] = b * co[i] + a * s;
        }
      }
    }
}

/* ---- causal grouped-query attention ---- */

/* One thread's scratch after the MC*KC floats that mul_block takes (sizes as in plan.ts). */
typedef struct { float *kt, *vt, *kn, *qn, *on, *p, *dp, *pack; idx ld; } AttnScratch;
static idx slivers(idx n) { return (n + NR - 1) / NR * NR; }
static AttnScratch attn_scratch(const Ctx *c) {
  AttnScratch s;
  s.pack = c->scratch;
  s.ld = (c->T + 15) / 16 * 16;
  s.kt = c->scratch + MC * KC;
  s.vt = s.kt + slivers(c->T) * c->hd;
  s.kn = s.vt + slivers(c->T) * c->hd;
  s.qn = s.kn + slivers(c->hd) * c->T;
  s.on = s.qn + slivers(c->hd) * QB;
  s.p = s.on + slivers(c->hd) * QB;
  s.dp = s.p + QB * s.ld;
  return s;
}

/* Row i of scores becomes probabilities over keys 0..i, zero up to n. stats = {max, 1/sum}: made (make) or used. */
INLINE void softmax_row(float *r, idx i, idx n, float scale, float *stats, int make) {
  idx last = i / LANES * LANES; /* the vector that holds column i */
  i16 keep = IOTA <= alli((int)(i - last));
  if (make) {
    v16 m = all(-3.0e38f);
    for (idx j = 0; j < last; j += LANES) m = max16(m, LOAD(r + j));
    stats[0] = top16(max16(m, choose(keep, LOAD(r + last), all(-3.0e38f))));
  }
  v16 m = all(stats[0]), s = all(scale), sum = all(0.f);
  for (idx j = 0; j < last; j += LANES) {
    v16 e = exp16((LOAD(r + j) - m) * s);
    STORE(r + j, e);
    sum = sum + e;
  }
  v16 e = choose(keep, exp16((LOAD(r + last) - m) * s), all(0.f));
  STORE(r + last, e);
  sum = sum + e;
  if (make) stats[1] = 1.f / sum16(sum);
  v16 inv = all(stats[1]);
  for (idx j = 0; j <= last; j += LANES) STORE(r + j, LOAD(r + j) * inv);
  for (idx j = last + LANES; j < n; j++) r[j] = 0.f;
}

static void attention(const Ctx *c, const float *qkv, float *o, float *stats) {
  AttnScratch s = attn_scratch(c);
  idx hd = c->hd, T = c->T, group = c->Hq / c->Hk;
  float scale = 1.f / __builtin_sqrtf((float)hd);
  EACH(0, job, c->B * c->Hq) {
    idx b = job / c->Hq, head = job % c->Hq;
    const float *q = qkv + b * T * c->QKV + head * hd, *k = qkv + b * T * c->QKV + c->Q + head / group * hd, *v = k + c->KV;
    pack_whole(hd, T, (Mat){k, 1, c->QKV}, s.kt);
    pack_whole(T, hd, (Mat){v, c->QKV, 1}, s.kn);
    for (idx i0 = 0; i0 < T; i0 += QB) {
      idx m = T - i0 < QB ? T - i0 : QB, n = i0 + m;
      mul_local(m, n, hd, (Mat){q + i0 * c->QKV, c->QKV, 1}, s.kt, hd * NR, 0, s.p, s.ld, s.pack);
      for (idx i = 0; i < m; i++) softmax_row(s.p + i * s.ld, i0 + i, n, scale, stats + 2 * ((b * T + i0 + i) * c->Hq + head), 1);
      mul_local(m, hd, n, (Mat){s.p, s.ld, 1}, s.kn, T * NR, 0, o + (b * T + i0) * c->Q + head * hd, c->Q, s.pack);
    }
  }
}

/* One block of query rows: P again, dP = dO·Vᵀ, dS = P∘(dP - Σ dO∘O)·scale, then dV += Pᵀ·dO, dQ = dS·K, dK += dSᵀ·Q. */
static void attention_back_block(const Ctx *c, AttnScratch s, idx row, idx i0, idx head, const float *qkv, const float *o, const float *dout, float *stats, float *dqkv) {
  idx hd = c->hd, T = c->T, W = c->QKV, m = T - i0 < QB ? T - i0 : QB, n = i0 + m, kv = c->Q + head / (c->Hq / c->Hk) * hd;
  float scale = 1.f / __builtin_sqrtf((float)hd);
  const float *q = qkv + (row + i0) * W + head * hd, *g = dout + (row + i0) * c->Q + head * hd, *out = o + (row + i0) * c->Q + head * hd;
  mul_local(m, n, hd, (Mat){q, W, 1}, s.kt, hd * NR, 0, s.p, s.ld, s.pack);
  mul_local(m, n, hd, (Mat){g, c->Q, 1}, s.vt, hd * NR, 0, s.dp, s.ld, s.pack);
  for (idx i = 0; i < m; i++) {
    float *p = s.p + i * s.ld, *dp = s.dp + i * s.ld;
    softmax_row(p, i0 + i, n, scale, stats + 2 * ((row + i0 + i) * c->Hq + head), 0);
    float mean = dot3(g + i * c->Q, out + i * c->Q, 0, hd);
    for (idx j = 0; j < n; j++) dp[j] = j <= i0 + i ? p[j] * (dp[j] - mean) * scale : 0.f;
  }
  pack_whole(m, hd, (Mat){g, c->Q, 1}, s.on);
  pack_whole(m, hd, (Mat){q, W, 1}, s.qn);
  mul_local(n, hd, m, (Mat){s.p, 1, s.ld}, s.on, m * NR, 1, dqkv + row * W + kv + c->KV, W, s.pack);
  mul_local(m, hd, n, (Mat){s.dp, s.ld, 1}, s.kn, T * NR, 0, dqkv + (row + i0) * W + head * hd, W, s.pack);
  mul_local(n, hd, m, (Mat){s.dp, 1, s.ld}, s.qn, m * NR, 1, dqkv + row * W + kv, W, s.pack);
}
static void attention_back(const Ctx *c, const float *qkv, const float *o, const float *dout, float *stats, float *dqkv) {
  AttnScratch s = attn_scratch(c);
  idx hd = c->hd, T = c->T, group = c->Hq / c->Hk;
  EACH(0, job, c->B * c->Hk) {
    idx b = job / c->Hk, head = job % c->Hk;
    const float *k = qkv + b * T * c->QKV + c->Q + head * hd, *v = k + c->KV;
    float *dk = dqkv + b * T * c->QKV + c->Q + head * hd, *dv = dk + c->KV;
    pack_whole(hd, T, (Mat){k, 1, c->QKV}, s.kt);
    pack_whole(hd, T, (Mat){v, 1, c->QKV}, s.vt);
    pack_whole(T, hd, (Mat){k, c->QKV, 1}, s.kn);
    for (idx t = 0; t < T; t++) for (idx i = 0; i < hd; i++) dk[t * c->QKV + i] = dv[t * c->QKV + i] = 0.f;
    for (idx g = 0; g < group; g++)
      for (idx i0 = 0; i0 < T; i0 += QB) attention_back_block(c, s, b * T, i0, head * group + g, qkv, o, dout, stats, dqkv);
  }
}

/* ---- SwiGLU: s = silu(g)·u ---- */

INLINE void swiglu_row(const float *gu, float *s, idx F) {
  for (idx i = 0; i < F; i += LANES) {
    idx n = F - i;
    v16 g = n < LANES ? load_part(gu + i, n, 0.f) : LOAD(gu + i), u = n < LANES ? load_part(gu + F + i, n, 0.f) : LOAD(gu + F + i);
    v16 y = g / (all(1.f) + exp16(-g)) * u;
    if (n < LANES) store_part(s + i, y, n); else STORE(s + i, y);
  }
}
static void swiglu(const Ctx *c, int ticket, const float *gu, float *s) {
  PIECES(ticket, c->R, PIECE)
    for (idx t = lo; t < hi; t++) swiglu_row(gu + t * 2 * c->F, s + t * c->F, c->F);
}
/* Overwrites gate and up by their gradients: dg = ds·u·σ(g)(1 + g(1-σ(g))), du = ds·g·σ(g). */
static void swiglu_back(const Ctx *c, float *gu, const float *ds) {
  idx F = c->F;
  PIECES(0, c->R, PIECE)
    for (idx t = lo; t < hi; t++)
      for (idx i = 0; i < F; i += LANES) {
        idx n = F - i;
        float *gp = gu + t * 2 * F + i, *up = gp + F;
        const float *dp = ds + t * F + i;
        v16 g, u, e;
        if (n < LANES) { g = load_part(gp, n, 0.f); u = load_part(up, n, 0.f); e = load_part(dp, n, 0.f); }
        else { g = LOAD(gp); u = LOAD(up); e = LOAD(dp); }
        v16 sig = all(1.f) / (all(1.f) + exp16(-g)), du = e * g * sig, dg = e * u * sig * (all(1.f) + g * (all(1.f) - sig));
        if (n < LANES) { store_part(gp, dg, n); store_part(up, du, n); } else { STORE(gp, dg); STORE(up, du); }
      }
}

/* ---- cross-entropy: row losses in nats; logits become their own gradient times scale ---- */

static double cross_entropy_row(float *r, idx V, idx target, float scale, int want_grad) {
  v16 m = all(-3.0e38f), sum = all(0.f);
  idx whole = V / LANES * LANES;
  for (idx j = 0; j < whole; j += LANES) m = max16(m, LOAD(r + j));
  if (whole < V) m = max16(m, load_part(r + whole, V - whole, -3.0e38f));
  float top = top16(m), hit = r[target];
  for (idx j = 0; j < whole; j += LANES) {
    v16 e = exp16(LOAD(r + j) - all(top));
    STORE(r + j, e);
    sum = sum + e;
  }
  if (whole < V) {
    v16 e = choose(IOTA < alli((int)(V - whole)), exp16(load_part(r + whole, V - whole, top) - all(top)), all(0.f));
    store_part(r + whole, e, V - whole);
    sum = sum + e;
  }
  float total = sum16(sum);
  if (want_grad) {
    float k = scale / total;
    for (idx j = 0; j < V; j++) r[j] = r[j] * k;
    r[target] = r[target] - scale;
  }
  return total > 0.f && total < 3.0e38f ? ln((double)total) + (double)top - (double)hit : (double)(total * 0.f + hit * 0.f) / 0.0;
}

/* Final norm, logits a chunk of rows at a time, losses; with gradients also dhead, dnorm and dx. */
static void head_and_loss(const Ctx *c, int want_grads) {
  idx d = c->d, V = c->V, chunk = (idx)c->h[H_CHUNK_ROWS], head = head_at(c);
  const int *targets = region(c, R_TARGETS);
  float *x = layered(c, R_X, R_X_STRIDE, c->L), *inv = region(c, R_INV_FINAL), *y = region(c, R_NORMED), *dy = region(c, R_DNORMED), *logits = region(c, R_LOGITS);
  double *loss = region(c, R_ROW_LOSS);
  rms(c, x, c->params + norm_at(c), inv, y);
  SYNC();
  for (idx t = 0; t < c->R; t += chunk) {
    idx rows = c->R - t < chunk ? c->R - t : chunk;
    linear(c, rows, V, d, y + t * d, c->params + head, 0, logits);
    PIECES(0, rows, 2)
      for (idx i = lo; i < hi; i++) loss[t + i] = cross_entropy_row(logits + i * V, V, targets[t + i], (float)c->h[H_SCALE], want_grads);
    SYNC();
    if (want_grads) {
      linear_dw(c, rows, V, d, logits, y + t * d, c->grads + head);
      linear_dx(c, rows, V, d, logits, c->params + head, dy + t * d);
    }
  }
  if (want_grads) {
    rms_back(c, x, c->params + norm_at(c), inv, dy, 0, region(c, R_DX), c->grads + norm_at(c));
    SYNC();
  }
}

/* ---- the decoder ---- */

static void embed(const Ctx *c) {
  const int *tokens = region(c, R_TOKENS);
  float *x = layered(c, R_X, R_X_STRIDE, 0);
  PIECES(0, c->R, PIECE)
    for (idx t = lo; t < hi; t++)
      for (idx i = 0; i < c->d; i++) x[t * c->d + i] = c->params[tokens[t] * c->d + i];
  SYNC();
}
/* Adds dx to the embedding's gradient, token by token; columns are dealt out, so the order stays. */
static void embed_back(const Ctx *c) {
  const int *tokens = region(c, R_TOKENS);
  const float *dx = region(c, R_DX);
  float *g = c->h[H_TIED] != 0 ? region(c, R_EMBED_GRADS) : c->grads;
  PIECES(0, c->d, STRIP)
    for (idx t = 0; t < c->R; t++)
      for (idx i = lo; i < hi; i++) g[tokens[t] * c->d + i] = g[tokens[t] * c->d + i] + dx[t * c->d + i];
  SYNC();
}

/* Layer l up to its gate and up projections; `finish` also computes the next layer's input. */
static void layer_forward(const Ctx *c, idx l, int finish) {
  Layer w = layer_at(c, l);
  const float *P = c->params;
  float *x = layered(c, R_X, R_X_STRIDE, l), *qkv = layered(c, R_QKV, R_QKV_STRIDE, l), *o = layered(c, R_O, R_O_STRIDE, l), *x2 = layered(c, R_X2, R_X2_STRIDE, l);
  float *gu = layered(c, R_GU, R_GU_STRIDE, l), *y = region(c, R_NORMED), *s = region(c, R_S);
  rms(c, x, P + w.norm1, layered(c, R_INV1, R_INV_STRIDE, l), y);
  SYNC();
  linear(c, c->R, c->QKV, c->d, y, P + w.wqkv, 0, qkv);
  rope(c, 0, qkv, 1.f);
  SYNC();
  attention(c, qkv, o, layered(c, R_STATS, R_STATS_STRIDE, l));
  SYNC();
  linear(c, c->R, c->d, c->Q, o, P + w.wo, x, x2);
  rms(c, x2, P + w.norm2, layered(c, R_INV2, R_INV_STRIDE, l), y);
  SYNC();
  linear(c, c->R, 2 * c->F, c->d, y, P + w.wgu, 0, gu);
  if (!finish) return;
  swiglu(c, 0, gu, s);
  SYNC();
  linear(c, c->R, c->d, c->F, s, P + w.wdown, x2, layered(c, R_X, R_X_STRIDE, l + 1));
}

/* From dx = gradient of layer l's output to dx = gradient of its input; adds the layer's gradients. */
static void layer_backward(const Ctx *c, idx l) {
  Layer w = layer_at(c, l);
  const float *P = c->params;
  float *G = c->grads, *dx = region(c, R_DX), *y = region(c, R_NORMED), *dy = region(c, R_DNORMED), *s = region(c, R_S), *ds = region(c, R_DS), *dout = region(c, R_DO), *dqkv = region(c, R_DQKV);
  float *x = layered(c, R_X, R_X_STRIDE, l), *qkv = layered(c, R_QKV, R_QKV_STRIDE, l), *o = layered(c, R_O, R_O_STRIDE, l), *x2 = layered(c, R_X2, R_X2_STRIDE, l);
  float *gu = layered(c, R_GU, R_GU_STRIDE, l), *inv1 = layered(c, R_INV1, R_INV_STRIDE, l), *inv2 = layered(c, R_INV2, R_INV_STRIDE, l);
  idx R = c->R, d = c->d, F = c->F;
  swiglu(c, 0, gu, s);
  rms_again(c, 1, x2, P + w.norm2, inv2, y);
  SYNC();
  linear_dw(c, R, d, F, dx, s, G + w.wdown);
  linear_dx(c, R, d, F, dx, P + w.wdown, ds);
  swiglu_back(c, gu, ds); /* gu is its gradient from here on */
  SYNC();
  linear_dw(c, R, 2 * F, d, gu, y, G + w.wgu);
  linear_dx(c, R, 2 * F, d, gu, P + w.wgu, dy);
  rms_back(c, x2, P + w.norm2, inv2, dy, 1, dx, G + w.norm2);
  SYNC();
  linear_dw(c, R, d, c->Q, dx, o, G + w.wo);
  linear_dx(c, R, d, c->Q, dx, P + w.wo, dout);
  attention_back(c, qkv, o, dout, layered(c, R_STATS, R_STATS_STRIDE, l), dqkv);
  SYNC();
  rope(c, 0, dqkv, -1.f);
  rms_again(c, 1, x, P + w.norm1, inv1, y);
  SYNC();
  linear_dw(c, R, c->QKV, d, dqkv, y, G + w.wqkv);
  linear_dx(c, R, c->QKV, d, dqkv, P + w.wqkv, dy);
  rms_back(c, x, P + w.norm1, inv1, dy, 1, dx, G + w.norm1);
  SYNC();
}

/* Forward, and backward if wanted, over the B x T tokens in place; row losses always. */
static void micro_batch(const Ctx *c) {
  int want_grads = c->h[H_WANT_GRADS] != 0, recompute = c->h[H_RECOMPUTE] != 0;
  embed(c);
  for (idx l = 0; l < c->L; l++) layer_forward(c, l, 1);
  head_and_loss(c, want_grads);
  if (!want_grads) return;
  for (idx l = c->L - 1; l >= 0; l--) {
    if (recompute) layer_forward(c, l, 0);
    layer_backward(c, l);
  }
  embed_back(c);
}

/* Logits of the last position of one sequence. */
static void last_logits(const Ctx *c) {
  embed(c);
  for (idx l = 0; l < c->L; l++) layer_forward(c, l, 1);
  float *y = region(c, R_NORMED);
  rms(c, layered(c, R_X, R_X_STRIDE, c->L), c->params + norm_at(c), region(c, R_INV_FINAL), y);
  SYNC();
  linear(c, 1, c->V, c->d, y + (c->R - 1) * c->d, c->params + head_at(c), 0, region(c, R_LOGITS));
}

/* ---- optimizer; segments are runs of at most 65,536 params of one tensor: {offset, length, decayed} ---- */

static void zero_grads(const Ctx *c, idx segments, const double *seg) {
  EACH(0, s, segments)
    for (idx i = 0, at = (idx)seg[3 * s], n = (idx)seg[3 * s + 1]; i < n; i++) c->grads[at + i] = 0.f;
  if (c->h[H_TIED] != 0) {
    float *e = region(c, R_EMBED_GRADS);
    PIECES(1, c->V, STRIP)
      for (idx i = lo * c->d; i < hi * c->d; i++) e[i] = 0.f;
  }
}
/* Tied embedding: the gradient as a head plus the gradient as an embedding. */
static void merge_tied(const Ctx *c) {
  const float *e = region(c, R_EMBED_GRADS);
  PIECES(0, c->V, STRIP)
    for (idx i = lo * c->d; i < hi * c->d; i++) c->grads[i] = c->grads[i] + e[i];
}
/* Sum of squared gradients: 1,024 at a time in 16 lanes, then float64, segment by segment in order. */
static void squares(const Ctx *c, idx segments, const double *seg) {
  double *partial = region(c, R_PARTIAL);
  EACH(0, s, segments) {
    const float *g = c->grads + (idx)seg[3 * s];
    double sum = 0.0;
    for (idx i = 0, n = (idx)seg[3 * s + 1]; i < n; i += 1024) sum = sum + (double)dot3(g + i, g + i, 0, n - i < 1024 ? n - i : 1024);
    partial[s] = sum;
  }
  SYNC();
  if (c->tid == 0) {
    double sum = 0.0;
    for (idx i = 0; i < segments; i++) sum = sum + partial[i];
    ((double *)c->h)[H_SQUARES] = sum;
  }
}
/* m = β1·m + (1-β1)·g;  v = β2·v + (1-β2)·g²;  p = p - lr·(m·c1 / (sqrt(v·c2) + ε) + decay·p), c = 1/(1-β^step). */
static void adamw(const Ctx *c, idx segments, const double *seg) {
  const double *h = c->h;
  float b1 = (float)h[H_BETA1], b2 = (float)h[H_BETA2];
  v16 B1 = all(b1), B2 = all(b2), A1 = all(1.f - b1), A2 = all(1.f - b2), E = all((float)h[H_ADAM_EPS]), LR = all((float)h[H_LR]);
  v16 C1 = all((float)h[H_CORRECT1]), C2 = all((float)h[H_CORRECT2]), CLIP = all((float)h[H_CLIP]);
  float *M = region(c, R_M), *S = region(c, R_V);
  EACH(0, s, segments) {
    idx end = (idx)(seg[3 * s] + seg[3 * s + 1]);
    v16 D = all(seg[3 * s + 2] != 0 ? (float)h[H_DECAY] : 0.f);
    for (idx i = (idx)seg[3 * s]; i < end; i += LANES) {
      idx n = end - i;
      int part = n < LANES;
      v16 g = (part ? load_part(c->grads + i, n, 0.f) : LOAD(c->grads + i)) * CLIP, p = part ? load_part(c->params + i, n, 0.f) : LOAD(c->params + i);
      v16 m = (part ? load_part(M + i, n, 0.f) : LOAD(M + i)) * B1 + g * A1, v = (part ? load_part(S + i, n, 0.f) : LOAD(S + i)) * B2 + g * g * A2;
      p = p - (m * C1 / (sqrt16(v * C2) + E) + p * D) * LR;
      if (part) { store_part(M + i, m, n); store_part(S + i, v, n); store_part(c->params + i, p, n); }
      else { STORE(M + i, m); STORE(S + i, v); STORE(c->params + i, p); }
    }
  }
}

/* ---- entry points ---- */

static void run(char *base, int op, int tid) {
  const double *h = (const double *)base;
  Ctx ctx = {.base = base, .h = h, .tid = tid, .threads = (int)h[H_THREADS]}, *c = &ctx;
  c->team = team_of(base);
  c->V = (idx)h[H_VOCAB]; c->d = (idx)h[H_DIM]; c->L = (idx)h[H_LAYERS]; c->F = (idx)h[H_FFN];
  c->Hq = (idx)h[H_HEADS]; c->Hk = (idx)h[H_KV_HEADS]; c->hd = (idx)h[H_HEAD_DIM];
  c->Q = c->Hq * c->hd; c->KV = c->Hk * c->hd; c->QKV = c->Q + 2 * c->KV;
  c->B = (idx)h[H_ROWS]; c->T = (idx)h[H_LENGTH]; c->R = c->B * c->T;
  c->eps = (float)h[H_NORM_EPS];
  c->params = region(c, R_PARAMS); c->grads = region(c, R_GRADS);
  c->scratch = layered(c, R_SCRATCH, R_SCRATCH_STRIDE, tid);
  idx segments = (idx)h[H_SEGMENTS];
  const double *seg = region(c, R_SEGMENTS);
  switch (op) {
    case OP_ZERO: zero_grads(c, segments, seg); break;
    case OP_MICRO: micro_batch(c); break;
    case OP_MERGE: merge_tied(c); break;
    case OP_SQUARES: squares(c, segments, seg); break;
    case OP_ADAMW: adamw(c, segments, seg); break;
    case OP_LOGITS: last_logits(c); break;
    default: break;
  }
  SYNC();
}

#if defined(__wasm__)
#define EXPORT(name) __attribute__((export_name(name)))
#else
#define EXPORT(name) __attribute__((visibility("default")))
#endif

/* Tile sizes, so that the planner knows the scratch they take: MR, NR, MC, KC, NC, QB, ABI. */
EXPORT("skein_constant") int skein_constant(int which) {
  static const int values[] = {MR, NR, MC, KC, NC, QB, ABI};
  return which >= 0 && which < 7 ? values[which] : 0;
}
/* Thread 0: carries `op` out together with the workers. */
EXPORT("skein_exec") void skein_exec(char *base, int op) {
  Team *team = team_of(base);
  team->op = op;
  if (((const double *)base)[H_THREADS] > 1) announce(team, &team->generation);
  if (op) run(base, op, 0);
}
/* Threads 1 to n-1: serve until op 0. `seen` is the generation at which the team was made (0). */
EXPORT("skein_serve") void skein_serve(char *base, int tid) {
  Team *team = team_of(base);
  for (int seen = 0;; seen++) {
    wait_change(team, &team->generation, seen);
    if (team->op == 0) return;
    run(base, team->op, tid);
  }
}
