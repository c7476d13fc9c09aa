/* Clearing and merging gradients, their norm, AdamW (part of exact.c).
 * Segments are runs of at most 65,536 params of one tensor: {offset, length, decayed}, made by plan.ts. */

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
