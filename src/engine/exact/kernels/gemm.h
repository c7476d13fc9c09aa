/* C = [C0 +] A·B in float32 for any strides, so that x·Wᵀ, dy·W and dyᵀ·x are one routine.
 *
 * Exactness: each element of C is the sum over k in ascending order held in a single accumulator, however the matrices are
 * tiled; splitting k stores the running sum as float32 and loads it back, which changes nothing. So tile sizes, vector
 * width, thread count and micro-batch are free choices. Multiplication and addition are rounded apart (no FMA).
 *
 * Blocking after Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): B is packed into panels KC x NC of
 * slivers NR wide, shared by the team; A is read in place where its rows are contiguous, otherwise packed a block at a time.
 * Measured on one 3.6 GHz Zen 4 core: 256-bit tiles of 12x16 reach 115 GFLOP/s, 98 % of that core's peak, 512-bit ones
 * 81 to 97. Zen 5 and Intel differ, so the build tries several (VL, MR, NV) and keeps the fastest.
 */
#ifndef SKEIN_GEMM_H
#define SKEIN_GEMM_H
#include "simd.h"
#include "team.h"

#ifndef VL /* floats in a vector register */
#define VL 4
#endif
#ifndef MR /* rows in a tile */
#define MR 4
#endif
#ifndef NV /* vector registers across a tile */
#define NV 2
#endif
#define NR (NV * VL)
#define KC 256
#define NC (512 / NR * NR)
#define MC (MR * (96 / MR))

typedef float vf __attribute__((vector_size(4 * VL)));
typedef float vfu __attribute__((vector_size(4 * VL), aligned(4)));
#if VL == 16
#define SPLAT(x) ((vf){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x})
#elif VL == 8
#define SPLAT(x) ((vf){x, x, x, x, x, x, x, x})
#else
#define SPLAT(x) ((vf){x, x, x, x})
#endif
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define NO_UNROLL
#endif

/* One tile: c[MR][NR] = from[MR][NR] (or 0) + a[MR][kc] * b[kc][NR]; element (i, k) of a stands at i*ars + k*acs. */
INLINE void tile(idx kc, const float *a, idx ars, idx acs, const float *b, const float *from, float *c, idx ldc) {
  vf acc[MR][NV];
  UNROLL for (int i = 0; i < MR; i++)
    UNROLL for (int j = 0; j < NV; j++) acc[i][j] = from ? *(const vfu *)(from + i * ldc + j * VL) : (vf){0};
  NO_UNROLL for (idx k = 0; k < kc; k++) {
    vf bv[NV];
    UNROLL for (int j = 0; j < NV; j++) bv[j] = *(const vfu *)(b + j * VL);
    UNROLL for (int i = 0; i < MR; i++) {
      float x = a[i * ars];
      vf av = SPLAT(x);
      UNROLL for (int j = 0; j < NV; j++) acc[i][j] = acc[i][j] + av * bv[j];
    }
    a += acs;
    b += NR;
  }
  UNROLL for (int i = 0; i < MR; i++)
    UNROLL for (int j = 0; j < NV; j++) *(vfu *)(c + i * ldc + j * VL) = acc[i][j];
}
#define NOINLINE static __attribute__((noinline)) void
NOINLINE tile_packed_new(idx kc, const float *a, const float *b, float *c, idx ldc) { tile(kc, a, 1, MR, b, 0, c, ldc); }
NOINLINE tile_packed_add(idx kc, const float *a, const float *b, const float *from, float *c, idx ldc) { tile(kc, a, 1, MR, b, from, c, ldc); }
NOINLINE tile_direct_new(idx kc, const float *a, idx lda, const float *b, float *c, idx ldc) { tile(kc, a, lda, 1, b, 0, c, ldc); }
NOINLINE tile_direct_add(idx kc, const float *a, idx lda, const float *b, const float *from, float *c, idx ldc) { tile(kc, a, lda, 1, b, from, c, ldc); }

/* Four floats, and a shuffle of two of them, in both compilers' words. */
typedef float v4 __attribute__((vector_size(16)));
typedef float v4u __attribute__((vector_size(16), aligned(4)));
#if defined(__clang__)
#define MIX(a, b, w, x, y, z) __builtin_shufflevector(a, b, w, x, y, z)
#else
typedef int i4 __attribute__((vector_size(16)));
#define MIX(a, b, w, x, y, z) __builtin_shuffle(a, b, (i4){w, x, y, z})
#endif

/* out[y*stride + x] = in[x*lead + y] for x, y < 4. */
INLINE void turn4(const float *in, idx lead, float *out, idx stride) {
  v4 a = *(const v4u *)in, b = *(const v4u *)(in + lead), c = *(const v4u *)(in + 2 * lead), d = *(const v4u *)(in + 3 * lead);
  v4 ab = MIX(a, b, 0, 4, 1, 5), cd = MIX(c, d, 0, 4, 1, 5), ab2 = MIX(a, b, 2, 6, 3, 7), cd2 = MIX(c, d, 2, 6, 3, 7);
  *(v4u *)out = MIX(ab, cd, 0, 1, 4, 5);
  *(v4u *)(out + stride) = MIX(ab, cd, 2, 3, 6, 7);
  *(v4u *)(out + 2 * stride) = MIX(ab2, cd2, 0, 1, 4, 5);
  *(v4u *)(out + 3 * stride) = MIX(ab2, cd2, 2, 3, 6, 7);
}

/* Packs columns [0, n) of B, n <= NR, into one sliver [kc][NR], zero-filled to NR. */
static void pack_sliver(idx kc, idx n, const float *b, idx brs, idx bcs, float *out) {
  if (n == NR && bcs == 1) {
    for (idx k = 0; k < kc; k++, b += brs, out += NR)
      UNROLL for (int j = 0; j < NV; j++) *(vfu *)(out + j * VL) = *(const vfu *)(b + j * VL);
    return;
  }
  idx done = 0; /* rows packed by turning 4 x 4 blocks, where columns are contiguous */
  if (n == NR && brs == 1)
    for (; done + 4 <= kc; done += 4)
      for (idx j = 0; j < NR; j += 4) turn4(b + done + j * bcs, bcs, out + done * NR + j, NR);
  for (idx k = done; k < kc; k++)
    for (idx j = 0; j < NR; j++) out[k * NR + j] = j < n ? b[k * brs + j * bcs] : 0.f;
}

/* Packs rows [0, m) of A into tiles [m/MR][kc][MR], zero-filled to MR. */
static void pack_rows(idx m, idx kc, const float *a, idx ars, idx acs, float *out) {
  if (ars == 1) { /* columns of A are contiguous: 8 of them at a time across all tiles, so that each cache line is read once */
    idx whole = m / MR * MR;
    for (idx k0 = 0; k0 < kc; k0 += 8)
      for (idx i = 0; i < whole; i += MR)
        for (idx k = k0; k < kc && k < k0 + 8; k++) __builtin_memcpy(out + i * kc + k * MR, a + k * acs + i, sizeof(float) * MR);
    m -= whole;
    a += whole;
    out += whole * kc;
  }
  for (idx i0 = 0; i0 < m; i0 += MR, out += kc * MR) {
    idx rows = m - i0 < MR ? m - i0 : MR, done = 0;
    if (rows == MR && acs == 1 && MR % 4 == 0)
      for (; done + 4 <= kc; done += 4)
        for (idx i = 0; i < MR; i += 4) turn4(a + (i0 + i) * ars + done, ars, out + done * MR + i, MR);
    for (idx i = 0; i < MR; i++)
      for (idx k = done; k < kc; k++) out[k * MR + i] = i < rows ? a[(i0 + i) * ars + k * acs] : 0.f;
  }
}

/* An A operand: element (i, k) at p[i*rs + k*cs]. */
typedef struct { const float *p; idx rs, cs; } Mat;

/* C[m][n] = (from or 0) + A[m][kc]·B for m <= MC, kc <= KC; B packed in slivers `stride` floats apart; pack: MC*KC floats of scratch. */
static void mul_block(idx m, idx n, idx kc, Mat A, const float *B, idx stride, const float *from, float *C, idx ldc, float *pack) {
  float edge[MR * NR] __attribute__((aligned(64)));
  int direct = A.cs == 1 && A.rs % 1024 != 0; /* rows a multiple of 4 KiB apart would collide in the L1 cache */
  idx whole = direct ? m / MR * MR : 0;       /* rows read in place; the rest is packed */
  if (whole < m) pack_rows(m - whole, kc, A.p + whole * A.rs, A.rs, A.cs, pack);
  for (idx j = 0; j < n; j += NR) {
    const float *b = B + j / NR * stride;
    for (idx i = 0; i < m; i += MR) {
      float *c = C + i * ldc + j;
      const float *f = from ? from + i * ldc + j : 0;
      idx ld = ldc, rows = m - i < MR ? m - i : MR, cols = n - j < NR ? n - j : NR;
      int partial = rows < MR || cols < NR;
      if (partial) {
        if (f) for (idx y = 0; y < MR; y++) for (idx x = 0; x < NR; x++) edge[y * NR + x] = y < rows && x < cols ? f[y * ldc + x] : 0.f;
        if (f) f = edge;
        ld = NR;
      }
      float *out = partial ? edge : c;
      const float *next = i + MR < m ? c + MR * ldc : C + j + NR; /* fetched while this tile is computed */
      for (int y = 0; y < MR; y++) __builtin_prefetch(next + y * ldc, 1);
      if (i < whole) {
        if (f) tile_direct_add(kc, A.p + i * A.rs, A.rs, b, f, out, ld); else tile_direct_new(kc, A.p + i * A.rs, A.rs, b, out, ld);
      } else {
        const float *a = pack + (i - whole) * kc;
        if (f) tile_packed_add(kc, a, b, f, out, ld); else tile_packed_new(kc, a, b, out, ld);
      }
      if (partial) for (idx y = 0; y < rows; y++) for (idx x = 0; x < cols; x++) c[y * ldc + x] = edge[y * NR + x];
    }
  }
}

/* One thread's C = (C or 0) + A·B with B already packed whole: slivers [K][NR], `stride` floats apart. For attention. */
static void mul_local(idx M, idx N, idx K, Mat A, const float *B, idx stride, int add, float *C, idx ldc, float *pack) {
  for (idx k = 0; k < K; k += KC)
    for (idx i = 0; i < M; i += MC) {
      Mat a = {A.p + i * A.rs + k * A.cs, A.rs, A.cs};
      mul_block(M - i < MC ? M - i : MC, N, K - k < KC ? K - k : KC, a, B + k * NR, stride, add || k ? C + i * ldc : 0, C + i * ldc, ldc, pack);
    }
}

/* Packs B[K][N] whole for mul_local. */
static void pack_whole(idx K, idx N, Mat B, float *out) {
  for (idx j = 0; j < N; j += NR) pack_sliver(K, N - j < NR ? N - j : NR, B.p + j * B.cs, B.rs, B.cs, out + j / NR * (K * NR));
}

#endif
