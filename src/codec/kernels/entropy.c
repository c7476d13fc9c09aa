/* model.ts and rangecoder.ts in one loop: the stream of a payload, row by row, both ways. What src/codec/entropy.ts drives. The same float64
 * operations in the same order, so the same bytes (docs/protocol/payload.md); built without contraction. Reads and writes stay within
 * the rooms that the caller names, whatever the stream says. */
typedef unsigned char u8;
typedef int i32;
typedef unsigned u32;
typedef unsigned long long u64;
#define EXPORT(name) __attribute__((export_name(#name)))
#define INLINE static inline __attribute__((always_inline)) /* `decoding` is a constant in each copy */
#define BUCKETS 16
#define REFRESH 16
#define TOP (1u << 24)
#define KEPT_AGES (1024 - 20)
#define VALUE_AGES (256 - 2)

/* A probability, and how often it moved. */
typedef struct {
  double p;
  i32 age, unused;
} Context;

/* All that outlives a tensor: 256 contexts of the places, and the coder. One of these for each stream under way. */
typedef struct {
  Context kept[BUCKETS * BUCKETS];
  u64 low;    /* encoder: below 2^33, bit 32 a carry */
  u32 range;
  u32 offset; /* decoder: V − low */
} Stream;

/* One tensor: its form, statistics by column and by block, and the values to code or decoded. */
typedef struct {
  i32 rows, cols, blockHeight, blockWidth, k0, n0, bits;
  i32 *counts, *highs, *balance;
  u8 *buckets; /* times sizeof(Context), which fits: an offset into a row of contexts */
  i32 *left, *keptLeft; /* by block of the band under way */
  i32 *indices;         /* windows of the tensor's indices and codes, and of the stream */
  u8 *codes;
  u8 *bytes;
  i32 valueAt, valueEnd;     /* values done; values there (encoding) or room for (decoding) */
  i32 byteAt, byteEnd;       /* bytes done; bytes there (decoding) or room for (encoding) */
  i32 lastValues, lastBytes; /* whether no values or bytes follow the window */
  i32 carry;                 /* set by the encoder: one is to be added to the bytes before the window */
  i32 bucket;                /* of the row under way */
  Context levels[16], signs[9];
} Tensor;

static Stream stream;
static Tensor tensor;
static double keptRates[KEPT_AGES + 1], valueRates[VALUE_AGES + 1];

EXPORT(streamAt) Stream *streamAt(void) { return &stream; }
EXPORT(streamBytes) i32 streamBytes(void) { return sizeof stream; }
EXPORT(tensorAt) Tensor *tensorAt(void) { return &tensor; }

static double middle(i32 bucket) {
  double m = bucket % 2 == 0 ? 1.25 : 1.75;
  for (i32 b = bucket - bucket % 2; b < BUCKETS / 2; b += 2) m /= 2;
  for (i32 b = bucket - bucket % 2; b > BUCKETS / 2; b -= 2) m *= 2;
  return m;
}

/* A fresh stream. */
EXPORT(begin) void begin(i32 k0, i32 n0) {
  if (keptRates[0] == 0) {
    for (i32 age = 0; age <= KEPT_AGES; age++) keptRates[age] = 1.0 / (age + 20);
    for (i32 age = 0; age <= VALUE_AGES; age++) valueRates[age] = 1.0 / (age + 2);
  }
  for (i32 row = 0; row < BUCKETS; row++) {
    for (i32 col = 0; col < BUCKETS; col++) {
      double p = middle(row) * middle(col) * k0 / n0;
      stream.kept[row * BUCKETS + col] = (Context){p < 0.9 ? p : 0.9, 0, 0};
    }
  }
  stream.low = stream.offset = 0;
  stream.range = 0xffffffff;
}

/* 24 + trunc(p · 65488): adding 2^36 leaves the whole part in bits 16 to 31, unless it rounds up to a whole number. */
INLINE u32 p16Of(double p) {
  double x = p * 65488;
  union {
    double d;
    u64 bits;
  } sum = {x + (68719476736.0 + 24)};
  u32 low = (u32)sum.bits;
  u32 p16 = low >> 16;
  return (low & 0xffff) == 0 && p16 - 24.0 > x ? p16 - 1 : p16;
}

INLINE void learn(Context *c, i32 bit, const double *rates, i32 last) {
  double before = c->p;
  c->p = before + (bit - before) * rates[c->age];
  if (c->age < last) c->age++;
}

INLINE u32 take(Tensor *t) {
  u32 byte = t->byteAt < t->byteEnd ? t->bytes[t->byteAt] : 0;
  t->byteAt++;
  return byte;
}

/* Writes the top digit of low, and its carry into the digits before. */
INLINE u64 shift(Tensor *t, u64 low) {
  i32 at = t->byteAt++;
  if (at < t->byteEnd) t->bytes[at] = (u8)(low >> 24);
  if (low >> 32) {
    do t->carry |= --at < 0;
    while (at >= 0 && ++t->bytes[at] == 0);
  }
  return (low & 0xffffff) << 8;
}

/* Brings the range back to 2^24 or more. */
INLINE void normalize(Tensor *t, u32 *range, u32 *offset, u64 *low, i32 decoding) {
  while (*range < TOP) {
    if (decoding) {
      *offset = *offset << 8 | take(t);
    } else {
      *low = shift(t, *low);
    }
    *range <<= 8;
  }
}

/* Codes one decision. */
INLINE i32 decide(Tensor *t, Stream *s, Context *c, const double *rates, i32 last, i32 bit, i32 decoding) {
  u32 bound = (s->range >> 16) * p16Of(c->p);
  if (decoding) bit = s->offset < bound;
  s->range = bit ? bound : s->range - bound;
  if (decoding) s->offset -= bit ? 0 : bound;
  else s->low += bit ? 0 : bound;
  normalize(t, &s->range, &s->offset, &s->low, decoding);
  learn(c, bit, rates, last);
  return bit;
}

/* model.ts's bucketOf: twice the exponent and the first bit below it, straight from the quotient's bits. */
INLINE i32 bucketOf(i32 count, i32 seen, double k0, double n0) {
  union {
    double d;
    u64 bits;
  } x = {(count + 1.0) * n0 * 256 / (seen * k0 + n0)};
  i32 bucket = (i32)(x.bits >> 51) - (2 * 1023 + 8);
  return bucket < 0 ? 0 : bucket > BUCKETS - 1 ? BUCKETS - 1 : bucket;
}

/* The least quotient in a bucket above 0. */
INLINE i32 leastOf(i32 bucket) { return (2 + (bucket & 1)) << (bucket / 2 + 3); }

static i32 kOf(i32 n, const Tensor *t) {
  i32 k = (i32)(((u64)n * t->k0 + t->n0 - 1) / t->n0);
  return k < 1 ? 1 : k > n ? n : k;
}

/* ⌊(6 · high + count + 4) / (2 · count + 2)⌋, at most 3, without the division. */
INLINE i32 share(i32 high, i32 count) {
  u64 x = 6ull * high + count + 4, unit = 2ull * count + 2;
  return (x >= unit) + (x >= 2 * unit) + (x >= 3 * unit);
}

/* A fresh tensor: its form is set. */
EXPORT(open) void open(void) {
  Tensor *t = &tensor;
  for (i32 j = 0; j < t->cols; j++) t->counts[j] = t->highs[j] = t->balance[j] = t->buckets[j] = 0;
  for (i32 c = 0; c < 16; c++) t->levels[c] = (Context){0.5, 0, 0};
  for (i32 c = 0; c < 9; c++) t->signs[c] = (Context){0.5, 0, 0};
}

static void beginBand(Tensor *t, i32 row) {
  i32 height = t->rows - row < t->blockHeight ? t->rows - row : t->blockHeight;
  for (i32 b = 0, first = 0; first < t->cols; b++, first += t->blockWidth) {
    i32 width = t->cols - first < t->blockWidth ? t->cols - first : t->blockWidth;
    t->left[b] = height * width;
    t->keptLeft[b] = kOf(height * width, t);
  }
}

static void refreshColumns(Tensor *t, i32 row) {
  double k0 = t->k0, n0 = t->n0;
  for (i32 j = 0; j < t->cols; j++) t->buckets[j] = (u8)sizeof(Context) * (u8)bucketOf(t->counts[j], row, k0, n0);
}

/* The row's bucket at column j, which is reckoned anew at multiples of REFRESH; along a row it can only fall. x is (kept + 1) · n0 · 256. */
INLINE i32 lowered(const Tensor *t, i32 bucket, double x, i32 j) {
  if (j % REFRESH == 0) {
    while (bucket > 0 && x < leastOf(bucket) * ((double)j * t->k0 + t->n0)) bucket--;
  }
  return bucket;
}

/* The decisions of columns j .. end that change nothing but the range and the contexts: not kept, with at least `least` of the range left.
 * The column it stops at, in the lower half, and the range; t->bucket is the row's there. p − p / 1024, which a context whose rate has settled
 * takes, is p · 1023 / 1024 in one rounding, down to numbers far below what a decision can tell from 0. A function of its own, without
 * calls, so that V8 keeps what the loop needs in registers. */
static __attribute__((noinline)) u64 skip(Tensor *t, Context *kept, double x, i32 j, i32 end, u32 range, u32 least) {
  const u8 *buckets = t->buckets;
  i32 bucket = t->bucket;
  while (j < end) {
    i32 stop = (j | (REFRESH - 1)) + 1;
    if (stop > end) stop = end;
    bucket = lowered(t, bucket, x, j);
    u8 *contexts = (u8 *)(kept + BUCKETS * bucket);
    const u8 *at = buckets + j, *last = buckets + stop;
#pragma clang loop unroll_count(4)
    do {
      Context *c = (Context *)(contexts + *at);
      double p = c->p;
      u32 next = range - (range >> 16) * p16Of(p);
      if (next < least) break;
      if (c->age == KEPT_AGES) c->p = p * (1023.0 / 1024);
      else c->p = p - p * keptRates[c->age++];
      range = next;
    } while (++at < last);
    j = (i32)(at - buckets);
    if (at < last) break;
  }
  t->bucket = bucket;
  return (u64)range << 32 | (u32)j;
}

/* Codes the decisions "kept" of columns j .. limit; the first kept column, or limit. Encoding: `known` is the next kept column. */
INLINE i32 nextKept(Tensor *t, Stream *s, i32 j, i32 limit, i32 rowKept, i32 known, i32 decoding) {
  double x = (rowKept + 1.0) * t->n0 * 256;
  i32 end = !decoding && known < limit ? known : limit;
  t->bucket = bucketOf(rowKept, j, t->k0, t->n0);
  for (;;) {
    /* While nothing is kept low + range stays the same, and so does range − offset; below that the range says "kept". */
    u32 range = s->range, rest = range - s->offset;
    u64 skipped = skip(t, s->kept, x, j, end, range, decoding && rest > TOP ? rest : TOP);
    j = (i32)skipped;
    s->range = (u32)(skipped >> 32);
    if (decoding) s->offset -= range - s->range;
    else s->low += range - s->range;
    if (j == limit) return j;
    Context *c = s->kept + BUCKETS * lowered(t, t->bucket, x, j) + t->buckets[j] / sizeof(Context);
    if (decide(t, s, c, keptRates, KEPT_AGES, j == known, decoding)) return j;
    j++;
  }
}

static __attribute__((noinline)) i32 nextToEncode(Tensor *t, Stream *s, i32 j, i32 limit, i32 rowKept, i32 known) {
  return nextKept(t, s, j, limit, rowKept, known, 0);
}

static __attribute__((noinline)) i32 nextDecoded(Tensor *t, Stream *s, i32 j, i32 limit, i32 rowKept) {
  return nextKept(t, s, j, limit, rowKept, 0, 1);
}

/* Level and sign of the value in column j; returns the level. */
INLINE i32 codeValue(Tensor *t, Stream *s, i32 j, i32 rowKept, i32 rowHigh, i32 decoding) {
  i32 code = decoding ? 0 : t->codes[t->valueAt], level = 0;
  if (t->bits == 2) {
    Context *c = t->levels + 4 * share(rowHigh, rowKept) + share(t->highs[j], t->counts[j]);
    level = decide(t, s, c, valueRates, VALUE_AGES, code & 1, decoding);
    t->highs[j] += level;
  }
  i32 tilt = t->balance[j], clipped = tilt < -4 ? -4 : tilt > 4 ? 4 : tilt;
  i32 negative = decide(t, s, t->signs + clipped + 4, valueRates, VALUE_AGES, code >> 1 & 1, decoding);
  t->balance[j] = tilt + 1 - 2 * negative;
  if (decoding) t->codes[t->valueAt] = (u8)(level | negative << 1);
  return level;
}

/* One row; 0 where the values to encode do not fit the grid. */
INLINE i32 codeRow(Tensor *t, Stream *s, i32 row, i32 decoding) {
  i32 rowKept = 0, rowHigh = 0, start = (i32)((u32)row * (u32)t->cols);
  double k0 = t->k0, n0 = t->n0;
  for (i32 b = 0, first = 0; first < t->cols; b++, first += t->blockWidth) {
    i32 end = t->cols - first < t->blockWidth ? t->cols : first + t->blockWidth;
    i32 places = t->left[b] + first, wanted = t->keptLeft[b];
    for (i32 j = first; j < end && wanted > 0; j++) {
      i32 known = !decoding && t->valueAt < t->valueEnd ? t->indices[t->valueAt] - start : end;
      i32 turn = places - wanted, limit = turn < end ? turn : end;
      if (j < limit) j = decoding ? nextDecoded(t, s, j, limit, rowKept) : nextToEncode(t, s, j, limit, rowKept, known);
      if (j == end) break;
      if (t->valueAt >= t->valueEnd) return 0;
      if (decoding) t->indices[t->valueAt] = start + j;
      else if (known != j) return 0;
      wanted--;
      rowHigh += codeValue(t, s, j, rowKept, rowHigh, decoding);
      t->valueAt++;
      rowKept++;
      t->counts[j]++;
      t->buckets[j] = (u8)sizeof(Context) * (u8)bucketOf(t->counts[j], row + 1, k0, n0);
    }
    t->left[b] -= end - first;
    t->keptLeft[b] = wanted;
  }
  return 1;
}

/* Rows from `row` on, while the windows surely suffice for one more: a row has at most cols values, and less than 6 · cols + 16 bytes
 * (three decisions a column, 11.5 bits each at most). The next row, or −1 where values to encode do not fit the grid. */
INLINE i32 codeRows(i32 row, i32 decoding) {
  Tensor *t = &tensor;
  Stream *s = &stream;
  for (; row < t->rows; row++) {
    if (!t->lastValues && t->valueEnd - t->valueAt < t->cols) break;
    if (!t->lastBytes && t->byteEnd - t->byteAt < 6 * t->cols + 16) break;
    if (decoding && t->lastBytes && t->byteAt > t->byteEnd + 3) break;
    if (row % t->blockHeight == 0) beginBand(t, row);
    if (row % REFRESH == 0) refreshColumns(t, row);
    if (!codeRow(t, s, row, decoding)) return -1;
  }
  return row;
}

EXPORT(encodeRows) i32 encodeRows(i32 row) { return codeRows(row, 0); }
EXPORT(decodeRows) i32 decodeRows(i32 row) { return codeRows(row, 1); }

/* Ends an encoder's message. */
EXPORT(endEncoder) void endEncoder(void) {
  stream.low = (stream.low + TOP - 1) / TOP * TOP;
  shift(&tensor, stream.low);
}

/* Begins a decoder's message; 0 where it begins as none does. */
EXPORT(beginDecoder) i32 beginDecoder(void) {
  for (i32 i = 0; i < 4; i++) stream.offset = stream.offset << 8 | take(&tensor);
  if (stream.offset != 0xffffffff) return 1;
  stream.offset = 0;
  return 0;
}

/* Whether a decoder's message ended in its one form. */
EXPORT(canonicalEnd) i32 canonicalEnd(void) { return stream.offset < TOP; }
