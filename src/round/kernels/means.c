/* The outer step of the means over one block of a tensor; what src/round/means.ts drives. Same operations, same order, as
 * docs/protocol/apply.md and apply-reference.ts. Built without contraction of multiply and add: scripts/build-wasm.sh. */
typedef int i32;
typedef unsigned short u16;
#define EXPORT(name) __attribute__((export_name(#name)))
#define WINDOW 8192 /* sums and senders of a window stay in the first caches: 80 KiB */

/* Negative unless indices ascend strictly from above `last` and every value is finite; signs gather what is wrong. */
EXPORT(check) i32 check(const i32 *indices, const i32 *bits, i32 count, i32 last) {
  i32 wrong = 0;
  for (i32 j = 0; j < count; j++) {
    i32 at = indices[j];
    wrong |= at | (at - last - 1) | ((bits[j] & 0x7f800000) + 0x00800000);
    last = at;
  }
  return wrong;
}

static inline float moved(float param, double step, double sum) {
  float next = (float)((double)param - step * sum);
  return next - next == 0 ? next : param;
}

static void sweep_all(float *restrict params, double *restrict sums, i32 n, double step) {
  for (i32 i = 0; i < n; i++) {
    params[i] = moved(params[i], step, sums[i]);
    sums[i] = 0;
  }
}

static void sweep_senders(float *restrict params, double *restrict sums, u16 *restrict senders, i32 n, const double *steps) {
  for (i32 i = 0; i < n; i++) {
    params[i] = moved(params[i], steps[senders[i]], sums[i]);
    sums[i] = 0;
    senders[i] = 0;
  }
}

/* params [n]: elements first .. first + n of the tensor. Contribution r: counts[r] indices in that range and their values. steps
 * [count + 1]: by number of senders, steps[0] = 0. senders is null for the mean over all. Scratch: cursors [count], sums and
 * senders [WINDOW], all zero before and after. */
EXPORT(means) void means(float *params, i32 n, i32 first, i32 count, i32 *const *indices, float *const *values,
                         const i32 *counts, const double *factors, const double *steps, i32 *cursors, double *sums,
                         u16 *senders) {
  for (i32 r = 0; r < count; r++) cursors[r] = 0;
  for (i32 start = 0; start < n; start += WINDOW) {
    i32 length = n - start < WINDOW ? n - start : WINDOW, base = first + start, end = base + length;
    for (i32 r = 0; r < count; r++) {
      const i32 *at = indices[r];
      const float *value = values[r];
      double factor = factors[r];
      i32 j = cursors[r], stop = counts[r];
      if (senders) {
        for (; j < stop && at[j] < end; j++) {
          sums[at[j] - base] += factor * (double)value[j];
          senders[at[j] - base]++;
        }
      } else {
        for (; j < stop && at[j] < end; j++) sums[at[j] - base] += factor * (double)value[j];
      }
      cursors[r] = j;
    }
    if (senders) sweep_senders(params + start, sums, senders, length, steps);
    else sweep_all(params + start, sums, length, steps[count]);
  }
}
