/**
 * From a request's path to what it means. Paths are compared as they come, without decoding and without taking ".." out: everything that is served has a
 * name of plain characters, so whatever needs decoding is nothing of ours.
 */
import { HTTP_PATH_CHARS_MAX } from "../../base/limits.ts";

/** What a path means. */
export type Route =
  | { readonly name: "root" }
  | { readonly name: "page"; readonly specHash: string; readonly slash: boolean }
  | { readonly name: "info" }
  | { readonly name: "store"; readonly key: string }
  | { readonly name: "list"; readonly prefix: string }
  | { readonly name: "rpc" }
  | { readonly name: "faucet" };

/** Methods of each route. */
export const METHODS: Readonly<Record<Route["name"], readonly string[]>> = {
  root: ["GET", "HEAD"],
  page: ["GET", "HEAD"],
  info: ["GET", "HEAD"],
  store: ["GET", "HEAD", "PUT"],
  list: ["GET", "HEAD"],
  rpc: ["POST"],
  faucet: ["POST"],
};

/** What `target` (a request's path and query) means below `prefix` ("" or "/some/path"); undefined where it means nothing here. */
export function routeOf(target: string, prefix = ""): Route | undefined {
  if (target.length > HTTP_PATH_CHARS_MAX || !target.startsWith(`${prefix}/`)) return undefined;
  const path = target.slice(prefix.length).replace(/[?#].*$/s, "");
  const below = (folder: string): string | undefined =>
    path.startsWith(folder) ? path.slice(folder.length) : undefined;
  const key = below("/store/");
  if (key !== undefined) return { name: "store", key };
  const listed = below("/list/");
  if (listed !== undefined) return { name: "list", prefix: listed };
  const [, specHash, slash] = /^\/r\/([0-9a-f]{64})(\/?)$/.exec(path) ?? [];
  if (specHash !== undefined) return { name: "page", specHash, slash: slash === "/" };
  if (path === "/") return { name: "root" };
  if (path === "/info") return { name: "info" };
  if (path === "/rpc") return { name: "rpc" };
  return path === "/faucet" ? { name: "faucet" } : undefined;
}

/** Which keys anybody may read. */
export function isReadable(key: string): boolean {
  return key === "run.json" || /^(?:blobs|news|data)\//.test(key);
}
