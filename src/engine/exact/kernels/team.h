/* A team of threads that all run the same program, with barriers between its stages.
 *
 * Work within a stage is claimed piece by piece from a ticket, so that a slow thread does less; which thread computes a piece never
 * changes a bit, because no piece adds into another's output. The last thread to arrive at a barrier resets the tickets.
 * Waiting threads spin for a while, then sleep on a futex (WASM's memory.atomic.wait32, Linux's futex) or yield.
 */
#ifndef SKEIN_TEAM_H
#define SKEIN_TEAM_H

#define TICKETS 4
#define SPINS 4000

typedef struct {
  int generation; /* counts commands; workers wait for it to change */
  int phase;      /* counts barriers passed */
  int arrived;    /* threads waiting at the barrier */
  int op;         /* the command under way; 0 tells workers to leave */
  int sleepers;   /* threads that may be asleep on phase or generation */
  int ticket[TICKETS];
  int padding[7];
} Team;

#if defined(__wasm__)
static void pause_cpu(void) {}
static void sleep_on(int *at, int seen) { __builtin_wasm_memory_atomic_wait32(at, seen, -1); }
static void wake_all(int *at) { __builtin_wasm_memory_atomic_notify(at, 0x7fffffff); }
#else
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
static void sleep_on(int *at, int seen) { syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, seen, 0, 0, 0); }
static void wake_all(int *at) { syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, 0x7fffffff, 0, 0, 0); }
#else
#include <unistd.h>
static void sleep_on(int *at, int seen) { (void)at; (void)seen; usleep(50); }
static void wake_all(int *at) { (void)at; }
#endif
#if defined(__x86_64__) || defined(__i386__)
static void pause_cpu(void) { __builtin_ia32_pause(); }
#elif defined(__aarch64__)
static void pause_cpu(void) { __asm__ __volatile__("yield"); }
#else
static void pause_cpu(void) {}
#endif
#endif

/* Returns once *at differs from `seen`. */
static void wait_change(Team *team, int *at, int seen) {
  for (int i = 0; i < SPINS; i++) {
    if (__atomic_load_n(at, __ATOMIC_ACQUIRE) != seen) return;
    pause_cpu();
  }
  __atomic_fetch_add(&team->sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(at, __ATOMIC_SEQ_CST) == seen) sleep_on(at, seen);
  __atomic_fetch_sub(&team->sleepers, 1, __ATOMIC_SEQ_CST);
}

static void announce(Team *team, int *at) {
  __atomic_fetch_add(at, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&team->sleepers, __ATOMIC_SEQ_CST)) wake_all(at);
}

/* Every thread of the team waits here for all the others. */
static void barrier(Team *team, int threads) {
  int phase = __atomic_load_n(&team->phase, __ATOMIC_ACQUIRE);
  if (threads == 1 || __atomic_fetch_add(&team->arrived, 1, __ATOMIC_ACQ_REL) + 1 == threads) {
    for (int i = 0; i < TICKETS; i++) __atomic_store_n(&team->ticket[i], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&team->arrived, 0, __ATOMIC_RELAXED);
    if (threads > 1) announce(team, &team->phase);
  } else {
    wait_change(team, &team->phase, phase);
  }
}

/* The next unclaimed piece of the stage's which-th loop. */
static idx claim(Team *team, int which) { return (idx)__atomic_fetch_add(&team->ticket[which], 1, __ATOMIC_RELAXED); }

#endif
