/** What the client calls is what the compiled contracts have: every function, structure and event, to the names of the fields. */
import {
  type Abi,
  type AbiEvent,
  type AbiFunction,
  type AbiParameter,
  toEventSelector,
  toFunctionSelector,
} from "viem";
import { describe, expect, it } from "vitest";
import { refusalTypes } from "../../src/chain/errors.ts";
import * as abis from "../../src/chain/evm/abi.ts";
import { CONTRACT_NAMES, FIXED_ADDRESSES } from "../../src/chain/evm/deploy.ts";
import { compiled } from "../helpers/contracts.ts";

const CLIENT: readonly (readonly [contract: string, abi: Abi])[] = [
  ["Metagraph", abis.METAGRAPH_ABI],
  ["Neurons", abis.NEURONS_ABI],
  ["Staking", abis.STAKING_ABI],
  ["Subnets", abis.SUBNETS_ABI],
  ["Subnets", abis.SUBNET_GETTERS_ABI],
  ["Epochs", abis.EPOCHS_ABI],
  ["RoundBook", abis.ROUND_BOOK_ABI],
  ["Extras", abis.EXTRAS_ABI],
  ["UidLookup", abis.UID_LOOKUP_ABI],
];
const artifacts = compiled(Object.values(CONTRACT_NAMES));
const abiOf = (name: string): Abi => artifacts.get(name)?.abi ?? [];

/** Type and, within structures, the names of fields: those of results the client reads by name. */
function shapeOf(parameter: AbiParameter): string {
  if (!("components" in parameter)) return parameter.type;
  const inner = (parameter.components as readonly AbiParameter[]).map((each) => `${each.name} ${shapeOf(each)}`);
  return `(${inner.join(", ")})${parameter.type.slice("tuple".length)}`;
}

const isFunction = (item: Abi[number]): item is AbiFunction => item.type === "function";
const isEvent = (item: Abi[number]): item is AbiEvent => item.type === "event";

describe.each(CLIENT)("%s", (name, abi) => {
  it.each(abi.filter(isFunction).map((item) => [item.name, item] as const))("has %s", (_, item) => {
    const found = abiOf(name)
      .filter(isFunction)
      .find((each) => toFunctionSelector(each) === toFunctionSelector(item));
    expect(found?.inputs.map(shapeOf)).toEqual(item.inputs.map(shapeOf));
    expect(found?.outputs.map(shapeOf)).toEqual(item.outputs.map(shapeOf));
    const isPure = (each: AbiFunction | undefined): boolean =>
      each?.stateMutability === "view" || each?.stateMutability === "pure";
    expect(isPure(found)).toBe(isPure(item));
  });

  it.each(abi.filter(isEvent).map((item) => [item.name, item] as const))("reports %s", (_, item) => {
    const found = abiOf(name)
      .filter(isEvent)
      .find((each) => toEventSelector(each) === toEventSelector(item));
    const fields = ({ inputs }: AbiEvent): string[] =>
      inputs.map((input) => `${input.indexed ? "indexed " : ""}${input.name} ${shapeOf(input)}`);
    expect(found && fields(found)).toEqual(fields(item));
  });
});

it("every contract has its own fixed address", () => {
  expect(Object.keys(FIXED_ADDRESSES)).toEqual(Object.keys(CONTRACT_NAMES));
  const addresses = Object.values(FIXED_ADDRESSES);
  expect(new Set(addresses).size).toBe(addresses.length);
  for (const address of addresses) expect(address).toMatch(/^0x[0-9a-f]{40}$/);
});

it("every refusal of a contract has its sentence", () => {
  const told = new Set(refusalTypes.map(([name, types]) => `${name}(${types.join(",")})`));
  const declared = [...artifacts.values()].flatMap(({ abi }) =>
    abi.flatMap((item) =>
      item.type === "error" ? [`${item.name}(${item.inputs.map(({ type }) => type).join(",")})`] : [],
    ),
  );
  expect(declared.filter((signature) => !told.has(signature))).toEqual([]);
});
