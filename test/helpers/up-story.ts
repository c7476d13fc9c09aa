/** A network's life as its nodes tell it, invented: for tests of what `skein up` shows. */
import type { LogFields } from "../../src/base/log/log.ts";
import type { Told } from "../../src/cli/up/events.ts";

const ROOT = "3f2a9c04d1e5b7";

/** Names of two validators and `trainers` trainers, with chain and gateway. */
export function storyNodes(trainers = 4): { name: string; role: "chain" | "gateway" | "validator" | "trainer" }[] {
  return [
    { name: "chain", role: "chain" },
    { name: "gateway", role: "gateway" },
    { name: "validator-1", role: "validator" },
    { name: "validator-2", role: "validator" },
    ...Array.from({ length: trainers }, (_, i) => ({ name: `trainer-${i + 1}`, role: "trainer" as const })),
  ];
}

/** What is told until round `rounds` is in its training phase; round 1 is a null round, and trainer-2 is late in round 3. */
export function story(rounds: number, trainers = 4): Told[] {
  const told: Told[] = [];
  let timeMs = Date.UTC(2026, 0, 1, 12);
  const say = (node: string, kind: string, fields: LogFields = {}): void => {
    told.push({ node, kind, fields, timeMs });
  };
  const names = storyNodes(trainers).map(({ name }) => name);
  for (const name of names) say(name, "process", { state: "started", pid: 1 });
  say("chain", "ready", {});
  say("gateway", "ready", { link: `http://127.0.0.1:8640/r/${"9f86d081".repeat(8)}`, runId: 1, netuid: 1 });
  names.slice(2).forEach((name, uid) => {
    say(name, "ready", { uid });
    say(name, "start", { from: "genesis", round: 0, root: ROOT });
  });
  const trainerNames = names.slice(4);
  for (let round = 0; round < rounds; round++) {
    const nobody = round === 1;
    const late = (name: string): boolean => nobody || (round === 3 && name === "trainer-2");
    const there = trainerNames.filter((name) => !late(name));
    const uids = nobody ? [] : there.map((name) => names.indexOf(name) - 2);
    timeMs += 12_000;
    for (const name of trainerNames) {
      const uid = names.indexOf(name) - 2;
      if (late(name)) say(name, "late", { round, uid });
      else {
        say(name, "payload", { round, uid, hash: "00", bytes: 31_234, tokens: 5120, loss: 7.6, trainMs: 9000 });
        say(name, "commit", { round, uid, hash: "00", block: 10, blocksLeft: 2 });
        say(name, "reveal", { round, uid, bytes: 31_234 });
      }
    }
    timeMs += 3000;
    for (const name of ["validator-1", "validator-2"]) {
      for (const uid of uids) say(name, "received", { round, uid, bytes: 31_234, fault: null });
      say(name, "vote", { round, uids, missing: [], root: ROOT, block: 1 });
      say(name, "validation", { round, loss: 4 + 3.625 * 0.93 ** round, root: ROOT, judged: uids.length });
    }
    for (const name of trainerNames) {
      const uid = names.indexOf(name) - 2;
      say(name, "standing", { round, uid, weight: Math.min(1, (round + 1) / 8), trouble: null });
    }
    timeMs += 2000;
    for (const name of names.slice(2)) {
      say(name, "applied", { round, uids, accepted: uids, bytes: 31_234 * uids.length, root: `${round}${ROOT}` });
      if (there.includes(name)) say(name, "outcome", { round, uid: names.indexOf(name) - 2, applied: !nobody });
    }
    if (round % 5 === 4) say("up", "sample", { round: round + 1, text: "Returns the first of all values" });
    if (round % 2 === 1) {
      for (const name of names.slice(2)) say(name, "emission", { epoch: round, coins: 1.234 });
      say("up", "paid", { epoch: round, coins: 1.234 * (names.length - 2) });
    }
  }
  trainerNames.forEach((name, i) => {
    if (!(rounds > 3 && name === "trainer-3"))
      say(name, "step", { round: rounds, step: 3 + i, steps: 10, loss: 4.2 + i / 10 });
  });
  say("up", "block", { block: 1234 + 17 * rounds, round: rounds, phase: "train", blocksLeft: 5 });
  return told;
}
