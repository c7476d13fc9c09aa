// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

// What the epochs of one subnet keep in storage. Packed, because writing it is most of what an epoch costs. Numbers called exact are
// I32F32 in words of four lanes (Lanes.sol), u16 and u64 numbers stand in the order of uids. What an epoch has written is overwritten
// by the next one, never zeroed: bitmaps say what of it counts.

// Stages of an epoch.
uint8 constant IDLE = 0;
uint8 constant CONSENSUS = 1;
uint8 constant BONDS = 2;
uint8 constant FINISH = 3;

// A row of votes in `State.records`: three to a word, 85 bits each.
uint256 constant RECORD_BITS = 85;
uint256 constant RECORD_MASK = (1 << 85) - 1;
// Its fields: uid (8 bits), sum of the votes that count (24), active stake (33), and three flags.
uint256 constant RECORD_SUM = 8;
uint256 constant RECORD_ACTIVE = 32;
uint256 constant RECORD_FLAGS = 65;
// Some columns do not count: `State.masks` says which.
uint256 constant FLAG_MASKED = 1;
// The row's bonds are kept, because its uid has a permit for the next epoch.
uint256 constant FLAG_KEPT = 2;
// The row has bonds from the epoch before.
uint256 constant FLAG_BONDED = 4;
// What a row has gathered, in `State.gathered`: its share of the bonds, weighted by incentive (34 bits), and its vtrust (34 bits).
uint256 constant GATHERED_TRUST = 34;
uint256 constant GATHERED_MASK = (1 << 34) - 1;

// Uid of an owner that has none.
uint16 constant NOBODY = type(uint16).max;

// What an epoch needs of the hyperparameters, as they are when it opens.
struct Settings {
    uint64 alpha; // I32F32; weight of the new observation in a bond's moving average
    uint64 penalty; // I32F32
    uint16 kappa;
    uint16 alphaLow;
    uint16 alphaHigh;
    int16 steepness;
    bool yuma3;
    bool liquidAlpha;
}

struct State {
    uint64 index; // epochs finished
    uint64 lastBlock; // of the last snapshot; 0 before the first
    uint8 stage;
    bool idleStake; // nobody has active stake, so there is no consensus
    bool someConsensus; // some consensus is not 0
    uint16 nextColumn;
    uint16 columns;
    uint16 rows;
    uint16 ownerUid;
    // -- one slot
    Settings settings;
    // -- one slot
    uint64 rao; // to share out by incentive and dividends
    uint64 ownerRao;
    uint64 rankSum; // I32F32
    // -- one slot
    uint256 permits; // bit u = uid u
    uint256 active;
    uint256 bonded; // uids whose row in `bonds` counts
    uint256 cleared; // uids with a new holder since the last epoch: their outcome counts as 0
    uint256 nextPermits;
    uint256 nextActive;
    uint256 newcomers; // columns whose old bonds do not count
    uint256[86] records;
    uint256[86] gathered;
    uint256[256] masks; // of rows with FLAG_MASKED: bit j = column j does not count
    uint256[64] consensus; // exact
    uint256[64] ranks; // exact; where nobody has active stake, normalised stake instead
    uint256[16] consensus16;
    uint256[16] incentive16;
    uint256[16] dividends16;
    uint256[16] vtrust16;
    uint256[32] stakeWeight16; // of even epochs in the first half, of odd ones in the second
    uint256[64] emission; // u64
    uint256[4096] bonds; // u16; sixteen words a uid
}
