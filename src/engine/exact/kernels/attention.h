/* Causal grouped-query attention, forward and backward, a head's 48 query rows at a time (part of exact.c). */

/* One thread's scratch after the MC*KC floats that mul_block takes (sizes as in plan.ts). */
typedef struct { float *kt, *vt, *kn, *qn, *on, *p, *dp, *pack; idx ld; } AttnScratch;
static idx slivers(idx n) { return (n + NR - 1) / NR * NR; }
static AttnScratch attn_scratch(const Ctx *c) {
  AttnScratch s;
  s.pack = c->scratch;
  s.ld = (c->T + 15) / 16 * 16 + 16; /* one line more than a power of two: rows must not share cache sets */
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
