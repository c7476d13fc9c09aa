import { describe, expect, it } from "vitest";
import { keyOf } from "../../../test/helpers/network.ts";
import { SkeinError } from "../../base/errors.ts";
import { memoryLog } from "../../base/log/log.ts";
import { createTwin, type Twin } from "../../chain/twin/twin.ts";
import { openTerminal, type Terminal } from "../shared/terminal.ts";
import { type Faucet, raiseStake, type SeatRequest, takeSeat } from "./seat.ts";

const COIN = 10n ** 9n;
const owner = keyOf("owner");
const wallet = { coldkey: keyOf("cold"), hotkey: keyOf("hot") };

/** A terminal whose words are kept. */
function voice(): Terminal & { readonly said: string[] } {
  const said: string[] = [];
  const sink = { write: (text: string) => said.push(text.trimEnd()) };
  return Object.assign(openTerminal({ json: false, stdout: sink, stderr: sink, env: {} }), { said });
}

interface Scene {
  readonly twin: Twin;
  readonly request: SeatRequest;
  readonly log: ReturnType<typeof memoryLog>;
  readonly said: readonly string[];
  kinds(): string[];
  give(coins: bigint): Promise<void>;
}

/** A subnet whose uids cost a coin, and a newcomer with `coins`. */
async function scene(coins: bigint, more: Partial<SeatRequest> = {}): Promise<Scene> {
  const balances = new Map([[owner.account, 1_000_000n * COIN]]);
  const twin = createTwin({ balances, automine: true, blockSeconds: 1 });
  const fixed = { minBurn: COIN, maxBurn: COIN };
  const { netuid } = await twin.as(owner).createSubnet(keyOf("first"), 10_000n * COIN, fixed);
  const give = async (n: bigint): Promise<void> => {
    await twin.as(owner).transfer(wallet.coldkey.account, n * COIN);
  };
  if (coins > 0n) await give(coins);
  const [log, terminal] = [memoryLog(), voice()];
  const request = { chain: twin, netuid, wallet, log, terminal, ...more };
  const kinds = (): string[] => log.events.map(({ kind }) => kind);
  return { twin, request, log, said: terminal.said, kinds, give };
}

/** Lets everything happen that waits for no block. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("getting a uid", () => {
  it("buys one, and does not buy a second", async () => {
    const { twin, request, kinds } = await scene(5n);
    const uid = await takeSeat(request);
    expect(uid).toBe(1);
    expect(await takeSeat(request)).toBe(uid);
    expect((await twin.funds(wallet.coldkey.account)).balance).toBe(4n * COIN);
    expect(kinds()).toEqual(["registered"]);
  });

  it("asks the faucet where there is one, and waits for its block", async () => {
    const asked: string[] = [];
    let open: Scene;
    const faucet: Faucet = async (account) => {
      asked.push(account);
      await open.give(2n);
      return { rao: 2n * COIN, block: (await open.twin.head()).block };
    };
    open = await scene(0n, { faucet: (account) => faucet(account) });
    expect(await takeSeat(open.request)).toBe(1);
    expect(asked).toEqual([wallet.coldkey.account]);
    expect(open.kinds()).toEqual(["funded", "registered"]);
  });

  it("says what is missing, once, and goes on when somebody sends it", async () => {
    let refusals = 0;
    const faucet: Faucet = async () => {
      refusals++;
      throw new SkeinError("store", "the faucet is empty");
    };
    const { twin, request, kinds, said, give } = await scene(0n, { faucet });
    const seat = takeSeat(request);
    for (let i = 0; i < 5; i++) {
      await settled();
      twin.mine();
    }
    await settled();
    expect(kinds()).toEqual(["faucet-refused", "needs-coins"]);
    expect(said.join("\n")).toContain(`skein transfer ${wallet.coldkey.address} 1`);
    expect(said.join("\n")).toContain("the faucet is empty");
    await give(1n);
    expect(await seat).toBe(1);
    expect(refusals).toBe(1);
  });

  it("does not take an old grant for a new one", async () => {
    const open = await scene(0n, { faucet: async () => ({ rao: COIN, block: 1 }) });
    const seat = takeSeat(open.request);
    await settled();
    expect(open.kinds()).toEqual(["faucet-refused", "needs-coins"]);
    await open.give(1n);
    expect(await seat).toBe(1);
  });

  it("waits rather than pay more than it may, until it is stopped", async () => {
    const stop = new AbortController();
    const { twin, request, kinds, said } = await scene(5n, { maxBurn: COIN - 1n, signal: stop.signal });
    const seat = takeSeat(request);
    await settled();
    twin.mine();
    await settled();
    expect(kinds()).toEqual([]);
    expect(said.join("\n")).toContain("--max-burn");
    stop.abort();
    await expect(seat).rejects.toMatchObject({ code: "interrupted" });
    expect((await twin.funds(wallet.coldkey.account)).balance).toBe(5n * COIN);
  });

  it("passes on what waiting does not mend", async () => {
    const { twin, request } = await scene(5n);
    await twin.as(owner).setSubnet(request.netuid, { registrationAllowed: false });
    await expect(takeSeat(request)).rejects.toMatchObject({ code: "chain" });
  });
});

describe("staking", () => {
  it("adds what is missing, and no more than there is", async () => {
    const { twin, request, kinds, said } = await scene(11n);
    await takeSeat(request);
    expect(await raiseStake(request, 4n * COIN)).toBe(4n * COIN);
    expect(await raiseStake(request, 4n * COIN)).toBe(4n * COIN);
    expect(await raiseStake(request, 3n * COIN)).toBe(4n * COIN);
    expect((await twin.funds(wallet.coldkey.account)).balance).toBe(6n * COIN);
    expect(await raiseStake(request, 100n * COIN)).toBe(10n * COIN);
    expect(said.join("\n")).toContain("90 fewer than --stake asks for");
    expect(await raiseStake(request, 100n * COIN)).toBe(10n * COIN);
    expect(kinds()).toEqual(["registered", "staked", "staked"]);
  });
});
