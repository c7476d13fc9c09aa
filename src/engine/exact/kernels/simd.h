/* Sixteen virtual lanes of float32, the same on every machine.
 *
 * Elementwise work may be vectorised in any width without changing a bit. A reduction may not: its result depends on how the
 * terms are grouped. So every reduction here runs in exactly 16 lanes and folds them in one fixed tree (8, 4, 2, 1), whatever
 * the register width is: 4 WASM v128, 2 AVX or 1 AVX-512 register compute the same bits.
 *
 * Only + - * / sqrt and comparisons are used, each correctly rounded by IEEE-754; compile with -ffp-contract=off.
 */
#ifndef SKEIN_SIMD_H
#define SKEIN_SIMD_H

typedef long idx; /* index of an element: 64 bits natively, 32 bits in WASM */
typedef float v16 __attribute__((vector_size(64)));
typedef float v16u __attribute__((vector_size(64), aligned(4)));
typedef int i16 __attribute__((vector_size(64)));

#define INLINE static inline __attribute__((always_inline))
#define LANES 16
#define LOAD(p) (*(const v16u *)(p))
#define STORE(p, x) (*(v16u *)(p) = (x))

static const i16 IOTA = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

INLINE v16 all(float x) { return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE i16 alli(int x) { return (i16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

/* The first n (< 16) elements at p, the other lanes `fill`. Reads nothing beyond them. */
INLINE v16 load_part(const float *p, idx n, float fill) {
  float t[LANES];
  for (idx i = 0; i < LANES; i++) t[i] = i < n ? p[i] : fill;
  return LOAD(t);
}
INLINE void store_part(float *p, v16 x, idx n) {
  float t[LANES];
  STORE(t, x);
  for (idx i = 0; i < n; i++) p[i] = t[i];
}

INLINE v16 choose(i16 mask, v16 yes, v16 no) { return (v16)((mask & (i16)yes) | (~mask & (i16)no)); }
INLINE v16 max16(v16 a, v16 b) { return choose(a > b, a, b); }
INLINE v16 min16(v16 a, v16 b) { return choose(a < b, a, b); }

/* Lane sum by the fixed tree. */
INLINE float sum16(v16 a) {
  float t[LANES];
  STORE(t, a);
  for (int half = LANES / 2; half; half >>= 1)
    for (int i = 0; i < half; i++) t[i] = t[i] + t[i + half];
  return t[0];
}
INLINE float top16(v16 a) {
  float t[LANES];
  STORE(t, a);
  float best = t[0];
  for (int i = 1; i < LANES; i++) best = t[i] > best ? t[i] : best;
  return best;
}

INLINE v16 sqrt16(v16 a) {
  float t[LANES];
  STORE(t, a);
#if defined(__wasm_simd128__)
  typedef float v4 __attribute__((vector_size(16), aligned(4)));
  for (int i = 0; i < LANES; i += 4) *(v4 *)(t + i) = __builtin_wasm_sqrt_f32x4(*(v4 *)(t + i));
#else
  for (int i = 0; i < LANES; i++) t[i] = __builtin_sqrtf(t[i]);
#endif
  return LOAD(t);
}

/* e^x to about 1 ulp, x clamped to [-87, 88], NaN stays NaN: Cephes' expf scheme (range reduction by ln 2 in two parts, degree-5 polynomial). */
INLINE v16 exp16(v16 x) {
  x = min16(all(88.f), max16(all(-87.f), x)); /* operands in this order let NaN through */
  const v16 magic = all(12582912.f); /* 1.5 * 2^23: adding it rounds to an integer kept in the low mantissa bits */
  v16 shifted = x * all(1.44269504088896341f) + magic;
  i16 n = (i16)shifted - (i16)magic;
  v16 z = shifted - magic;
  v16 r = x - z * all(0.693359375f);
  r = r - z * all(-2.12194440e-4f);
  v16 p = all(1.9875691500e-4f);
  p = p * r + all(1.3981999507e-3f);
  p = p * r + all(8.3334519073e-3f);
  p = p * r + all(4.1665795894e-2f);
  p = p * r + all(1.6666665459e-1f);
  p = p * r + all(5.0000001201e-1f);
  p = p * r * r + r + all(1.f);
  return p * (v16)((n + alli(127)) << 23);
}

/* ln x for a positive normal double: exponent and mantissa apart, then 2 atanh((m-1)/(m+1)) to below 1e-15. */
static double ln(double x) {
  union { double d; unsigned long long u; } b = {x};
  int e = (int)((b.u >> 52) & 2047) - 1023;
  b.u = (b.u & 0xfffffffffffffULL) | 0x3ff0000000000000ULL;
  double m = b.d;
  if (m > 1.4142135623730951) { m = m * 0.5; e = e + 1; }
  double s = (m - 1.0) / (m + 1.0), s2 = s * s, sum = 0.0;
  for (int n = 21; n >= 1; n -= 2) sum = sum * s2 + 1.0 / (double)n;
  return (double)e * 0.6931471805599453 + 2.0 * s * sum;
}

#endif
