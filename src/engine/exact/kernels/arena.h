/* The arena as plan.ts lays it out: header slots, regions, where each layer's params lie, and how a stage's work is dealt out. */
#ifndef SKEIN_ARENA_H
#define SKEIN_ARENA_H
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

#endif
