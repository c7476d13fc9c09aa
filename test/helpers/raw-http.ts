/** HTTP by hand: bytes to a socket, and what comes back until it is closed. */
import net from "node:net";

/** An answer as text: status (0 where none came), headers by lower-case name, body. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A connection of which every step is one's own. */
export interface RawConnection {
  readonly socket: net.Socket;
  /** What has come when the other side has closed. */
  readonly closed: Promise<RawAnswer>;
}

/** Opens a connection to `port` of this machine. */
export function openRaw(port: number): RawConnection {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  const closed = new Promise<RawAnswer>((resolve) => {
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => undefined);
    socket.on("end", () => socket.destroy());
    socket.on("close", () => resolve(parseAnswer(Buffer.concat(chunks).toString("latin1"))));
  });
  return { socket, closed };
}

/** Sends `bytes` and collects what comes until the other side closes. */
export async function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  options: { end?: boolean } = {},
): Promise<RawAnswer> {
  const { socket, closed } = openRaw(port);
  socket.write(bytes);
  if (options.end === true) socket.end();
  return closed;
}

/** The head of a request, with the empty line at its end. */
export function headOf(method: string, path: string, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** One request, whose connection the server is asked to close. */
export function request(
  port: number,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body: string | Uint8Array = "",
): Promise<RawAnswer> {
  const head = headOf(method, path, { host: "localhost", connection: "close", ...headers });
  return sendRaw(port, Buffer.concat([Buffer.from(head, "latin1"), Buffer.from(body as string)]));
}

function parseAnswer(text: string): RawAnswer {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const entry = (line: string): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  };
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0);
  return { status, headers: new Map(lines.map(entry)), body: rest.join("\r\n\r\n") };
}
