/**
 * The contracts answer to the functions of Bittensor's EVM precompiles: names, parameters, results, payable or view. The table is that of
 * the runtime's declarations (spec version 425), without the functions that our chain has no meaning for.
 */
import { type Abi, type AbiFunction, type AbiParameter, toFunctionSelector } from "viem";
import { describe, expect, it } from "vitest";
import { compiled } from "../helpers/contracts.ts";

const AXON = "(uint64,uint32,uint128,uint16,uint8,uint8)";
const TABLE: Readonly<Record<string, { readonly view: string; readonly call?: string }>> = {
  Metagraph: {
    view: `getUidCount(uint16)→uint16; getStake(uint16,uint16)→uint64; getRank(uint16,uint16)→uint16; getTrust(uint16,uint16)→uint16;
      getConsensus(uint16,uint16)→uint16; getIncentive(uint16,uint16)→uint16; getDividends(uint16,uint16)→uint16;
      getEmission(uint16,uint16)→uint64; getVtrust(uint16,uint16)→uint16; getValidatorStatus(uint16,uint16)→bool;
      getLastUpdate(uint16,uint16)→uint64; getIsActive(uint16,uint16)→bool; getAxon(uint16,uint16)→${AXON};
      getHotkey(uint16,uint16)→bytes32; getColdkey(uint16,uint16)→bytes32`,
  },
  Subnets: {
    view: `getNetworkRegistrationBlock(uint16)→uint64; getServingRateLimit(uint16)→uint64; getWeightsVersionKey(uint16)→uint64;
      getWeightsSetRateLimit(uint16)→uint64; getMaxWeightLimit(uint16)→uint16; getImmunityPeriod(uint16)→uint16;
      getMinAllowedWeights(uint16)→uint16; getKappa(uint16)→uint16; getRho(uint16)→uint16; getAlphaSigmoidSteepness(uint16)→uint16;
      getActivityCutoff(uint16)→uint16; getActivityCutoffFactor(uint16)→uint32; getNetworkRegistrationAllowed(uint16)→bool;
      getMinBurn(uint16)→uint64; getMaxBurn(uint16)→uint64; getBondsMovingAverage(uint16)→uint64;
      getCommitRevealWeightsEnabled(uint16)→bool; getLiquidAlphaEnabled(uint16)→bool; getYuma3Enabled(uint16)→bool;
      getAlphaValues(uint16)→uint16,uint16; getCommitRevealWeightsInterval(uint16)→uint64`,
    call: `registerNetwork(bytes32); registerNetwork(bytes32,string,string,string,string,string,string,string);
      registerNetwork(bytes32,string,string,string,string,string,string,string,string); setServingRateLimit(uint16,uint64);
      setWeightsVersionKey(uint16,uint64); setWeightsSetRateLimit(uint16,uint64); setImmunityPeriod(uint16,uint16);
      setMinAllowedWeights(uint16,uint16); setKappa(uint16,uint16); setRho(uint16,uint16); setAlphaSigmoidSteepness(uint16,uint16);
      setActivityCutoff(uint16,uint16); setActivityCutoffFactor(uint16,uint32); setNetworkRegistrationAllowed(uint16,bool);
      setMinBurn(uint16,uint64); setMaxBurn(uint16,uint64); setBondsMovingAverage(uint16,uint64);
      setCommitRevealWeightsEnabled(uint16,bool); setLiquidAlphaEnabled(uint16,bool); setYuma3Enabled(uint16,bool);
      setAlphaValues(uint16,uint16,uint16); setCommitRevealWeightsInterval(uint16,uint64)`,
  },
  Neurons: {
    view: "",
    call: `setWeights(uint16,uint16[],uint16[],uint64); commitWeights(uint16,bytes32);
      revealWeights(uint16,uint16[],uint16[],uint16[],uint64); burnedRegister(uint16,bytes32); registerLimit(uint16,bytes32,uint64);
      serveAxon(uint16,uint32,uint128,uint16,uint8,uint8,uint8,uint8);
      serveAxonTls(uint16,uint32,uint128,uint16,uint8,uint8,uint8,uint8,bytes); servePrometheus(uint16,uint32,uint128,uint16,uint8)`,
  },
  Staking: {
    view: `getTotalColdkeyStake(bytes32)→uint256; getTotalHotkeyStake(bytes32)→uint256; getStake(bytes32,bytes32,uint256)→uint256;
      getAlphaStakedValidators(bytes32,uint256)→bytes32[]; getTotalAlphaStaked(bytes32,uint256)→uint256;
      getNominatorMinRequiredStake()→uint256; getTotalColdkeyStakeOnSubnet(bytes32,uint256)→uint256`,
    call: `addStake(bytes32,uint256,uint256); removeStake(bytes32,uint256,uint256); removeStakeFull(bytes32,uint256);
      removeStakeFullLimit(bytes32,uint256,uint256); moveStake(bytes32,bytes32,uint256,uint256,uint256);
      transferStake(bytes32,bytes32,uint256,uint256,uint256); addStakeLimit(bytes32,uint256,uint256,bool,uint256);
      removeStakeLimit(bytes32,uint256,uint256,bool,uint256)`,
  },
  UidLookup: { view: "uidLookup(uint16,address,uint16)→(uint16,uint64)[]" },
  AddressMapping: { view: "addressMapping(address)→bytes32" },
};

/** A parameter's type as it stands in a signature. */
function typeOf(parameter: AbiParameter): string {
  if (!("components" in parameter)) return parameter.type;
  const inner = (parameter.components as readonly AbiParameter[]).map(typeOf).join(",");
  return `(${inner})${parameter.type.slice("tuple".length)}`;
}

describe.each(Object.entries(TABLE))("%s", (name, { view, call = "" }) => {
  const abi: Abi = compiled([name]).get(name)?.abi ?? [];
  const declared = abi.filter((item): item is AbiFunction => item.type === "function");
  const functions = new Map(declared.map((item) => [toFunctionSelector(item), item] as const));
  const entries = [...view.split(";"), ...call.split(";")].map((text) => text.trim()).filter((text) => text !== "");

  it.each(entries)("%s", (entry) => {
    const [signature = "", results = ""] = entry.split("→");
    const found = functions.get(toFunctionSelector(signature));
    expect(found?.outputs.map(typeOf).join(",")).toBe(results);
    if (results === "") expect(found?.stateMutability).toBe("payable");
    else expect(["view", "pure"]).toContain(found?.stateMutability);
  });
});
