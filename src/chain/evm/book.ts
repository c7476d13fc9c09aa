/** The addresses of a chain's contracts as a file: JSON, written by a deployment, read as a stranger's. */
import { SkeinError } from "../../base/errors.ts";
import { type AddressBook, CONTRACT_NAMES } from "./deploy.ts";

/** The file's text for `book`. */
export function addressBookJson(book: AddressBook): string {
  return `${JSON.stringify(book, undefined, 2)}\n`;
}

/** The book in `text`, which came from `file`. Throws SkeinError("config"). */
export function parseAddressBook(text: string, file: string): AddressBook {
  const wrong = (problem: string): SkeinError =>
    new SkeinError("config", `${file} is no list of contracts: ${problem}`, {
      remedy: "take the file that `skein chain deploy` wrote",
    });
  let fields: ReadonlyMap<string, unknown>;
  try {
    fields = new Map(Object.entries(JSON.parse(text) as object));
  } catch {
    throw wrong("it is not JSON");
  }
  const entries = Object.keys(CONTRACT_NAMES).map((role) => {
    const address = fields.get(role);
    if (typeof address !== "string" || !/^0x[0-9a-f]{40}$/i.test(address)) throw wrong(`no address for ${role}`);
    return [role, address.toLowerCase()] as const;
  });
  return Object.fromEntries(entries) as AddressBook;
}
