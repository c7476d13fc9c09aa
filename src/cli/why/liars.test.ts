/** Dishonest validators in a network of honest ones, and whether they are named: they, and nobody else. */
import { describe, expect, it } from "vitest";
import { keyOf, type Network, toyNetwork, toySpec } from "../../../test/helpers/network.ts";
import { must } from "../../base/assert.ts";
import { specHash } from "../../run/parse.ts";
import { adversaryNamed } from "../../sim/adversary/registry.ts";
import { contradictionsOf, oddOneOut } from "./compare.ts";
import { type Inquiry, inquire } from "./gather.ts";
import { whyLines } from "./view.ts";

const ROUNDS = 6;

/** What is found out about trainer "a" once the run is over. The third of three validators attacks as `kind` says. */
async function afterRun(kind: string): Promise<{ readonly network: Network; readonly inquiry: Inquiry }> {
  const schedule = { kind: "constant", lr: 0.01, warmupSteps: 2, steps: 4 * ROUNDS } as const;
  const spec = toySpec({ inner: { schedule } });
  const network = await toyNetwork({ spec, validators: ["v1", "v2", "v3"] });
  const { trainer, validator } = adversaryNamed(kind);
  const corrupt = must(validator, "a validator's attack");
  const ring = { seed: "1", members: [keyOf("x").account], leaks: [] };
  const trainers = [
    ...["a", "b"].map((name) => network.trainer(name)),
    ...(trainer === undefined ? [] : [network.trainer("x", { trainer: (options) => trainer(options, ring) })]),
  ];
  const honest = ["v1", "v2"].map((name) => network.validator(name));
  const liar = network.validator("v3", { validator: (options) => corrupt(options, ring) });
  await network.during(Promise.all<unknown>([...trainers, ...honest, liar]));
  const { shared: store, twin: chain, record } = network;
  const asked = { account: keyOf("a").account };
  return { network, inquiry: await inquire({ specHash: specHash(spec), store, chain, record, asked }) };
}

/** Uids of validators that are named, or suspected. */
function named({ witnesses }: Inquiry): number[] {
  const odd = oddOneOut(witnesses);
  const suspects = witnesses.filter(
    ({ complaints, row, neuron }) =>
      complaints.length > 0 || (row !== undefined && row.round === undefined) || neuron.uid === odd,
  );
  return suspects.map(({ neuron }) => neuron.uid).sort((a, b) => a - b);
}

describe("dishonest validators", () => {
  it.each(["false-votes", "collusion", "weight-copier"])(
    "are named: %s",
    async (kind) => {
      const { network, inquiry } = await afterRun(kind);
      const { neurons } = await network.twin.metagraph(network.record.netuid);
      const liar = must(
        neurons.find(({ hotkey }) => hotkey === keyOf("v3").account),
        "the third",
      ).uid;
      expect(named(inquiry)).toEqual([liar]);
      const said = whyLines({ spec: network.spec, inquiry }).join("\n");
      expect(said).toMatch(new RegExp(`^(DOES NOT ADD UP|SUSPECT): uid ${liar}`, "m"));
      expect(said).not.toMatch(new RegExp(`^(DOES NOT ADD UP|SUSPECT): uid (?!${liar})`, "m"));
      for (const { between } of contradictionsOf(inquiry.witnesses)) expect(between).toContain(liar);
    },
    60_000,
  );
});
