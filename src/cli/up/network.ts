/**
 * The network of `skein up`, from its first process to its last: chain, gateway, validators, trainers, in this order, and the other way round at
 * the end. Nothing in here knows what it looks like; whoever shows it is told every event.
 */
import { SkeinError } from "../../base/errors.ts";
import { type LogFields, numberIn, textIn } from "../../base/log/log.ts";
import { folderStore } from "../../store/folder.node.ts";
import type { Board } from "./board.ts";
import { chainPlan, filesOf, gatewayPlan, nodesOf, trainerPlan, type UpPlan, validatorPlan } from "./plan.ts";
import { type Child, type ChildPlan, superviseChild } from "./supervisor.ts";
import { watchChain } from "./watch.ts";

/** What a network takes. */
export interface NetworkOptions {
  readonly plan: UpPlan;
  /** The run's: 64 hex digits. */
  readonly specHash: string;
  /** This very program. */
  readonly program: readonly [string, ...string[]];
  /** Kept up to date by `tell`. */
  readonly board: Board;
  /** Rounds after which it ends; absent: none. */
  readonly rounds?: number;
  /** Told everything: what nodes say, and, as node "up", what was seen from here. */
  readonly tell: (node: string, kind: string, fields: LogFields) => void;
  /** Told the join link, before anybody uses it. */
  readonly onLink: (link: string) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Why it ended: as many rounds as were asked for, the run's end, or the signal. */
export type NetworkEnd = "rounds" | "over" | "stopped";

/**
 * Runs it. Throws the SkeinError of a node that cannot work. When it returns or throws, no process of it is left; neither is when this
 * process exits in the middle.
 */
export async function runNetwork(options: NetworkOptions): Promise<NetworkEnd> {
  const network = new Network(options);
  return network.run();
}

class Network {
  private readonly options: NetworkOptions;
  private readonly children: Child[] = [];
  /** Aborts when the end has begun: nothing is started any more. */
  private readonly over: AbortController = new AbortController();
  /** Aborts when there is no chain to watch any more. */
  private readonly blind: AbortController = new AbortController();
  private readonly hotkeys: Map<string, string> = new Map();
  private finish: (end: NetworkEnd) => void = () => undefined;
  private fail: (reason: unknown) => void = () => undefined;
  /** Rounds to go, once the first has applied something. */
  private counted = 0;
  private firstRound: number | undefined;

  constructor(options: NetworkOptions) {
    this.options = options;
  }

  async run(): Promise<NetworkEnd> {
    const killAll = (): void => {
      for (const child of this.children) child.kill();
    };
    process.once("exit", killAll);
    const { signal } = this.options;
    const onAbort = (): void => this.finish("stopped");
    try {
      return await new Promise<NetworkEnd>((resolve, reject) => {
        this.finish = resolve;
        this.fail = reject;
        signal.addEventListener("abort", onAbort, { once: true });
        if (signal.aborted) onAbort();
        else this.bringUp().catch(reject);
      });
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.over.abort();
      await this.stopAll();
      process.off("exit", killAll);
    }
  }

  private async bringUp(): Promise<void> {
    const { plan, board, onLink } = this.options;
    const chain = await this.ready(chainPlan(plan));
    const rpcUrl = textIn(chain, "rpcUrl") ?? `http://127.0.0.1:${plan.ports.chain}`;
    const gateway = await this.ready(gatewayPlan(plan, rpcUrl));
    const [link, runId] = [textIn(gateway, "link"), numberIn(gateway, "runId")];
    if (link === undefined || runId === undefined) throw new SkeinError("store", "the gateway does not say its link");
    await onLink(link);
    this.watch(rpcUrl, runId);
    const goesOn = board.rounds > 0; // all have their uids: nobody has to wait for another one's transactions
    const nodes: Child[] = [];
    for (const node of nodesOf(plan)) {
      const { name, role } = node;
      if (role !== "validator" && role !== "trainer") continue;
      const child = this.start(
        role === "validator" ? validatorPlan(plan, name, link) : trainerPlan(plan, node, link),
        node.adversary === undefined,
      );
      if (node.adversary === undefined) nodes.push(child);
      // Validators spend the same coins as the gateway's faucet: one after another.
      if (role === "validator" && !goesOn) await child.ready;
    }
    const ends = await Promise.all(nodes.map(({ ended }) => ended));
    if (ends.every((end) => end === "done")) this.finish("over");
  }

  private async ready(plan: ChildPlan): Promise<LogFields> {
    const fields = await this.start(plan).ready;
    if (fields !== undefined) return fields;
    throw new SkeinError("interrupted", `${plan.name} was stopped`);
  }

  /** Starts a node. One that cannot work ends the network where it `matters`; what a dishonest one dies of is its own business. */
  private start(plan: ChildPlan, matters = true): Child {
    if (this.over.signal.aborted) throw new SkeinError("interrupted", "stopped");
    const { program, plan: all } = this.options;
    const onEvent = (name: string, kind: string, fields: LogFields): void => this.heard(name, kind, fields);
    const child = superviseChild(plan, { program, folder: all.dir, onEvent });
    this.children.push(child);
    if (matters) child.ended.catch((thrown: unknown) => this.fail(thrown));
    return child;
  }

  private heard(node: string, kind: string, fields: LogFields): void {
    const { board, tell, rounds } = this.options;
    const hotkey = kind === "ready" ? textIn(fields, "hotkey") : undefined;
    if (hotkey !== undefined) this.hotkeys.set(hotkey, node);
    const before = board.last?.round;
    tell(node, kind, fields);
    const { last, place } = board;
    this.firstRound ??= place?.round;
    if (rounds === undefined || last === undefined || last.round === before) return;
    if (last.round < (this.firstRound ?? 0) || (this.counted === 0 && last.applied === 0)) return;
    this.counted += 1;
    if (this.counted >= rounds) this.finish("rounds");
  }

  private watch(rpcUrl: string, runId: number): void {
    const { board, plan, specHash, tell } = this.options;
    const { hotkeys, blind } = this;
    const reports = { store: folderStore(filesOf(plan.dir).blobs), specHash };
    const watching = watchChain({ rpcUrl, runId, hotkeys, epoch: board.epoch, reports, tell, signal: blind.signal });
    watching.catch((thrown: unknown) => this.fail(thrown));
  }

  /** Those who work first, those they work with last. */
  private async stopAll(): Promise<void> {
    const roles = new Map(nodesOf(this.options.plan).map(({ name, role }) => [name, role]));
    for (const role of ["trainer", "validator", "gateway", "chain"]) {
      if (role === "chain") this.blind.abort();
      const group = this.children.filter(({ name }) => roles.get(name) === role);
      for (const { name } of group) this.options.tell(name, "stopping", {});
      await Promise.all(group.map((child) => child.stop()));
    }
  }
}
