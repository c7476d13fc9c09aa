/* means.c as a Node-API addon: src/round/native/native.node.ts loads it.
 *
 * exports: means(params, indices[], values[], tables, rate, bySenders) -> whether the contributions are in order; if not, nothing
 * is changed. norms(values[], books, out: Float64Array) -> true: the sum of squares of each. values[] are all Float32Array, with a
 * table of one factor for each (books: none), or all Uint8Array, with one of four values. Types and lengths are checked here, since
 * what comes in is addressed directly. */
#include "means.c"
#include <node_api.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One for each environment: workers of Node load an addon together. Not thread-local: gcc then asks for its address in the innermost
 * loops (9.4 ms where this takes 5.8). */
typedef struct {
  double sums[WINDOW];
  u16 senders[WINDOW];
  Contribution all[COUNT_MAX];
} Scratch;

static void discard(napi_env env, void *data, void *hint) {
  (void)env; (void)hint;
  free(data);
}

/* The data of a typed array of that type; negative length if it is none. */
static void *data_of(napi_env env, napi_value array, napi_typedarray_type want, int64_t *length) {
  napi_typedarray_type type;
  void *data = 0;
  size_t n = 0;
  *length = -1;
  if (napi_get_typedarray_info(env, array, &type, &n, &data, 0, 0) == napi_ok && type == want) *length = (int64_t)n;
  return data;
}

/* Takes element r of an array of values or codes; false where it is none. */
static bool take_values(napi_env env, napi_value values, uint32_t r, bool coded, Contribution *c) {
  napi_value value;
  int64_t n = -1;
  if (napi_get_element(env, values, r, &value) != napi_ok) return false;
  c->values = data_of(env, value, coded ? napi_uint8_array : napi_float32_array, &n);
  if (n < 0 || n > INT32_MAX) return false;
  c->count = (i32)n;
  c->cursor = 0;
  return true;
}

/* Takes indices for a contribution that has its values, and fetches their beginning. */
static bool take_indices(napi_env env, napi_value indices, uint32_t r, Contribution *c) {
  napi_value at;
  int64_t n = -1;
  if (napi_get_element(env, indices, r, &at) != napi_ok) return false;
  c->indices = data_of(env, at, napi_int32_array, &n);
  for (i32 k = 0; k < 8 * LINE; k += LINE) __builtin_prefetch(c->indices + k);
  return n == c->count;
}

static bool in_order(const Contribution *c, i32 length, bool coded) {
  if (c->count == 0) return true;
  if (!coded && all_finite(c->values, c->count) < 0) return false;
  return ascending((const u32 *)c->indices, c->count, -1) >= 0 && c->indices[c->count - 1] < length;
}

static napi_value js_means(napi_env env, napi_callback_info info) {
  napi_value argv[6], out = 0;
  size_t argc = 6;
  uint32_t count = 0;
  int64_t length = -1, table_count = -1;
  double rate = 0;
  bool by_senders = false;
  Scratch *scratch = 0;
  if (napi_get_instance_data(env, (void **)&scratch) != napi_ok || !scratch) return 0;
  if (napi_get_cb_info(env, info, &argc, argv, 0, 0) != napi_ok || argc < 6) return 0;
  Contribution *all = scratch->all;
  float *params = data_of(env, argv[0], napi_float32_array, &length);
  double *tables = data_of(env, argv[3], napi_float64_array, &table_count);
  bool good = length >= 0 && length <= INT32_MAX - WINDOW && napi_get_array_length(env, argv[1], &count) == napi_ok &&
              count <= COUNT_MAX && napi_get_value_double(env, argv[4], &rate) == napi_ok &&
              napi_get_value_bool(env, argv[5], &by_senders) == napi_ok;
  bool coded = table_count == 4 * (int64_t)count;
  good = good && (coded || table_count == count);
  for (uint32_t r = 0; good && r < count; r++) {
    all[r].table = tables + (coded ? 4 : 1) * r;
    good = take_values(env, argv[2], r, coded, all + r) && take_indices(env, argv[1], r, all + r);
  }
  for (uint32_t r = 0; good && r < count; r++) good = in_order(all + r, (i32)length, coded);
  if (good && count > 0)
    means(params, (i32)length, 0, all, (i32)count, coded, rate, scratch->sums, by_senders ? scratch->senders : 0);
  napi_get_boolean(env, good, &out);
  return out;
}

/* Sums of squares of `four` contributions, each in its order: four at a time, since an addition must wait for the one before it. */
static inline __attribute__((always_inline)) void four_norms(const Contribution *four, double *out, const bool coded) {
  double square[4][4], sum[4] = {0, 0, 0, 0};
  i32 together = INT32_MAX;
  for (i32 i = 0; i < 4; i++) {
    if (four[i].count < together) together = four[i].count;
    for (i32 k = 0; coded && k < 4; k++) square[i][k] = four[i].table[k] * four[i].table[k];
  }
#define SQUARE(i, j) \
  (coded ? square[i][((const u8 *)four[i].values)[j] & 3] : (double)((const float *)four[i].values)[j] * ((const float *)four[i].values)[j])
  for (i32 j = 0; j < together; j++)
    for (i32 i = 0; i < 4; i++) sum[i] += SQUARE(i, j);
  for (i32 i = 0; i < 4; i++) {
    for (i32 j = together; j < four[i].count; j++) sum[i] += SQUARE(i, j);
    out[i] = sum[i];
  }
}

static napi_value js_norms(napi_env env, napi_callback_info info) {
  napi_value argv[3], out = 0;
  size_t argc = 3;
  uint32_t count = 0;
  int64_t table_count = -1, room = -1;
  Scratch *scratch = 0;
  if (napi_get_instance_data(env, (void **)&scratch) != napi_ok || !scratch) return 0;
  if (napi_get_cb_info(env, info, &argc, argv, 0, 0) != napi_ok || argc < 3) return 0;
  double *tables = data_of(env, argv[1], napi_float64_array, &table_count), *norms = data_of(env, argv[2], napi_float64_array, &room);
  bool good = napi_get_array_length(env, argv[0], &count) == napi_ok && count <= COUNT_MAX && room == count;
  bool coded = good && table_count == 4 * (int64_t)count;
  for (uint32_t r = 0; good && r < count; r++) {
    scratch->all[r].table = tables + 4 * r;
    good = take_values(env, argv[0], r, coded, scratch->all + r);
  }
  for (uint32_t r = 0; good && r < count; r += 4) {
    Contribution four[4] = {{0}};
    double sums[4];
    for (uint32_t i = 0; i < 4; i++) four[i] = scratch->all[r + i < count ? r + i : r];
    if (coded) four_norms(four, sums, true);
    else four_norms(four, sums, false);
    for (uint32_t i = 0; i < 4 && r + i < count; i++) norms[r + i] = sums[i];
  }
  napi_get_boolean(env, good, &out);
  return out;
}

NAPI_MODULE_INIT() {
  napi_value f;
  Scratch *scratch = 0;
  if (posix_memalign((void **)&scratch, 64, sizeof *scratch) != 0) return 0;
  memset(scratch, 0, sizeof *scratch);
  napi_set_instance_data(env, scratch, discard, 0);
  napi_create_function(env, "means", NAPI_AUTO_LENGTH, js_means, 0, &f);
  napi_set_named_property(env, exports, "means", f);
  napi_create_function(env, "norms", NAPI_AUTO_LENGTH, js_norms, 0, &f);
  napi_set_named_property(env, exports, "norms", f);
  return exports;
}
