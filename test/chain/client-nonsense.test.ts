/** The EVM client and nodes that answer nonsense: always an error for people, never a crash, a hang or memory without end. */
import { afterAll, describe, expect, it } from "vitest";
import type { Chain } from "../../src/chain/chain.ts";
import { connectEvm } from "../../src/chain/evm/client.ts";
import { testHash, testSigner } from "../contract/chain-kit.ts";
import { type Door, startServer } from "../helpers/flaky-proxy.ts";

const HASH = testHash("a hash");
const word = (value: bigint): string => value.toString(16).padStart(64, "0");
const deep = (levels: number): string => `${'{"cause":'.repeat(levels)}1${"}".repeat(levels)}`;
const answerTo = (id: unknown, rest: string): string => `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${rest}}`;

/** What a node says instead of an answer, after "jsonrpc" and "id". */
const ANSWERS: Readonly<Record<string, string>> = {
  "nothing at all": `"x":1`,
  "a null": `"result":null`,
  "a number": `"result":7`,
  "a word": `"result":"yes"`,
  "a list": `"result":[[[[]]]]`,
  "an object": `"result":{"number":"0x","hash":[],"timestamp":{},"baseFeePerGas":"lots"}`,
  "empty bytes": `"result":"0x"`,
  "no hex": `"result":"0xzz"`,
  "an odd number of digits": `"result":"0x123"`,
  ones: `"result":"0x${"f".repeat(200_000)}"`,
  "a list without end": `"result":"0x${word(32n)}${word(1n << 255n)}"`,
  "a long list of nothing": `"result":"0x${word(32n)}${word(1n << 31n)}${word(0n).repeat(100)}"`,
  "pointers in a circle": `"result":"0x${word(32n).repeat(400)}"`,
  "a block out of the numbers": `"result":{"number":"0x${"f".repeat(64)}","hash":"${HASH}","timestamp":"0x1"}`,
  "a block without number": `"result":{"number":null,"hash":"${HASH}","timestamp":"0x1","transactions":[]}`,
  "a block without hash": `"result":{"number":"0x5","hash":null,"timestamp":"0x1","transactions":[]}`,
  "an error without text": `"error":{"code":-32000}`,
  "an error of the wrong kind": `"error":"no"`,
  "an error with codes for terminals": `"error":{"code":-32000,"message":"\\u001b[2J\\u0007 boo"}`,
  "an error full of causes": `"error":${deep(5000)}`,
  "a refusal that nobody knows": `"error":{"code":3,"message":"execution reverted","data":"0x12345678"}`,
  "a refusal cut off": `"error":{"code":3,"message":"execution reverted","data":"0x08c379a0"}`,
  "a refusal without end": `"error":{"code":3,"message":"execution reverted","data":"0x${"08".repeat(500_000)}"}`,
};

let speech = (id: unknown, method: string): string => answerTo(id, `"result":"0x1"`) + method.slice(method.length);
let status = 200;
const doors: Door[] = [];
const chains: Chain[] = [];
afterAll(async () => {
  for (const chain of chains) await chain.close();
  for (const door of doors) await door.close();
});

interface Request {
  readonly id: unknown;
  readonly method: string;
}

/** A node that is fine until somebody is connected. */
async function connected(rest: Record<string, number> = {}, settleBlocks = 0): Promise<Chain> {
  const door = await startServer((body, response) => {
    const asked = JSON.parse(body) as Request | Request[];
    const one = ({ id, method }: Request): string => speech(id, method);
    const text = Array.isArray(asked) ? `[${asked.map(one).join(",")}]` : one(asked);
    response.writeHead(status, { "content-type": "application/json" }).end(text);
  });
  doors.push(door);
  speech = (id) => answerTo(id, `"result":"0x1"`);
  status = 200;
  const patience = { retries: 0, giveUpMs: 5, ...rest };
  const chain = await connectEvm({ rpcUrl: door.url, pollMs: 1, settleBlocks, patience });
  chains.push(chain);
  return chain;
}

function questions(chain: Chain): (readonly [string, () => Promise<unknown>])[] {
  const [signer, other] = [testSigner("ann"), testSigner("bob")];
  const me = chain.as(signer);
  const weights = { uids: [0], values: [1] };
  const terms = {
    netuid: 1,
    specHash: HASH,
    genesisRoot: HASH,
    startBlock: 9,
    trainBlocks: 1,
    revealBlocks: 1,
    voteBlocks: 1,
  };
  return [
    ["head", () => chain.head()],
    ["blockHash", () => chain.blockHash(3)],
    ["waitForBlock", () => chain.waitForBlock(1_000_000_000)],
    ["subnets", () => chain.subnets()],
    ["metagraph", () => chain.metagraph(1)],
    ["weights", () => chain.weights(1)],
    ["bonds", () => chain.bonds(1)],
    ["funds", () => chain.funds(signer.account)],
    ["issuance", () => chain.issuance()],
    ["run", () => chain.run(0)],
    ["commits", () => chain.commits(0, 0)],
    ["votes", () => chain.votes(0, 0)],
    ["decision", () => chain.decision(0, 0)],
    ["transfer", () => me.transfer(other.account, 1n)],
    ["createSubnet", () => me.createSubnet(other, 1n)],
    ["setSubnet", () => me.setSubnet(1, { kappa: 1 })],
    ["register", () => me.register(1, other, 1n)],
    ["setWeights", () => me.setWeights(1, weights)],
    ["stepEpoch", () => me.stepEpoch(1)],
    ["createRun", () => me.createRun(terms)],
    ["vote", () => me.vote(0, 0, [1], HASH)],
  ];
}

const isTold = (thrown: unknown): boolean =>
  typeof thrown === "object" && thrown !== null && "code" in thrown && thrown.code === "chain";

describe("a node that answers nonsense", () => {
  const ways = Object.entries(ANSWERS).flatMap(([name, rest]) => [0, 3].map((late) => [name, late, rest] as const));
  it.each(ways)("is found out: %s (shown %i blocks late)", async (_, late, rest) => {
    const chain = await connected({}, late);
    const asking = questions(chain);
    speech = (id) => answerTo(id, rest);
    for (const [name, ask] of asking) {
      const outcome = await ask().then(
        () => "an answer",
        (thrown: unknown) => thrown,
      );
      if (outcome === "an answer") continue; // what looks right cannot be told from what is
      expect(isTold(outcome) || outcome, name).toBe(true);
      const { message } = outcome as Error;
      expect(message, name).toMatch(/^[\x20-\x7e]+$/);
      expect(message.length, name).toBeLessThan(400);
    }
  });

  it("or nothing that can be read", async () => {
    const chain = await connected();
    for (const text of ["", "<html>", "[", "[]", "null", "7", `[${"[".repeat(10_000)}`]) {
      speech = () => text;
      for (const [name, ask] of questions(chain)) {
        const outcome = await ask().catch((thrown: unknown) => thrown);
        expect(isTold(outcome) || outcome, name).toBe(true);
      }
    }
    for (status of [400, 404, 500, 503]) {
      for (const [name, ask] of questions(chain)) {
        const outcome = await ask().catch((thrown: unknown) => thrown);
        expect(isTold(outcome) || outcome, name).toBe(true);
      }
    }
  });

  it("is found out: a decision with more incentives than uids", async () => {
    const chain = await connected();
    const decision = (uids: bigint, incentives: readonly bigint[]): string =>
      [32n, 7n, uids, 1n, 2n, 160n, BigInt(incentives.length), ...incentives].map(word).join("");
    speech = (id) => answerTo(id, `"result":"0x${decision(0b110n, [5n, 6n])}"`);
    const right = { accepted: [1, 2], incentives: [5, 6], block: 7, stateRoot: `0x${word(1n)}`, seed: `0x${word(2n)}` };
    expect(await chain.decision(0, 3)).toEqual({ round: 3, ...right });
    for (const said of [decision(0b110n, [5n]), decision(0b110n, [5n, 6n, 7n]), decision(0n, [5n])]) {
      speech = (id) => answerTo(id, `"result":"0x${said}"`);
      await expect(chain.decision(0, 3)).rejects.toMatchObject({ code: "chain" });
    }
  });

  it("is noticed when it changes over to another chain", async () => {
    const chain = await connected();
    speech = (id, method) => {
      if (method !== "eth_getBlockByNumber") return answerTo(id, `"result":"0x2"`);
      return answerTo(id, `"result":{"number":"0x5","hash":"${HASH}","timestamp":"0x1","transactions":[]}`);
    };
    const changed = { code: "chain", message: "the node has changed over from chain 1 to chain 2" };
    await expect(chain.head()).rejects.toMatchObject(changed);
    await expect(chain.waitForBlock(1)).rejects.toMatchObject(changed);
    await expect(chain.as(testSigner("ann")).claim()).rejects.toMatchObject(changed);
  });

  it("that is, one that never ends its answer", async () => {
    const door = await startServer((body, response) => {
      const [id] = [body]
        .flatMap((text) => JSON.parse(text) as { id: number }[] | { id: number } as { id: number }[])
        .map((each) => each.id);
      response.writeHead(200, { "content-type": "application/json" });
      if (doors.includes(door) && body.includes("getBlock"))
        response.write("["); // and no more
      else
        response.end(
          body.startsWith("[")
            ? `[${(JSON.parse(body) as Request[]).map((each) => answerTo(each.id, `"result":"0x1"`)).join(",")}]`
            : answerTo(id, `"result":"0x1"`),
        );
    });
    doors.push(door);
    const chain = await connectEvm({ rpcUrl: door.url, patience: { retries: 0, requestMs: 100 } });
    chains.push(chain);
    await expect(chain.head()).rejects.toMatchObject({ code: "chain" });
  });
});

it("an address that is none, and one where nobody is", async () => {
  await expect(connectEvm({ rpcUrl: "ftp://example.org" })).rejects.toMatchObject({ code: "usage" });
  await expect(connectEvm({ rpcUrl: "http://" })).rejects.toMatchObject({ code: "usage" });
  const door = await startServer(() => undefined);
  await door.close();
  const nobody = connectEvm({ rpcUrl: `${door.url}/secret-key` });
  await expect(nobody).rejects.toMatchObject({ code: "chain", message: `no chain answers at ${door.url}` });
});
