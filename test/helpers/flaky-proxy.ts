/** A door in front of a node that loses, delays, doubles and rewrites what passes, as it is told. */
import http from "node:http";
import type { AddressInfo } from "node:net";

/** What happens to a request: its answer is passed on; it is lost before the node, or its answer after it; the node is busy; sent twice. */
export type Fate = "pass" | "lose" | "loseAnswer" | "busy" | "twice";

/** What a proxy does with what passes. */
export interface ProxyPlan {
  /** The node's address; asked for each request, so that it may move. */
  target(): string;
  fate?(body: string): Fate;
  /** Changes a request on its way. */
  rewrite?(body: string): string;
}

/** A running server. */
export interface Door {
  readonly url: string;
  close(): Promise<void>;
}

/** Starts a proxy on a free port. */
export async function startProxy({ target, fate = () => "pass", rewrite = (body) => body }: ProxyPlan): Promise<Door> {
  const forward = (body: string): Promise<Response> =>
    fetch(target(), { method: "POST", headers: { "content-type": "application/json" }, body });
  return startServer(async (text, response) => {
    const body = rewrite(text);
    const what = fate(text);
    if (what === "lose") return void response.destroy();
    if (what === "busy") return void response.writeHead(503).end("busy");
    if (what === "twice") await (await forward(body)).text();
    const answer = await (await forward(body)).text();
    if (what === "loseAnswer") return void response.destroy();
    response.writeHead(200, { "content-type": "application/json" }).end(answer);
  });
}

/** Answers posts with `handle`; what it throws closes the connection. */
export async function startServer(
  handle: (body: string, response: http.ServerResponse) => Promise<void> | void,
): Promise<Door> {
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => undefined);
    request.on("end", async () => {
      try {
        await handle(Buffer.concat(chunks).toString(), response);
      } catch {
        response.destroy();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
