/* Error feedback and top-k over a window of a band of blocks; what src/codec/selection.ts drives. Same operations, order and ties as
 * docs/protocol/payload.md ("Writing") has them and topkReference of topk.ts keeps. Built without contraction: scripts/build-wasm.sh. */
#include <wasm_simd128.h>
typedef int i32;
typedef unsigned u32;
typedef unsigned long long u64;
#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline))
#define CHUNK_MAX 65536 /* values in a chunk: CHUNK_SIDE_MAX squared */
#define INFINITY_BITS 0x7f800000
#define OCTAVE (1 << 23) /* a factor of two in a magnitude's bits */
#define GAP (OCTAVE / 8)
#define DIGIT_BITS 7
#define DIGITS (1 << DIGIT_BITS)
#define FEW 12
#define LAST (1ull << 63)

static i32 keys[CHUNK_MAX], places[CHUNK_MAX], rest[CHUNK_MAX + 1];
static i32 guess; /* what reaches it is looked at; wrong guesses cost time only */

/* Four magnitudes as bits; where there is a Δ, a ← β·a + Δ in float32 first. */
INLINE v128_t magnitudes(float *a, const float *delta, v128_t beta) {
  v128_t value = wasm_v128_load(a);
  if (delta) {
    value = wasm_f32x4_add(wasm_f32x4_mul(beta, value), wasm_v128_load(delta));
    wasm_v128_store(a, value);
  }
  return wasm_f32x4_abs(value);
}

/* Which of sixteen magnitudes are above `least`, a bit for each. */
INLINE u64 hitsOf(float *a, const float *delta, v128_t decay, v128_t least) {
  v128_t k0 = magnitudes(a, delta, decay), k1 = magnitudes(a + 4, delta ? delta + 4 : 0, decay);
  v128_t k2 = magnitudes(a + 8, delta ? delta + 8 : 0, decay), k3 = magnitudes(a + 12, delta ? delta + 12 : 0, decay);
  v128_t low = wasm_i16x8_narrow_i32x4(wasm_i32x4_gt(k0, least), wasm_i32x4_gt(k1, least));
  v128_t high = wasm_i16x8_narrow_i32x4(wasm_i32x4_gt(k2, least), wasm_i32x4_gt(k3, least));
  return wasm_i8x16_bitmask(wasm_i8x16_narrow_i16x8(low, high));
}

/* The magnitudes of a block that are at least `floor`, as bits, and their places r · cols + c: how many. With `delta` the block is
 * a ← β·a + Δ before. */
INLINE i32 collectFrom(float *a, const float *delta, float beta, i32 stride, i32 cols, i32 height, i32 width, i32 floor) {
  i32 count = 0;
  v128_t decay = wasm_f32x4_splat(beta), least = wasm_i32x4_splat(floor - 1);
  for (i32 r = 0; r < height; r++) {
    i32 from = r * stride, end = from + width, i = from, skew = r * (cols - stride);
    for (i32 span; i + 16 <= end; i += span) {
      u64 hits = 0;
      span = i + 64 <= end ? 64 : 16;
      for (i32 s = 0; s < span; s += 16) hits |= hitsOf(a + i + s, delta ? delta + i + s : 0, decay, least) << s;
      /* Four are taken without asking, since no processor foresees how many there are; the lists have room for all sixteen or 64. */
      i32 after = count + __builtin_popcountll(hits);
      for (i32 few = 0; few < 4; few++, hits &= hits - 1) {
        i32 at = i + __builtin_ctzll(hits | LAST);
        keys[count + few] = ((const i32 *)a)[at] & 0x7fffffff;
        places[count + few] = at + skew;
      }
      for (count += 4; hits; hits &= hits - 1) {
        i32 at = i + __builtin_ctzll(hits);
        keys[count] = ((const i32 *)a)[at] & 0x7fffffff;
        places[count++] = at + skew;
      }
      count = after;
    }
    for (; i < end; i++) {
      if (delta) a[i] = beta * a[i] + delta[i];
      i32 key = ((const i32 *)a)[i] & 0x7fffffff;
      if (key >= floor) {
        keys[count] = key;
        places[count++] = i + skew;
      }
    }
  }
  return count;
}

static i32 accumulateAndCollect(float *a, const float *delta, float beta, i32 stride, i32 cols, i32 height, i32 width, i32 floor) {
  return collectFrom(a, delta, beta, stride, cols, height, width, floor);
}

static i32 collect(float *a, i32 stride, i32 cols, i32 height, i32 width, i32 floor) {
  return collectFrom(a, 0, 0, stride, cols, height, width, floor);
}

/* The rank-th largest (from 1) of the first `count` keys, all in [least, top]: the range is narrowed in DIGITS steps until few are left,
 * which are counted out. */
static i32 ranked(i32 count, i32 rank, i32 least, i32 top) {
  static i32 histogram[DIGITS];
  const i32 *from = keys;
  while (count > FEW && least < top) {
    i32 span = top - least, bits = 32 - __builtin_clz((u32)span), step = bits > DIGIT_BITS ? bits - DIGIT_BITS : 0;
    for (i32 d = 0; d < DIGITS; d++) histogram[d] = 0;
    for (i32 i = 0; i < count; i++) histogram[(from[i] - least) >> step]++;
    i32 digit = span >> step;
    for (; histogram[digit] < rank; digit--) rank -= histogram[digit];
    least += digit << step;
    i32 kept = 0;
    for (i32 i = 0; i < count; i++) {
      rest[kept] = from[i];
      kept += (from[i] - least) >> step == 0;
    }
    top = least + ((1 << step) - 1);
    count = kept;
    from = rest;
  }
  if (least == top) return least;
  for (i32 i = 0;; i++) {
    i32 above = 0, equal = 0;
    for (i32 j = 0; j < count; j++) above += from[j] > from[i], equal += from[j] == from[i];
    if (above < rank && rank <= above + equal) return from[i];
  }
}

/* The threshold of a block of which `n` magnitudes were collected: its rank-th largest; `*count` how many are collected now, `*above` how
 * many are larger. Negative where a value is NaN or infinite. */
static i32 thresholdOf(float *a, i32 stride, i32 cols, i32 height, i32 width, i32 rank, i32 n, i32 *count, i32 *above) {
  if (n < rank) n = collect(a, stride, cols, height, width, guess > 4 * GAP ? guess - 4 * GAP : 0);
  if (n < rank) n = collect(a, stride, cols, height, width, 0);
  i32 top = 0, least = 0x7fffffff;
  for (i32 i = 0; i < n; i++) {
    top = keys[i] > top ? keys[i] : top;
    least = keys[i] < least ? keys[i] : least;
  }
  if (top >= INFINITY_BITS) return -1;
  i32 threshold = ranked(n, rank, least, top);
  guess = threshold > GAP ? threshold - GAP : 0;
  *count = n;
  *above = 0;
  for (i32 i = 0; i < n; i++) *above += keys[i] > threshold;
  return threshold;
}

/* One window [height, width] of a band [height, cols], from column `col` on: `a` becomes β·a + Δ, and of each block its kept values are marked
 * in `marks`, a bit for each value of the band, zero before. 0 where a value is NaN or infinite. */
EXPORT(window) i32 window(float *a, const float *delta, i32 height, i32 width, float beta, i32 blockWidth, i32 k0, i32 n0, u32 *marks,
                          i32 cols, i32 col) {
  for (i32 first = 0; first < width; first += blockWidth) {
    i32 w = width - first < blockWidth ? width - first : blockWidth, count, above;
    i32 rank = (i32)(((u64)height * w * k0 + n0 - 1) / n0);
    i32 n = accumulateAndCollect(a + first, delta + first, beta, width, cols, height, w, guess);
    i32 threshold = thresholdOf(a + first, width, cols, height, w, rank, n, &count, &above);
    if (threshold < 0) return 0;
    i32 ties = rank - above, kept = 0;
    for (i32 i = 0; i < count; i++) {
      rest[kept] = places[i];
      i32 tie = keys[i] == threshold;
      kept += (keys[i] > threshold) | (tie & (ties > 0));
      ties -= tie;
    }
    for (i32 i = 0; i < rank; i++) {
      u32 bit = rest[i] + col + first;
      marks[bit >> 5] |= 1u << (bit & 31);
    }
  }
  return 1;
}

/* Writes `base` plus the number of each marked bit among `words` words to `out`, ascending, and clears the marks: how many. `out`
 * has room for all. */
EXPORT(emit) i32 emit(u32 *marks, i32 words, i32 base, i32 *out) {
  i32 count = 0;
  for (i32 i = 0; i < words; i += 2) {
    u64 left = i + 1 < words ? *(u64 *)(marks + i) : marks[i];
    i32 after = count + __builtin_popcountll(left);
    for (i32 few = 0; few < 2; few++, left &= left - 1) out[count + few] = base + 32 * i + __builtin_ctzll(left | LAST);
    for (count += 2; left; left &= left - 1) out[count++] = base + 32 * i + __builtin_ctzll(left);
    count = after;
    marks[i] = 0;
    if (i + 1 < words) marks[i + 1] = 0;
  }
  return count;
}

static double sums[2] __attribute__((aligned(16)));

EXPORT(sumsAt) double *sumsAt(void) { return sums; }

/* Adds the magnitudes of `values` up to the threshold to sums[0] and those above it to sums[1], in order; how many are above. */
EXPORT(split) i32 split(const float *values, i32 n, double threshold) {
  v128_t both = wasm_v128_load(sums), least = wasm_f64x2_splat(threshold), above = wasm_i64x2_splat(0);
  for (i32 i = 0; i < n; i += 2) {
    v128_t two = i + 1 < n ? wasm_v128_load64_zero(values + i) : wasm_v128_load32_zero(values + i);
    v128_t m = wasm_f64x2_promote_low_f32x4(wasm_f32x4_abs(two)), high = wasm_f64x2_gt(m, least);
    v128_t lows = wasm_v128_andnot(m, high), highs = wasm_v128_and(m, high);
    both = wasm_f64x2_add(both, wasm_i64x2_shuffle(lows, highs, 0, 2));
    both = wasm_f64x2_add(both, wasm_i64x2_shuffle(lows, highs, 1, 3));
    above = wasm_i64x2_sub(above, high);
  }
  wasm_v128_store(sums, both);
  return (i32)(wasm_i64x2_extract_lane(above, 0) + wasm_i64x2_extract_lane(above, 1));
}
