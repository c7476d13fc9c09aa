/* The outer step of the means over one tensor, or a block of one; what src/round/means.ts drives as WebAssembly and native.c as a
 * native library. Same operations, same order, as docs/protocol/apply.md and apply-reference.ts. Built without contraction of
 * multiply and add: scripts/build-wasm.sh, src/round/native/build.node.ts. */
typedef int i32;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;
#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name)))
#define LOOK_UP 1
#else
#define EXPORT(name) static
#define LOOK_UP 0
#endif
/* Elements summed at a time. Sums and senders of a window (20 KiB) and its params share a first cache of 32 KiB; with 4096 the
 * sweep alone takes twice as long. */
#ifdef __wasm__
#define WINDOW 8192 /* without prefetching (see below) longer runs matter more */
#else
#define WINDOW 2048
#endif
#define COUNT_MAX 1024 /* CONTRIBUTIONS_MAX of src/base/limits.ts */
#define LINE 16 /* params, indices or values in a cache line */

/* Negative unless indices ascend strictly from above `last`; signs gather what is wrong. */
EXPORT(ascending) i32 ascending(const u32 *indices, i32 count, i32 last) {
  u32 wrong = 0;
  if (count > 0) wrong = indices[0] | (indices[0] - (u32)last - 1);
  for (i32 j = 1; j < count; j++) wrong |= indices[j] | (indices[j] - indices[j - 1] - 1);
  return (i32)wrong;
}

/* Negative unless all values, given as bits, are finite: an exponent of all ones carries into the sign. */
EXPORT(all_finite) i32 all_finite(const u32 *bits, i32 count) {
  u32 wrong = 0;
  for (i32 j = 0; j < count; j++) wrong |= (bits[j] & 0x7f800000) + 0x00800000;
  return (i32)wrong;
}

static inline float moved(float param, double update) {
  float next = (float)((double)param - update);
  return next - next == 0 ? next : param;
}

#ifdef __wasm__
/* Four at a time. Native compilers make better vectors of the loops below than this; the one for WebAssembly narrows lane by lane. */
typedef float f32x4 __attribute__((vector_size(16), aligned(4)));
typedef double f64x2 __attribute__((vector_size(16), aligned(8)));
typedef i32 i32x4 __attribute__((vector_size(16)));

/* Two lanes and zeros, for which there is an instruction; clang takes the lanes apart unless it is kept from seeing what becomes of
 * them. */
static inline f32x4 narrowed(f64x2 wide) {
  f32x4 narrow = __builtin_convertvector(__builtin_shufflevector(wide, (f64x2){0, 0}, 0, 1, 2, 3), f32x4);
  __asm__("" : "+r"(narrow));
  return narrow;
}

static inline void move_four(float *params, double *sums, f64x2 low_step, f64x2 high_step) {
  f32x4 old = *(f32x4 *)params;
  f64x2 low = __builtin_convertvector(__builtin_shufflevector(old, old, 0, 1), f64x2) - low_step * *(f64x2 *)sums;
  f64x2 high = __builtin_convertvector(__builtin_shufflevector(old, old, 2, 3), f64x2) - high_step * *(f64x2 *)(sums + 2);
  f32x4 next = __builtin_shufflevector(narrowed(low), narrowed(high), 0, 1, 4, 5);
  i32x4 good = next - next == 0;
  *(f32x4 *)params = (f32x4)(((i32x4)next & good) | ((i32x4)old & ~good));
  *(f64x2 *)sums = *(f64x2 *)(sums + 2) = (f64x2){0, 0};
}
#endif

static void sweep_all(float *restrict params, double *restrict sums, i32 n, double step) {
  i32 i = 0;
#ifdef __wasm__
  for (; i + 4 <= n; i += 4) move_four(params + i, sums + i, (f64x2){step, step}, (f64x2){step, step});
#endif
  for (; i < n; i++) {
    params[i] = moved(params[i], step * sums[i]);
    sums[i] = 0;
  }
}

/* Where nobody sent the quotient is infinite, its product with a sum of 0 no number, and the param stays. In native vectors a division
 * each is faster than looking quotients up; with WebAssembly's two lanes it is the other way round. */
static void sweep_senders(float *restrict params, double *restrict sums, u16 *restrict senders, i32 n, double rate,
                          const double *steps) {
  i32 i = 0;
#ifdef __wasm__
  for (; i + 4 <= n; i += 4) {
    const u16 *m = senders + i;
    move_four(params + i, sums + i, (f64x2){steps[m[0]], steps[m[1]]}, (f64x2){steps[m[2]], steps[m[3]]});
    __builtin_memset(senders + i, 0, 8);
  }
#endif
  for (; i < n; i++) {
    params[i] = moved(params[i], (LOOK_UP ? steps[senders[i]] : rate / (double)senders[i]) * sums[i]);
    sums[i] = 0;
    senders[i] = 0;
  }
}

typedef struct {
  const i32 *indices;
  const void *values;  /* floats, or codes of one byte */
  const double *table; /* [1]: what a float is multiplied by; [4]: what the codes stand for */
  i32 count, cursor;
} Contribution;

/* Adds what lies below `end`, from the cursor on; `coded` and `senders` are known where this is inlined. */
static inline __attribute__((always_inline)) void add(Contribution *c, i32 base, i32 end, i32 coded, double *restrict sums,
                                                      u16 *restrict senders) {
  const i32 *at = c->indices;
  const float *value = c->values;
  const u8 *code = c->values;
  const double *table = c->table;
  double factor = table[0];
  i32 j = c->cursor, stop = c->count;
  for (; j < stop && at[j] < end; j++) {
    sums[at[j] - base] += coded ? table[code[j] & 3] : factor * (double)value[j];
    if (senders) senders[at[j] - base]++;
  }
  i32 taken = j - c->cursor, size = coded ? 1 : 4;
  for (i32 k = 0; k <= taken; k += LINE) {
    __builtin_prefetch(at + j + k + LINE);
    if (k * size % 64 == 0) __builtin_prefetch(code + (j + k) * size + 64);
  }
  c->cursor = j;
}

/* params [n]: elements first .. first + n of the tensor; no index lies before them. The step is `rate`, or where senders is given
 * `rate` by number of senders. Scratch: sums and senders [WINDOW], all zero before and after.
 *
 * There are two streams for each contribution, more than processors foresee, and a window takes little of each: without
 * prefetching the wait at each contribution's next piece takes as long as all else. (WebAssembly has no such instruction.) */
EXPORT(means) void means(float *params, i32 n, i32 first, Contribution *all, i32 count, i32 coded, double rate, double *sums,
                         u16 *senders) {
  double steps[COUNT_MAX + 1];
  for (i32 m = 0; m <= count; m++) steps[m] = rate / (double)m;
  i32 share = (WINDOW / LINE + count - 1) / count * LINE; /* params fetched while one contribution is added */
  for (i32 start = 0; start < n; start += WINDOW) {
    i32 length = n - start < WINDOW ? n - start : WINDOW, base = first + start, end = base + length;
    for (i32 r = 0; r < count; r++) {
      if (senders) {
        if (coded) add(all + r, base, end, 1, sums, senders);
        else add(all + r, base, end, 0, sums, senders);
      } else {
        if (coded) add(all + r, base, end, 1, sums, 0);
        else add(all + r, base, end, 0, sums, 0);
      }
      for (i32 k = r * share; k < (r + 1) * share && k < length; k += LINE) __builtin_prefetch(params + start + k, 1);
    }
    if (senders) sweep_senders(params + start, sums, senders, length, rate, steps);
    else sweep_all(params + start, sums, length, rate);
  }
}
