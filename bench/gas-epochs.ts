/**
 * Gas of an epoch on chain (contracts/src/Epochs.sol): 64 validators, 256 uids. "Dense" means that each validator votes for all uids; in
 * the other case for the 192 that are no validators, as on a full subnet. The other contracts are stubs whose storage is laid out like
 * theirs. Run: node build/ts/bench/gas-epochs.js (after npm run build:contracts and build:all). Gas is exact, so one run is enough.
 */
import type { EpochParams } from "../src/chain/yuma/types.ts";
import { startAnvil } from "../test/helpers/anvil.ts";
import { type EpochGas, type GasPlan, measureEpochs } from "../test/helpers/epoch-gas.ts";

const kinds: readonly (readonly [string, Partial<EpochParams>])[] = [
  ["YC3", { yuma3: true }],
  ["YC2", { yuma3: false }],
  ["YC3, liquid alpha", { yuma3: true, liquidAlpha: true }],
];
const size = { validators: 64, uids: 256, epochs: 3 };

/** Few steps where bonds have been stored before, more in the first epoch, which writes to fresh storage. */
function plansOf(
  name: string,
  params: Partial<EpochParams>,
  named: number,
): readonly (readonly [string, GasPlan, number])[] {
  const slow = params.liquidAlpha === true;
  return [
    [`${name}, first`, { ...size, params, named, epochs: 1, medians: 64, columns: 64 }, 0],
    [`${name}, steady`, { ...size, params, named, medians: slow ? 64 : 192, columns: slow ? 128 : 320 }, 2],
  ];
}

const searched: GasPlan = { ...size, medians: false, columns: 128 };
const small: GasPlan = { validators: 16, uids: 64, epochs: 3, medians: 64, columns: 64 };
const plans = [
  ...kinds.flatMap(([name, params]) => plansOf(`dense ${name}`, params, 256)),
  ...kinds.flatMap(([name, params]) => plansOf(name, params, 192)),
  ["dense YC3, medians searched, steady", searched, 2] as const,
  ["dense YC3, 16 validators x 64 uids, first", small, 0] as const,
  ["dense YC3, 16 validators x 64 uids, steady", small, 2] as const,
];

const millions = (gas: number): string => (gas / 1e6).toFixed(2);

function line(name: string, { steps, total, largest }: EpochGas): string {
  return `| ${name} | ${steps.map(millions).join(" + ")} | ${millions(largest)} | ${millions(total)} |`;
}

console.log("| epoch (million gas) | steps | largest | total |\n|---|---|---|---|");
for (const [name, plan, which] of plans) {
  const anvil = await startAnvil();
  const gas = await measureEpochs(anvil, plan);
  await anvil.stop();
  const one = gas[which];
  if (one) console.log(line(name, one));
}
