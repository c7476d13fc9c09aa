// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// How many rao come into being. As in subtensor, a block mints 1e9 rao >> floor(log2(1 / (1 − issuance / 21e15))): half as much each
/// time half of what was left has been issued. Burned rao leave the issuance and so are minted again.
///
/// `over` is the exact sum of single blocks: between two halvings the emission is constant, and there are at most 30 halvings, so the work
/// does not depend on the number of blocks.
library Issuance {
    /// Rao that can ever be: 21 million coins.
    uint256 internal constant SUPPLY_MAX = 21_000_000_000_000_000;
    /// Rao of a block before the first halving; 2^30 is the first power of two above it.
    uint256 internal constant BLOCK_RAO = 1_000_000_000;

    /// Rao that the next block mints at an issuance.
    function perBlock(uint256 issuance) internal pure returns (uint256) {
        return issuance >= SUPPLY_MAX ? 0 : BLOCK_RAO >> halvings(issuance);
    }

    /// floor(log2(SUPPLY_MAX / (SUPPLY_MAX − issuance))), for an issuance below the most.
    function halvings(uint256 issuance) internal pure returns (uint256) {
        return Math.log2(SUPPLY_MAX / (SUPPLY_MAX - issuance));
    }

    /// Rao that `blocks` blocks mint, from an issuance on.
    function over(uint256 issuance, uint256 blocks) internal pure returns (uint256 rao) {
        while (blocks > 0 && issuance < SUPPLY_MAX) {
            uint256 halving = halvings(issuance);
            uint256 rate = BLOCK_RAO >> halving;
            if (rate == 0) break;
            uint256 threshold = SUPPLY_MAX - (SUPPLY_MAX >> (halving + 1));
            uint256 count = Math.min(Math.ceilDiv(threshold - issuance, rate), blocks);
            rao += count * rate;
            issuance += count * rate;
            blocks -= count;
        }
    }
}
