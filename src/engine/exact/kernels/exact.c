/* The exact engine: forward, backward and AdamW of a Llama-3 style decoder in strict float32.
 *
 * The same bits everywhere: on every instruction set, at any thread count, micro-batch size and with or without recomputation, because
 * every sum has one fixed order (simd.h, gemm.h) that depends on none of them. Sums over tokens (gradients) run token by token in
 * batch order and continue across micro-batches in the stored float32.
 *
 * All memory is laid out beforehand by plan.ts: the arena begins with a header of float64 slots (dimensions, arguments, byte offsets of
 * regions; arena.h mirrors plan.ts). Every thread of the team calls run() with its number; stages are separated by barriers.
 *
 * Mathematics: Vaswani et al. 2017 with pre-norm, RMSNorm (Zhang & Sennrich 2019), RoPE (Su et al. 2021, rotate-half form), GQA
 * (Ainslie et al. 2023), SwiGLU (Shazeer 2020); attention keeps 48 query rows at a time, never T x T, and its backward pass
 * recomputes the probabilities from row maxima and sums (Dao et al. 2022, without the online rescaling); AdamW as in
 * Loshchilov & Hutter 2019. reference/ holds the same kernels as plain TypeScript.
 */
#include "arena.h"

/* ---- matrix product by the whole team ---- */

static void gemm(const Ctx *c, idx M, idx N, idx K, Mat A, Mat B, const float *from, float *C, idx ldc) {
  float *panel = region(c, R_PANEL);
  idx tiles = (M + MR - 1) / MR, per = c->threads == 1 ? MC / MR : tiles / (8 * c->threads);
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

#include "attention.h"

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
  idx ld = V + LANES; /* rows a power of two apart would collide in the cache */
  rms(c, x, c->params + norm_at(c), inv, y);
  SYNC();
  for (idx t = 0; t < c->R; t += chunk) {
    idx rows = c->R - t < chunk ? c->R - t : chunk;
    gemm(c, rows, V, d, (Mat){y + t * d, d, 1}, (Mat){c->params + head, 1, d}, 0, logits, ld);
    PIECES(0, rows, 2)
      for (idx i = lo; i < hi; i++) loss[t + i] = cross_entropy_row(logits + i * ld, V, targets[t + i], (float)c->h[H_SCALE], want_grads);
    SYNC();
    if (want_grads) {
      gemm(c, V, d, rows, (Mat){logits, 1, ld}, (Mat){y + t * d, d, 1}, c->grads + head, c->grads + head, d);
      gemm(c, rows, d, V, (Mat){logits, ld, 1}, (Mat){c->params + head, d, 1}, 0, dy + t * d, d);
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

#include "optimizer.h"

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

/* Checked when an engine opens: the arena must be laid out as arena.h reads it. */
EXPORT("skein_abi") int skein_abi(void) { return ABI; }
/* plan.ts reserves by these bounds, whatever the tile. */
_Static_assert(NR <= 64 && MC * KC <= 96 * 256 && KC * NC <= 256 * 512 && QB <= 48, "the tile outgrows plan.ts");
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
