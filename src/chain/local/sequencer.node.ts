/**
 * Names Node: the one who makes blocks. It owns anvil, the journal and the copies, and keeps one promise: what a client has once been told of
 * the chain stays true, whoever is killed when.
 *
 * How. anvil mines only when the sequencer says so. From the moment it says so until the block's record has been flushed, answers that
 * anvil gives are held back; should anvil or the disk fail in between, they are thrown away and asked again of an anvil that has been
 * brought back to the last recorded block. So nobody sees a block that a restart could not bring back, hash and all.
 *
 * Accepted transactions are written down, unflushed, before they are acknowledged: a killed process loses none of those either. A transaction
 * that is sent twice is acknowledged twice.
 */

import * as path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { hexToBytes } from "@noble/hashes/utils.js";
import { assert, must } from "../../base/assert.ts";
import { systemClock } from "../../base/clock.ts";
import { messageOf, SkeinError } from "../../base/errors.ts";
import { toHex } from "../../base/hash.ts";
import { POOL_MAX } from "../../base/limits.ts";
import type { Hash, Head } from "../chain.ts";
import type { Anvil } from "./anvil.node.ts";
import { type BlockFacts, type Booted, type BootPlan, bootChain, latestBlock } from "./boot.node.ts";
import { copiesIn, copiesToKeep, removeCopies, writeCopy } from "./disk/copies.node.ts";
import { type Journal, openJournal } from "./disk/journal.node.ts";
import type { TransactionRecord } from "./disk/records.ts";
import { answer, CODES, judge, type MethodLimits, refusal } from "./door/methods.ts";
import { type BlockTime, nextTimestamp, waitMs } from "./pace.ts";
import { FILES } from "./settings.node.ts";

/** How blocks are made. */
export interface SequencerOptions {
  readonly blockTimeSeconds: BlockTime;
  /** Blocks between two state copies. */
  readonly copyEveryBlocks: number;
  /** Blocks that can still be asked for after a restart. */
  readonly blocksKept: number;
  readonly limits: Omit<MethodLimits, "horizon">;
  readonly onEvent: (event: LocalChainEvent) => void;
}

/** What happens to the chain besides blocks. */
export type LocalChainEvent =
  | {
      readonly kind: "started" | "healed" | "recycled";
      readonly block: number;
      readonly replayed: number;
      readonly ms: number;
    }
  | { readonly kind: "crashed" | "note" | "failed"; readonly what: string }
  | { readonly kind: "copied"; readonly block: number; readonly ms: number }
  | { readonly kind: "block"; readonly head: Head; readonly transactions: number };

interface PoolEntry {
  readonly raw: Hash;
  accepted: boolean;
  /** The segment in which it is written down. */
  journal: Journal | undefined;
}

interface Refusal {
  readonly code: number;
  readonly message: string;
}

/** Failures in a row, each healed, before giving up. */
const TROUBLES_MAX = 8;
/** Transactions after which a state copy is made early, so that a replay stays short. */
const COPY_EVERY_TRANSACTIONS = 20_000;

/** How long after a broken connection the process may still seem to be there. */
const BREAK_MS = 200;

/** A running chain without its door. */
export class Sequencer {
  readonly #plan: BootPlan;
  readonly #options: SequencerOptions;
  readonly #stopping = new AbortController();
  #live: Anvil | undefined;
  #journal: Journal;
  #head: Head;
  #horizon: number;
  #base: number;
  #pool = new Map<Hash, PoolEntry>();
  #sending = new Map<Hash, Promise<Refusal | undefined>>();
  #gate: { readonly promise: Promise<void>; readonly open: () => void } | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #troubles = 0;
  #failure: SkeinError | undefined;
  #mineSoon = false;
  #sinceCopy = { blocks: 0, transactions: 0 };
  #ticking: Promise<void> = Promise.resolve();

  private constructor(plan: BootPlan, options: SequencerOptions, booted: Booted, journal: Journal) {
    this.#plan = plan;
    this.#options = options;
    this.#journal = journal;
    this.#head = booted.head;
    this.#horizon = booted.horizon;
    this.#base = booted.base;
    this.#adopt(booted);
  }

  /** Brings the chain up. Throws SkeinError("chain"). */
  static async open(plan: BootPlan, options: SequencerOptions): Promise<Sequencer> {
    const startMs = systemClock.monotonic();
    const booted = await bootChain(plan);
    const journal = await openJournal(path.join(plan.folder, FILES.journal), booted.head.block + 1);
    const sequencer = new Sequencer(plan, options, booted, journal);
    await sequencer.#writePool();
    const ms = systemClock.monotonic() - startMs;
    options.onEvent({ kind: "started", block: booted.head.block, replayed: booted.replayed, ms });
    sequencer.#ticking = sequencer.#tick();
    return sequencer;
  }

  get head(): Head {
    return this.#head;
  }

  get pid(): number | undefined {
    return this.#live?.pid;
  }

  get pending(): number {
    return this.#pool.size;
  }

  get failure(): SkeinError | undefined {
    return this.#failure;
  }

  /** Answers one request of a client. */
  async answer(request: unknown): Promise<string> {
    const verdict = judge(request, { ...this.#options.limits, horizon: this.#horizon });
    if (verdict.kind === "answer") return verdict.text;
    return verdict.kind === "send"
      ? await this.#send(verdict.id, verdict.raw, verdict.body)
      : await this.#ask(verdict.id, verdict.body);
  }

  /** Mines a block, and waits until it is safe. */
  async mine(): Promise<Head> {
    for (;;) {
      await this.#ready();
      const head = await this.#exclusive(async () => {
        const anvil = this.#live;
        return anvil === undefined ? undefined : await this.#mineWith(anvil);
      });
      if (head !== undefined) return head;
    }
  }

  /** Makes a last copy, stops anvil, and closes the journal. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#exclusive(async () => {
      const anvil = this.#live;
      if (anvil?.alive() === true && this.#sinceCopy.blocks > 0) await this.#copy(anvil);
      this.#live = undefined;
      await anvil?.stop();
      await this.#journal.close();
      this.#failure ??= new SkeinError("chain", "the embedded chain has stopped");
      this.#openGate();
    });
    await this.#ticking;
  }

  /** Passes a request on until it has an answer that may be told. */
  async #ask(id: string, body: string): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      while (this.#live === undefined && this.#gate !== undefined) await this.#gate.promise;
      const anvil = this.#live;
      if (anvil === undefined) return refusal(id, CODES.unavailable, this.#failure?.message ?? "the chain has stopped");
      let text: string | undefined;
      try {
        text = await anvil.forward(body);
      } catch (thrown) {
        // A connection breaks some moments before the process is seen to be gone, and a kept-alive one may close under a request.
        await Promise.race([anvil.gone, delay(BREAK_MS, undefined, { ref: false })]);
        if (anvil.alive() && attempt > 1) return refusal(id, CODES.internal, messageOf(thrown));
      }
      while (this.#gate !== undefined) await this.#gate.promise;
      if (text !== undefined && this.#live === anvil && anvil.alive()) return text;
    }
  }

  /** Passes a signed transaction on; the same one sent twice at once or again is one, and acknowledged each time. */
  async #send(id: string, raw: Hash, body: string): Promise<string> {
    const hash: Hash = `0x${toHex(keccak_256(hexToBytes(raw.slice(2))))}`;
    const done = answer(id, JSON.stringify(hash));
    const known = this.#pool.get(hash);
    if (known?.accepted === true) return done;
    const refused = await (this.#sending.get(hash) ?? this.#sendFirst(hash, raw, body));
    return refused === undefined ? done : refusal(id, refused.code, refused.message);
  }

  /** Sends a transaction that is not being sent; undefined, or why it was refused. */
  #sendFirst(hash: Hash, raw: Hash, body: string): Promise<Refusal | undefined> {
    const sent = this.#sendNew(hash, raw, body).finally(() => this.#sending.delete(hash));
    this.#sending.set(hash, sent);
    return sent;
  }

  async #sendNew(hash: Hash, raw: Hash, body: string): Promise<Refusal | undefined> {
    this.#makeRoom();
    const entry: PoolEntry = { raw, accepted: false, journal: undefined };
    this.#pool.set(hash, entry);
    const { error } = JSON.parse(await this.#ask("1", body)) as { error?: Refusal };
    // A refusal may only say that anvil has it already, from a try whose answer was lost.
    const found = error === undefined ? "pending" : await this.#whereIs(hash);
    if (found !== "pending") {
      if (this.#pool.get(hash) === entry) this.#pool.delete(hash);
      return found === "mined" ? undefined : error;
    }
    entry.accepted = true;
    if (this.#pool.get(hash) === entry) await this.#write([[hash, entry]]);
    if (this.#options.blockTimeSeconds === 0) this.#mineAtOnce();
    return undefined;
  }

  /** Whether a transaction is in a block, or in anvil's pool. */
  async #whereIs(hash: Hash): Promise<"mined" | "pending" | undefined> {
    const body = `{"jsonrpc":"2.0","id":1,"method":"eth_getTransactionByHash","params":["${hash}"]}`;
    const { result } = JSON.parse(await this.#ask("1", body)) as { result?: { blockNumber: unknown } | null };
    if (result === undefined || result === null) return undefined;
    return typeof result.blockNumber === "string" ? "mined" : "pending";
  }

  /** Where the pool is full, the one that has waited longest gives way: it is behind a gap of nonces, or it would have been mined. */
  #makeRoom(): void {
    if (this.#pool.size < POOL_MAX) return;
    const oldest = this.#pool.keys().next().value;
    if (oldest === undefined) return;
    this.#pool.delete(oldest);
    void this.#live?.call("anvil_dropTransaction", [oldest]).catch(() => {});
  }

  #mineAtOnce(): void {
    if (this.#mineSoon) return;
    this.#mineSoon = true;
    void this.mine().catch(() => {}); // a failure is told by the event
  }

  async #write(entries: readonly (readonly [Hash, PoolEntry])[]): Promise<void> {
    const journal = this.#journal;
    for (const [, entry] of entries) entry.journal = journal;
    await journal.append(entries.map(recordOf));
  }

  #writePool(): Promise<void> {
    return this.#write([...this.#pool].filter(([, { accepted }]) => accepted));
  }

  /** One after the other: mining, copying, healing. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Resolves when there is an anvil. Throws where there will be none any more. */
  async #ready(): Promise<void> {
    while (this.#live === undefined && this.#gate !== undefined) await this.#gate.promise;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #closeGate(): void {
    if (this.#gate !== undefined) return;
    let open = (): void => {};
    const promise = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gate = { promise, open };
  }

  #openGate(): void {
    const gate = this.#gate;
    this.#gate = undefined;
    gate?.open();
  }

  /** Mines with `anvil`; undefined where it failed, in which case it is killed and healing begins. */
  async #mineWith(anvil: Anvil): Promise<Head | undefined> {
    this.#mineSoon = false;
    this.#closeGate();
    let block: BlockFacts;
    try {
      const timestamp = nextTimestamp(this.#options.blockTimeSeconds, this.#head.timestamp, systemClock.now());
      await anvil.call("evm_mine", [{ timestamp }]);
      block = await latestBlock(anvil);
      assert(block.block === this.#head.block + 1 && block.parent === this.#head.hash, "a block beside the chain");
      await this.#record(block);
    } catch (thrown) {
      if (anvil.alive()) this.#options.onEvent({ kind: "note", what: `mining failed: ${messageOf(thrown)}` });
      anvil.kill();
      await anvil.gone;
      return undefined;
    }
    this.#troubles = 0;
    if (this.#live === anvil) this.#openGate(); // else it died after the block was safe, and healing will open
    const head = this.#head;
    this.#options.onEvent({ kind: "block", head, transactions: block.transactions.length });
    await this.#copyIfDue(anvil);
    return head;
  }

  async #record(block: BlockFacts): Promise<void> {
    const { transactions } = block;
    const entries = transactions.map((hash) => [hash, must(this.#pool.get(hash), `transaction ${hash}`)] as const);
    await this.#journal.commit(entries.filter(([, entry]) => entry.journal !== this.#journal).map(recordOf), {
      kind: "block",
      number: block.block,
      timestamp: block.timestamp,
      hash: block.hash,
      transactions,
    });
    this.#head = headOf(block);
    for (const hash of transactions) this.#pool.delete(hash);
    this.#sinceCopy.blocks++;
    this.#sinceCopy.transactions += transactions.length;
  }

  async #copyIfDue(anvil: Anvil): Promise<void> {
    const { blocks, transactions } = this.#sinceCopy;
    if (blocks < this.#options.copyEveryBlocks && transactions < COPY_EVERY_TRANSACTIONS) return;
    try {
      await this.#copy(anvil);
    } catch (thrown) {
      this.#sinceCopy = { blocks: 0, transactions: 0 }; // try again later; the journal has everything
      this.#options.onEvent({ kind: "note", what: `no state copy at block ${this.#head.block}: ${messageOf(thrown)}` });
    }
    const inMemory = this.#head.block - this.#horizon;
    if (inMemory > 2 * this.#options.blocksKept + this.#options.copyEveryBlocks && this.#live === anvil)
      await this.#recycle(anvil);
  }

  async #copy(anvil: Anvil): Promise<void> {
    const startMs = systemClock.monotonic();
    const { block } = this.#head;
    const folder = path.join(this.#plan.folder, FILES.copies);
    await writeCopy(folder, block, String(await anvil.call("anvil_dumpState")), this.#options.blocksKept);
    this.#sinceCopy = { blocks: 0, transactions: 0 };
    await this.#rotate();
    await removeCopies(folder, copiesToKeep(await copiesIn(folder), block, this.#base));
    this.#options.onEvent({ kind: "copied", block, ms: systemClock.monotonic() - startMs });
  }

  /** A new segment after the head, with what is waiting. */
  async #rotate(): Promise<void> {
    const old = this.#journal;
    this.#journal = await openJournal(path.join(this.#plan.folder, FILES.journal), this.#head.block + 1);
    await this.#writePool();
    await old.close();
  }

  /** A fresh anvil in place of one whose memory has grown. */
  async #recycle(anvil: Anvil): Promise<void> {
    this.#closeGate();
    this.#live = undefined;
    await anvil.stop();
    await this.#heal("recycled");
  }

  #adopt(booted: Booted): void {
    const { anvil } = booted;
    const unanswered = [...this.#pool].filter(([, { accepted }]) => !accepted);
    this.#pool = new Map([...booted.pending].map(([hash, raw]) => [hash, { raw, accepted: true, journal: undefined }]));
    for (const [hash, entry] of unanswered) this.#pool.set(hash, entry);
    this.#head = headOf(booted.head);
    this.#horizon = booted.horizon;
    this.#base = booted.base;
    this.#live = anvil;
    void anvil.gone.then((why) => {
      if (this.#live !== anvil) return;
      this.#live = undefined;
      this.#closeGate();
      if (this.#stopping.signal.aborted) return;
      this.#options.onEvent({ kind: "crashed", what: why });
      void this.#exclusive(() => this.#heal("healed"));
    });
  }

  /** Brings up another anvil, with growing pauses between failures; gives up after some. */
  async #heal(kind: "healed" | "recycled"): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const startMs = systemClock.monotonic();
      try {
        if (this.#troubles > 0) await delay(Math.min(5000, 50 * 2 ** this.#troubles), undefined, this.#stopping);
        this.#troubles++;
        await this.#journal.close();
        const booted = await bootChain(this.#plan);
        this.#journal = await openJournal(path.join(this.#plan.folder, FILES.journal), booted.head.block + 1);
        this.#adopt(booted);
        await this.#writePool();
        this.#openGate();
        const ms = systemClock.monotonic() - startMs;
        return this.#options.onEvent({ kind, block: booted.head.block, replayed: booted.replayed, ms });
      } catch (thrown) {
        if (this.#stopping.signal.aborted) return;
        this.#options.onEvent({ kind: "note", what: `restart failed: ${messageOf(thrown)}` });
        if (this.#troubles >= TROUBLES_MAX) return this.#giveUp(thrown);
      }
    }
  }

  #giveUp(cause: unknown): void {
    const details = messageOf(cause);
    const remedy =
      "look at the message below, mend its cause, and start the chain again; nothing that was mined is lost";
    this.#failure = new SkeinError("chain", "the embedded chain cannot be kept running", { details, remedy, cause });
    this.#openGate();
    this.#options.onEvent({ kind: "failed", what: `${this.#failure.message}: ${details}` });
  }

  async #tick(): Promise<void> {
    const { blockTimeSeconds: seconds } = this.#options;
    const { signal } = this.#stopping;
    if (seconds === "manual" || seconds === 0) return;
    while (!signal.aborted) {
      try {
        await this.#ready();
        await delay(waitMs(seconds, this.#head.timestamp, systemClock.now()), undefined, { signal });
        await this.mine();
      } catch {
        if (this.#failure !== undefined) return; // told by the event
      }
    }
  }
}

function headOf({ block, hash, timestamp }: Head): Head {
  return { block, hash, timestamp };
}

function recordOf([hash, { raw }]: readonly [Hash, PoolEntry]): TransactionRecord {
  return { kind: "tx", hash, raw };
}
