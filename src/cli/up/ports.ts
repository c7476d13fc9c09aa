/** Which ports chain and gateway of `skein up` have: chosen once and kept, so that the join link stays the same. */
import * as net from "node:net";
import * as path from "node:path";
import { fromUtf8, utf8 } from "../../base/bytes.ts";
import { readBounded, writeWhole } from "../../chain/files.node.ts";
import type { Ports } from "./plan.ts";

const FILE_BYTES_MAX = 4096;
/** The ports of `skein chain` and `skein launch`, taken where they are free. */
const USUAL: Ports = { chain: 8545, gateway: 8640 };

/** The ports kept in `dir`, as far as they are free; others, which are then kept, in place of those that are not. */
export async function choosePorts(dir: string): Promise<Ports> {
  const file = path.join(dir, "up.json");
  const kept = (await readPorts(file)) ?? USUAL;
  const chain = await freePort(kept.chain);
  const ports = { chain, gateway: await freePort(kept.gateway, chain) };
  await writeWhole(file, utf8(`${JSON.stringify({ ports })}\n`));
  return ports;
}

async function readPorts(file: string): Promise<Ports | undefined> {
  const bytes = await readBounded(file, FILE_BYTES_MAX);
  if (bytes === undefined) return undefined;
  try {
    const { ports } = JSON.parse(fromUtf8(bytes)) as { ports?: Partial<Ports> };
    const { chain, gateway } = ports ?? {};
    return isPort(chain) && isPort(gateway) ? { chain, gateway } : undefined;
  } catch {
    return undefined; // chosen anew
  }
}

function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 65_536;
}

/** `wanted` where nobody listens there and it is not `taken`, else any free port. */
async function freePort(wanted: number, taken?: number): Promise<number> {
  return (wanted === taken ? undefined : await listenOnce(wanted)) ?? (await listenOnce(0)) ?? wanted;
}

/** Listens for a moment; the port, or undefined where it cannot be had. */
function listenOnce(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? address?.port : undefined));
    });
  });
}
