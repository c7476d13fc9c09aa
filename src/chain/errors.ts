/**
 * Every refusal of the chain in words: what is wrong, and what to do about it, with the blocks or epochs left where waiting helps.
 *
 * The names are the contracts' custom errors, which are subtensor's where it has the same one. The twin and the EVM client both make
 * their errors here, so that a reader sees the same sentence whichever chain is behind the seam.
 */
import { SkeinError } from "../base/errors.ts";
import { decimalCoins } from "./money.ts";

/** An argument of a contract's custom error. */
export type RefusalArgument = number | bigint | string | boolean;

interface Refusal {
  /** Solidity types of its arguments, as the contract declares them. */
  readonly types: readonly string[];
  /** The same where another contract declares the name with other types. */
  readonly otherTypes?: readonly string[];
  /** The message and the remedy, from the arguments as text. */
  readonly say: (...args: [string, string, string]) => readonly [message: string, remedy: string];
}

/** Rao as plain decimals: 1500000000 is "1.5 coin". */
export function coins(rao: bigint | string): string {
  return `${decimalCoins(BigInt(rao))} coin`;
}

const many = (count: string, word: string): string => `${count} ${word}${count === "1" ? "" : "s"}`;

type Say = Refusal["say"];
const REPORT = "this is a mistake of the program: please report it with the details";
const fixed =
  (message: string, remedy: string): Say =>
  () => [message, remedy];
const broken = (message: string): Refusal => ({
  types: [],
  say: fixed(message, REPORT),
});

const MONEY: Readonly<Record<string, Refusal>> = {
  NotEnoughBalanceToStake: {
    types: ["uint256", "uint256"],
    say: (has, needs) => [
      `the account has ${coins(has)} and needs ${coins(needs)}`,
      `send it ${coins(BigInt(needs) - BigInt(has))}, claim what it has earned, or spend less`,
    ],
  },
  AmountTooLow: {
    types: [],
    say: fixed("the amount is zero, or too small to buy a share of the stake", "name a larger amount"),
  },
  NotEnoughStakeToWithdraw: {
    types: ["uint256"],
    say: (staked) => [`only ${coins(staked)} are staked there`, `take out ${coins(staked)} or less`],
  },
  HotKeyAccountNotExists: {
    types: [],
    say: fixed("nobody has ever registered this hotkey", "check the hotkey, or register it in a subnet first"),
  },
  NonAssociatedColdKey: {
    types: [],
    say: fixed("the hotkey belongs to another coldkey", "use that coldkey, or make a new hotkey"),
  },
  DelegateTakeTooHigh: {
    types: ["uint16"],
    say: (most) => [`a take is at most ${most} of 65535`, `set ${most} or less`],
  },
  SlippageTooHigh: {
    types: [],
    say: fixed("the price of stake is 1 everywhere, which is worse than the limit", "set the limit price to 1 coin"),
  },
  SameStake: {
    types: [],
    say: fixed("the stake is already there", "name another hotkey or subnet to move it to"),
  },
  SupplyTooLarge: {
    types: ["uint256"],
    say: (most) => [`there can be at most ${coins(most)}`, "start the chain with less"],
  },
  ValueNotAccepted: {
    types: [],
    say: fixed("amounts are arguments; native coin sent along would be lost", "send the transaction with value 0"),
  },
  PaymentExceedsPending: {
    types: ["uint256"],
    say: (pending) => [`an epoch would pay more than the ${coins(pending)} that wait`, REPORT],
  },
};

const SUBNETS: Readonly<Record<string, Refusal>> = {
  SubnetNotExists: {
    types: ["uint256"],
    otherTypes: ["uint16"],
    say: (netuid) => [`there is no subnet ${netuid}`, "list the subnets, and check the number"],
  },
  NotSubnetOwner: {
    types: [],
    say: fixed("only the subnet's owner may do that", "act with the coldkey that created the subnet"),
  },
  SubnetCostLimitExceeded: {
    types: ["uint256"],
    say: (cost) => [
      `a subnet costs ${coins(cost)} now, which is above the limit`,
      "raise the limit, or wait: the cost falls with each block",
    ],
  },
  SubnetLimitReached: {
    types: [],
    say: fixed("this chain has as many subnets as it can number", "join one of them"),
  },
  MaxAllowedUIdsLessThanCurrentUIds: {
    types: ["uint16"],
    say: (count) => [`the subnet has ${many(count, "neuron")} already`, `set maxUids to ${count} or more`],
  },
  ValueNotInBounds: {
    types: ["bytes32", "uint256", "uint256"],
    say: (name, least, most) => [`${name} must be from ${least} to ${most}`, "choose a value within that range"],
  },
};

const NEURONS: Readonly<Record<string, Refusal>> = {
  SubNetRegistrationDisabled: {
    types: [],
    say: fixed("this subnet takes no registrations", "ask its owner, or choose another subnet"),
  },
  HotKeyAlreadyRegisteredInSubNet: {
    types: [],
    say: fixed(
      "the hotkey is registered in this subnet already",
      "go on with the uid that it has, or use another hotkey",
    ),
  },
  HotKeyNotRegisteredInSubNet: {
    types: [],
    say: fixed("the hotkey is not registered in this subnet", "register it first; if it was, it has been pruned"),
  },
  RegistrationPriceLimitExceeded: {
    types: ["uint64"],
    say: (price) => [
      `a uid costs ${coins(price)} now, which is above the limit`,
      "raise the limit, or wait: the price falls with each block",
    ],
  },
  NoNeuronIdAvailable: {
    types: [],
    say: fixed("all uids are taken and none may be pruned", "wait until somebody's immunity ends"),
  },
  HotKeyNotAuthorized: {
    types: [],
    say: fixed(
      "the hotkey has not agreed to belong to this coldkey",
      "register with the hotkey's proof, which its key signs",
    ),
  },
  InvalidProof: {
    types: [],
    say: fixed(
      "the proof is not the hotkey's signature over this registration",
      "sign anew with the hotkey's own key, on this chain; each signature serves once",
    ),
  },
  SignatureExpired: {
    types: ["uint64"],
    say: (deadline) => [`the hotkey's proof held until block ${deadline}`, "sign a new one"],
  },
  UidNotFound: {
    types: ["uint16", "uint16"],
    say: (netuid, uid) => [`subnet ${netuid} has no uid ${uid}`, "look the uid up in the metagraph"],
  },
  ServingRateLimitExceeded: {
    types: ["uint64"],
    say: (left) => [`the endpoint was announced a short while ago`, `wait ${many(left, "block")}`],
  },
  InvalidIpType: {
    types: ["uint8"],
    say: (ipType) => [`${ipType} is no kind of IP address`, "use 4 or 6"],
  },
  InvalidIpAddress: {
    types: ["uint128"],
    say: (ip) => [`${ip} is no address that others can reach`, "announce the machine's public address"],
  },
  InvalidPort: { types: [], say: fixed("0 is no port", "announce a port from 1 to 65535") },
  CertificateTooLong: {
    types: ["uint256"],
    say: (most) => [`the certificate is too long`, `use one of at most ${many(most, "byte")}`],
  },
};

const WEIGHTS: Readonly<Record<string, Refusal>> = {
  CommitRevealEnabled: {
    types: [],
    say: fixed(
      "this subnet hides weights until they are revealed",
      "commit to the weights, and reveal them when it is time",
    ),
  },
  CommitRevealDisabled: {
    types: [],
    say: fixed("this subnet takes weights openly", "set the weights without a commit"),
  },
  SettingWeightsTooFast: {
    types: ["uint64"],
    say: (left) => [`this hotkey has set weights a short while ago`, `wait ${many(left, "block")}`],
  },
  CommittingWeightsTooFast: {
    types: ["uint64"],
    say: (left) => [`this hotkey has committed to weights a short while ago`, `wait ${many(left, "block")}`],
  },
  WeightVecNotEqualSize: {
    types: [],
    say: fixed("there are not as many weights as uids", "give one weight for each uid"),
  },
  UidsLengthExceedUidsInSubNet: {
    types: [],
    say: fixed("there are more weights than uids in the subnet", "read the metagraph again, and weigh each uid once"),
  },
  NotEnoughStakeToSetWeights: {
    types: [],
    say: fixed("the hotkey has less stake than this subnet asks of voters", "stake more on it"),
  },
  IncorrectWeightVersionKey: {
    types: ["uint64"],
    say: (wanted) => [`this subnet takes weights of version ${wanted} and later`, "update the validator's software"],
  },
  NeuronNoValidatorPermit: {
    types: [],
    say: fixed(
      "the hotkey has no validator permit",
      "stake more on it: the validators with most stake get permits at the end of each epoch",
    ),
  },
  WeightVecLengthIsLow: {
    types: ["uint256"],
    say: (wanted) => [`too few weights`, `weigh at least ${many(wanted, "uid")}`],
  },
  ValueOutOfRange: { types: [], say: fixed("a weight is above 65535", "scale the weights down") },
  DuplicateUids: { types: [], say: fixed("a uid is weighed twice", "weigh each uid once") },
  UidVecContainInvalidOne: {
    types: ["uint256"],
    say: (uid) => [`there is no uid ${uid}`, "read the metagraph again, and weigh uids that are in it"],
  },
  TooManyUnrevealedCommits: {
    types: [],
    say: fixed(
      "too many commits wait to be revealed",
      "reveal one, or wait for the next epoch, in which old ones expire",
    ),
  },
  NoWeightsCommitFound: {
    types: [],
    say: fixed("this hotkey has committed to nothing that could be revealed", "commit to the weights first"),
  },
  InvalidRevealCommitHashNotMatch: {
    types: [],
    say: fixed(
      "these are not the weights that were committed to",
      "reveal exactly the uids, values, salt and version of the commit, with the same hotkey",
    ),
  },
  ExpiredWeightCommit: {
    types: [],
    say: fixed("the epoch in which this commit could be revealed is over", "commit anew, and reveal in time"),
  },
  RevealTooEarly: {
    types: ["uint64", "uint64"],
    say: (epochs, blocks) => [
      `this commit may be revealed ${epochs === "1" ? "in the next epoch" : `in ${epochs} epochs`}`,
      `wait at least ${many(blocks, "block")}`,
    ],
  },
};

const EPOCHS: Readonly<Record<string, Refusal>> = {
  EpochDue: {
    types: ["uint16"],
    say: (netuid) => [
      `an epoch of subnet ${netuid} has to be computed first`,
      "push it (anybody may), then try again; the client does so by itself",
    ],
  },
  EpochNotDue: {
    types: ["uint16", "uint256"],
    say: (netuid, due) => [`subnet ${netuid} has no epoch to compute`, `wait for block ${due}`],
  },
  NotInConsensus: {
    types: ["uint16"],
    say: (netuid) => [`subnet ${netuid}'s epoch needs no medians now`, "push it with a plain step"],
  },
  NotInBonds: {
    types: ["uint16"],
    say: (netuid) => [`subnet ${netuid}'s epoch is not at its bonds`, "push it with a plain step"],
  },
  MedianCount: {
    types: ["uint256"],
    say: (expected) => [`an epoch of this size takes ${many(expected, "word")} of medians`, "ask the chain for them"],
  },
  WrongMedian: {
    types: ["uint256"],
    say: (word) => [`word ${word} of the medians is not what the votes say`, "ask the chain for them, or push without"],
  },
  TooManyNeurons: {
    types: ["uint256"],
    say: (count) => [`${many(count, "neuron")} are more than an epoch can hold`, REPORT],
  },
};

const ROUNDS: Readonly<Record<string, Refusal>> = {
  RunNotExists: { types: ["uint64"], say: (runId) => [`there is no run ${runId}`, "check the link or the number"] },
  EmptyHash: { types: [], say: fixed("a hash of zeros stands for nothing", "give the hash itself") },
  EmptyPhase: { types: [], say: fixed("a phase of a round has no blocks", "give each phase at least one block") },
  StartInThePast: {
    types: ["uint256"],
    say: (block) => [`the run would start in the past: this is block ${block}`, "choose a later block"],
  },
  NotRunOwner: {
    types: [],
    say: fixed("only the run's owner may do that", "act with the key that registered the run"),
  },
  RoundHasBegun: {
    types: ["uint64"],
    say: (round) => [`round ${round} has begun`, "choose a later round"],
  },
  RoundNotBegun: {
    types: ["uint256"],
    say: (left) => [`the round has not begun`, `wait ${many(left, "block")}`],
  },
  CommitsClosed: {
    types: [],
    say: fixed("this round takes no more commits", "go on with the next round, and commit before its training ends"),
  },
  VotesNotOpen: {
    types: ["uint256"],
    say: (left) => [`this round takes no votes yet`, `wait ${many(left, "block")}`],
  },
  VotesClosed: { types: [], say: fixed("this round takes no more votes", "go on with the next round") },
  VotesStillOpen: {
    types: ["uint256"],
    say: (left) => [`the round is not over`, `wait ${many(left, "block")}`],
  },
  AlreadyDecided: {
    types: [],
    say: fixed("the round was decided, for good", "read the decision; nothing is left to do"),
  },
};

const HOUSE: Readonly<Record<string, Refusal>> = {
  AlreadyInitialized: {
    types: [],
    say: fixed("this contract was set up already", "use it as it is, or deploy another"),
  },
  NotAllowed: {
    types: [],
    say: fixed("only another contract of the chain may call this", "use the function meant for callers"),
  },
  OnlyNeurons: {
    types: [],
    say: fixed("only the neurons' contract may call this", "use the function meant for callers"),
  },
  PrecompileFailed: {
    types: [],
    say: fixed("this chain lacks the BLAKE2b precompile (0x09)", "use a chain of the Istanbul rules or later"),
  },
  ReentrancyGuardReentrantCall: broken("a contract was entered while it was running"),
  UnequalLengths: broken("two lists of different lengths"),
};

const REFUSALS: Readonly<Record<string, Refusal>> = {
  ...MONEY,
  ...SUBNETS,
  ...NEURONS,
  ...WEIGHTS,
  ...EPOCHS,
  ...ROUNDS,
  ...HOUSE,
};

/**
 * The error for a refusal by its name and arguments, in the order of the contract's declaration. bytes32 names may come as text or as
 * the chain's hex. A name that is not in the table comes out as it is.
 */
export function refusal(name: string, ...args: readonly RefusalArgument[]): SkeinError {
  const texts = args.map((arg) => (typeof arg === "string" ? textOfBytes32(arg) : String(arg)));
  const details = `${name}(${texts.join(", ")})`;
  const known = Object.hasOwn(REFUSALS, name) ? REFUSALS[name] : undefined;
  if (!known || known.types.length !== texts.length) {
    return new SkeinError("chain", `the chain refused: ${details}`, {
      details,
      remedy: "look the name up in the contracts",
    });
  }
  const [first = "", second = "", third = ""] = texts;
  const [message, remedy] = known.say(first, second, third);
  return new SkeinError("chain", message, { details, remedy });
}

/** "0x74656d706f00…" is "tempo". */
function textOfBytes32(text: string): string {
  if (!/^0x(?:[2-7][0-9a-f])+(?:00)*$/.test(text) || text.length !== 66) return text;
  return text
    .slice(2)
    .replace(/(?:00)+$/, "")
    .replace(/../g, (byte) => String.fromCharCode(Number.parseInt(byte, 16)));
}

/** Name of the refusal that `thrown` is, if it is one. */
export function refusalName(thrown: unknown): string | undefined {
  if (!(thrown instanceof SkeinError) || thrown.code !== "chain") return undefined;
  return /^(\w+)\(/.exec(thrown.details ?? "")?.[1];
}

/** Each refusal's name and the Solidity types of its arguments; a name may come twice. */
export const refusalTypes: readonly (readonly [name: string, types: readonly string[]])[] = Object.entries(
  REFUSALS,
).flatMap(([name, { types, otherTypes }]) =>
  (otherTypes ? [types, otherTypes] : [types]).map((t) => [name, t] as const),
);
