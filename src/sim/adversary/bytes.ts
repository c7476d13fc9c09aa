/** Peers whose bytes are not what they should be: broken, foreign, old, or of something that cannot be a number. */
import { concatBytes, utf8 } from "../../base/bytes.ts";
import { type Random, seededRandom } from "../../base/random.ts";
import type { SentTensor } from "../../codec/feedback.ts";
import type { ActingNode } from "../../roles/network/node.ts";
import { PAYLOAD_HEADER_BYTES, PAYLOAD_SIGNATURE_BYTES, payloadBytesMax } from "../../round/payload.ts";
import type { Adversary } from "./adversary.ts";
import { signedAgain, unsignedOf, withFirstSteps, withTamper } from "./hands.ts";

/** Bytes of a payload that are not its body. */
const FRAME_BYTES = PAYLOAD_HEADER_BYTES + PAYLOAD_SIGNATURE_BYTES;

type Breaker = (bytes: Uint8Array, node: ActingNode, random: Random) => Uint8Array | Promise<Uint8Array>;

const randomBytes = (length: number, random: Random): Uint8Array =>
  Uint8Array.from({ length }, () => random.below(256));

/** The body exchanged, the header's length of it corrected, signed again. */
function withBody(bytes: Uint8Array, node: ActingNode, body: Uint8Array): Promise<Uint8Array> {
  const header = bytes.slice(0, PAYLOAD_HEADER_BYTES);
  new DataView(header.buffer).setUint32(PAYLOAD_HEADER_BYTES - 4, body.length, true);
  return signedAgain(node, concatBytes([header, body]));
}

/** Ways to break a payload that is well signed otherwise. */
const BREAKERS: readonly Breaker[] = [
  (bytes) => bytes.slice(0, bytes.length / 2),
  (bytes) => concatBytes([bytes, Uint8Array.of(0)]),
  () => new Uint8Array(0),
  (bytes, node) => concatBytes([bytes, new Uint8Array(2 * payloadBytesMax(node.body))]),
  (bytes, node, random) => withBody(bytes, node, randomBytes(bytes.length - FRAME_BYTES, random)),
  (bytes, node) => withBody(bytes, node, new Uint8Array(0)),
  (bytes, node) => withBody(bytes, node, new Uint8Array(node.body.bytesMax + 1)),
  (bytes, node) => withBody(bytes, node, unsignedOf(bytes).slice(PAYLOAD_HEADER_BYTES, -4)),
  (bytes, node) => {
    const unsigned = unsignedOf(bytes);
    unsigned[PAYLOAD_HEADER_BYTES - 10] = 255 - (unsigned[PAYLOAD_HEADER_BYTES - 10] as number); // the layout's hash
    return signedAgain(node, unsigned);
  },
  (bytes, _node, random) => {
    const cut = bytes.slice();
    cut[random.below(cut.length)] = random.below(256);
    return cut;
  },
];

/** Beginnings of formats that carry code or unpack to a multiple of their size; nothing in a payload's reader knows any of them. */
const FOREIGN: readonly Uint8Array[] = [
  utf8("\u0080\u0004cos\nsystem\n(S'true'\ntR."), // a pickle that calls a function
  concatBytes([Uint8Array.of(0x50, 0x4b, 3, 4), new Uint8Array(4096)]), // zip, as torch.save writes it
  concatBytes([Uint8Array.of(0x1f, 0x8b, 8, 0), new Uint8Array(4096)]), // gzip
  concatBytes([Uint8Array.of(0x93), utf8("NUMPY\u0001\u0000v\u0000{'descr': '|O', 'shape': (99999999999,)}")]),
  concatBytes([Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127), utf8('{"a":')]), // safetensors with an absurd header
  utf8(`{"__proto__": ${"[".repeat(5000)}`),
  utf8("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>&b;&b;</a>"),
  concatBytes([utf8("SKPL"), new Uint8Array(4096).fill(255)]), // our own magic, and then no sense
];

/** Puts `bits`, a bfloat16, in place of every level. */
async function withLevels(bytes: Uint8Array, node: ActingNode, bits: number): Promise<Uint8Array> {
  const unsigned = unsignedOf(bytes);
  const view = new DataView(unsigned.buffer);
  for (let at = 0; at < node.body.levelBytes; at += 2) view.setUint16(PAYLOAD_HEADER_BYTES + at, bits, true);
  return signedAgain(node, unsigned);
}

/** NaN, infinity, the largest number there is, minus one. */
const NO_LEVELS = [0x7fc0, 0x7f80, 0x7f7f, 0xbf80] as const;

/** Kinds 5, 6, 7, 9 and 23. */
export const BYTES: readonly Adversary[] = [
  {
    name: "not-finite",
    number: 5,
    who: "peer",
    does: "puts NaN, infinities and absurd numbers in place of its payload's levels",
    defence: "levels are checked when they are decoded; the payload is a fault",
    trainer: (options) =>
      withTamper(withFirstSteps(options, 0), {
        bytes: (bytes, round) => withLevels(bytes, options.node, NO_LEVELS[round % NO_LEVELS.length] as number),
      }),
  },
  {
    name: "malformed",
    number: 6,
    who: "peer",
    does: "cuts, lengthens, empties, fills and flips its payload, each round in another way, and signs it well",
    defence: "a bounded decoder that gives a fault; bytes beyond the longest payload are not fetched",
    trainer(options, ring) {
      const random = seededRandom(`${ring.seed} malformed ${options.node.signer.account}`);
      return withTamper(withFirstSteps(options, 0), {
        bytes: (bytes, round) => {
          const way = BREAKERS[round % BREAKERS.length] as Breaker;
          return way(bytes, options.node, random);
        },
      });
    },
  },
  {
    name: "foreign-format",
    number: 7,
    who: "peer",
    does: "sends pickles, archives and other formats that run code or unpack to much",
    defence: "no format that carries code exists here: these are bytes without the magic",
    trainer: (options) =>
      withTamper(withFirstSteps(options, 0), {
        bytes: (_bytes, round) => FOREIGN[round % FOREIGN.length] as Uint8Array,
      }),
  },
  {
    name: "replay",
    number: 9,
    who: "peer",
    does: "trains in its first rounds, and then sends that payload again: as it was, and with a new header and signature",
    defence: "round and base state stand in the signed header; likeness to earlier payloads",
    trainer(options) {
      let old: { readonly bytes: Uint8Array; readonly sent: readonly SentTensor[] } | undefined;
      let newest: readonly SentTensor[] = [];
      const idle = withFirstSteps(options, () => (old === undefined ? Number.POSITIVE_INFINITY : 0));
      return withTamper(idle, {
        sent(tensors, round) {
          newest = tensors;
          return round % 4 === 3 || old === undefined ? tensors : old.sent;
        },
        bytes(bytes, round) {
          if (round % 4 === 3 && old !== undefined) return old.bytes;
          if (round >= 3) old ??= { bytes, sent: newest };
          return bytes;
        },
      });
    },
  },
  {
    name: "digest-spoof",
    number: 23,
    who: "peer",
    does: "names a digest of data that it did not train on",
    defence: "validators compute the digest of what was assigned; an audit replays on that data",
    trainer: (options, ring) =>
      withTamper(options, {
        header: (header) => ({
          ...header,
          dataDigest: randomBytes(32, seededRandom(`${ring.seed} digest ${header.round}`)),
        }),
      }),
  },
];
