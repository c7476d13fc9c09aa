// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EVEN, EVEN16, GUARD, LANE, LOW32, ODD, ONES} from "./Lanes.sol";
import {ROW, ROW_ACTIVE, ROW_MEDIAN, ROW_RECIPROCAL} from "./Table.sol";

/// Consensus on four columns at once: the largest weight v such that the validators who give at least v have a majority of stake.
/// Source: `weighted_median_col_sparse` in subtensor's epoch/math.rs. `shift` is 16 times the number of the word of lanes within the
/// block (Lanes.sol); rows without active stake have no place in `table`.
library Consensus {
    /// What backs the medians `t`: stake of those who give at least them, of those who give at most them, and the columns' ranks, which are
    /// sums of active stake times weight clipped at `t`, each product floored. Exact for active stakes below 1: a sole voter's median is
    /// its vote, and so is the rank.
    function tally(uint256 table, uint256 rows, uint256 shift, uint256 t)
        internal
        pure
        returns (uint256 atLeast, uint256 atMost, uint256 rank)
    {
        // Reads rows of the table. Sums stay within their lanes: stakes sum to at most 2^32, and so do the ranks' products.
        assembly ("memory-safe") {
            let end := add(table, mul(rows, ROW))
            let limit := or(t, GUARD)
            for { let row := table } lt(row, end) { row := add(row, ROW) } {
                let w := shr(shift, mload(row))
                {
                    let reciprocal := mload(add(row, ROW_RECIPROCAL))
                    w := or(
                        and(shr(48, mul(and(w, EVEN16), reciprocal)), EVEN),
                        and(shl(16, mul(and(shr(64, w), EVEN16), reciprocal)), ODD)
                    )
                }
                let within := and(shr(63, sub(limit, w)), ONES)
                {
                    let stake := mload(add(row, ROW_MEDIAN))
                    atLeast := add(atLeast, mul(and(shr(63, sub(or(w, GUARD), t)), ONES), stake))
                    atMost := add(atMost, mul(within, stake))
                }
                w := xor(t, and(xor(w, t), mul(within, LANE)))
                rank := add(rank, and(shr(32, mul(w, mload(add(row, ROW_ACTIVE)))), LOW32))
            }
        }
    }

    /// The medians, found bit by bit from the highest. `majority` has the same number in each lane, `buffer` has room for 64 bytes a
    /// row, rows rounded up to a multiple of four.
    function search(uint256 table, uint256 rows, uint256 shift, uint256 majority, uint256 buffer)
        internal
        pure
        returns (uint256 t)
    {
        // Reads rows of the table; writes guarded weights and stakes to the buffer.
        assembly ("memory-safe") {
            let any := 0
            let end := buffer
            for { let row := table } lt(row, add(table, mul(rows, ROW))) { row := add(row, ROW) } {
                let w := shr(shift, mload(row))
                let reciprocal := mload(add(row, ROW_RECIPROCAL))
                w := or(
                    and(shr(48, mul(and(w, EVEN16), reciprocal)), EVEN),
                    and(shl(16, mul(and(shr(64, w), EVEN16), reciprocal)), ODD)
                )
                any := or(any, w)
                mstore(end, or(w, GUARD))
                mstore(add(end, 0x20), mload(add(row, ROW_MEDIAN)))
                end := add(end, 0x40)
            }
            // Whole groups of four, the rest without stake.
            for {} and(sub(end, buffer), 0xff) { end := add(end, 0x40) } {
                mstore(end, GUARD)
                mstore(add(end, 0x20), 0)
            }
            // The highest bit of any weight.
            any := or(any, shr(128, any))
            any := and(or(any, shr(64, any)), 0x1ffffffff)
            let bits := 0
            for {} any { any := shr(1, any) } { bits := add(bits, 1) }
            for {} bits {} {
                bits := sub(bits, 1)
                let candidate := or(t, shl(bits, ONES))
                let backing := GUARD
                for { let p := buffer } lt(p, end) { p := add(p, 0x100) } {
                    backing := add(backing, mul(and(shr(63, sub(mload(p), candidate)), ONES), mload(add(p, 0x20))))
                    backing := add(
                        backing,
                        mul(and(shr(63, sub(mload(add(p, 0x40)), candidate)), ONES), mload(add(p, 0x60)))
                    )
                    backing := add(
                        backing,
                        mul(and(shr(63, sub(mload(add(p, 0x80)), candidate)), ONES), mload(add(p, 0xa0)))
                    )
                    backing := add(
                        backing,
                        mul(and(shr(63, sub(mload(add(p, 0xc0)), candidate)), ONES), mload(add(p, 0xe0)))
                    )
                }
                t := or(t, shl(bits, and(shr(63, sub(backing, majority)), ONES)))
            }
        }
    }

    /// Whether `t` are the medians, by what `tally` says of them: a majority gives at least them, none gives more. `total` is all stake;
    /// it and `majority` have the same number in each lane.
    function proven(uint256 t, uint256 atLeast, uint256 atMost, uint256 majority, uint256 total)
        internal
        pure
        returns (bool)
    {
        unchecked {
            bool backed = (((atLeast | GUARD) - majority) & GUARD) == GUARD;
            bool largest = ((((total - atMost) | GUARD) - majority) & GUARD) == 0;
            return (t & GUARD) == 0 && backed && largest;
        }
    }

    /// The sum of four lanes; each below 2^62.
    function sumLanes(uint256 word) internal pure returns (uint256) {
        unchecked {
            return (word * ONES) >> 192;
        }
    }
}
