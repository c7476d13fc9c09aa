/* exact.c as a Node-API addon: an arena in native memory, a team of POSIX threads, operations off the event loop.
 *
 * exports: open(bytes, threads) -> arena | undefined where memory is short; write(arena, offset, Uint8Array); read(arena, offset, Uint8Array);
 * run(arena, op) -> Promise<void>; close(arena); abi() -> the arena's version. Callers (native.node.ts) are trusted: they check ranges before they call,
 * and never close an arena while an operation runs.
 */
#include "exact.c"
#include <node_api.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define THREADS_MAX 256

typedef struct {
  char *base;
  size_t bytes;
  int threads;
  pthread_t workers[THREADS_MAX];
} Arena;
typedef struct { Arena *arena; int tid; } Post;
typedef struct { Arena *arena; int op; napi_deferred deferred; napi_async_work work; } Job;

static void *serve(void *p) {
  Post post = *(Post *)p;
  free(p);
  skein_serve(post.arena->base, post.tid);
  return 0;
}

static void stop(Arena *a) {
  if (!a->base) return;
  if (a->threads > 1) {
    Team *team = team_of(a->base);
    team->op = 0;
    announce(team, &team->generation);
    for (int i = 1; i < a->threads; i++) pthread_join(a->workers[i], 0);
  }
  munmap(a->base, a->bytes);
  a->base = 0;
}
static void finalize(napi_env env, void *data, void *hint) {
  (void)env; (void)hint;
  stop(data);
  free(data);
}

static Arena *arguments(napi_env env, napi_callback_info info, size_t want, napi_value *argv) {
  size_t argc = want;
  void *arena = 0;
  if (napi_get_cb_info(env, info, &argc, argv, 0, 0) != napi_ok || argc < want) return 0;
  napi_get_value_external(env, argv[0], &arena);
  return arena;
}

static napi_value js_open(napi_env env, napi_callback_info info) {
  napi_value argv[2], out = 0;
  size_t argc = 2;
  int64_t bytes = 0;
  int32_t threads = 0;
  napi_get_cb_info(env, info, &argc, argv, 0, 0);
  napi_get_value_int64(env, argv[0], &bytes);
  napi_get_value_int32(env, argv[1], &threads);
  if (bytes <= 0 || threads < 1 || threads > THREADS_MAX) return 0;
  Arena *a = calloc(1, sizeof *a);
  if (!a) return 0;
  void *base = mmap(0, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) { free(a); return 0; }
#ifdef MADV_HUGEPAGE
  madvise(base, (size_t)bytes, MADV_HUGEPAGE);
#endif
  a->base = base;
  a->bytes = (size_t)bytes;
  a->threads = 1;
  for (int i = 1; i < threads; i++) {
    Post *post = malloc(sizeof *post);
    if (post) *post = (Post){a, i};
    if (!post || pthread_create(&a->workers[i], 0, serve, post) != 0) { free(post); stop(a); free(a); return 0; }
    a->threads = i + 1;
  }
  napi_create_external(env, a, finalize, 0, &out);
  return out;
}

static napi_value copy(napi_env env, napi_callback_info info, int to_arena) {
  napi_value argv[3];
  Arena *a = arguments(env, info, 3, argv);
  int64_t offset = 0;
  size_t length = 0;
  void *data = 0;
  if (!a || !a->base) return 0;
  napi_get_value_int64(env, argv[1], &offset);
  if (napi_get_typedarray_info(env, argv[2], 0, &length, &data, 0, 0) != napi_ok) return 0;
  if (offset < 0 || (uint64_t)offset + length > a->bytes) { napi_throw_range_error(env, 0, "outside the arena"); return 0; }
  __builtin_memcpy(to_arena ? a->base + offset : data, to_arena ? data : a->base + offset, length);
  return 0;
}
static napi_value js_write(napi_env env, napi_callback_info info) { return copy(env, info, 1); }
static napi_value js_read(napi_env env, napi_callback_info info) { return copy(env, info, 0); }

static void job_run(napi_env env, void *data) {
  (void)env;
  Job *job = data;
  skein_exec(job->arena->base, job->op);
}
static void job_done(napi_env env, napi_status status, void *data) {
  (void)status;
  Job *job = data;
  napi_value nothing;
  napi_get_undefined(env, &nothing);
  napi_resolve_deferred(env, job->deferred, nothing);
  napi_delete_async_work(env, job->work);
  free(job);
}
static napi_value js_run(napi_env env, napi_callback_info info) {
  napi_value argv[2], promise = 0, name;
  Arena *a = arguments(env, info, 2, argv);
  if (!a || !a->base) return 0;
  Job *job = calloc(1, sizeof *job);
  if (!job) return 0;
  job->arena = a;
  napi_get_value_int32(env, argv[1], &job->op);
  napi_create_promise(env, &job->deferred, &promise);
  napi_create_string_utf8(env, "skein", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, 0, name, job_run, job_done, job, &job->work);
  napi_queue_async_work(env, job->work);
  return promise;
}

static napi_value js_close(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  Arena *a = arguments(env, info, 1, argv);
  if (a) stop(a);
  return 0;
}

static napi_value js_abi(napi_env env, napi_callback_info info) {
  napi_value out = 0;
  (void)info;
  napi_create_int32(env, skein_abi(), &out);
  return out;
}

NAPI_MODULE_INIT() {
  const struct { const char *name; napi_callback call; } all_exports[] = {
    {"open", js_open}, {"write", js_write}, {"read", js_read}, {"run", js_run}, {"close", js_close}, {"abi", js_abi}};
  for (size_t i = 0; i < sizeof all_exports / sizeof *all_exports; i++) {
    napi_value f;
    napi_create_function(env, all_exports[i].name, NAPI_AUTO_LENGTH, all_exports[i].call, 0, &f);
    napi_set_named_property(env, exports, all_exports[i].name, f);
  }
  return exports;
}
