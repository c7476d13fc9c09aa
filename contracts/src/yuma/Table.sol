// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EVEN} from "./Lanes.sol";

// The rows of votes that an epoch reckons with, in memory: ROW bytes for each, with fields at fixed offsets, so that the loops over
// rows are pointer arithmetic.

// Bytes of a row.
uint256 constant ROW = 0x220;
// Bytes of four rows. What is reckoned column by column takes four rows at a time, so tables have a multiple of four rows; those that
// fill up the last group are zeros.
uint256 constant GROUP = 0x880;
// 16 votes of the block of columns at hand, without those that do not count.
uint256 constant ROW_VOTES = 0x00;
// ⌊2^80 / sum of the row's votes⌋ + 1; 0 of a row without votes. Times a vote, shifted by 48, it is the exact ⌊vote · 2^32 / sum⌋: it
// is too large by less than vote / 2^48 ≤ 2^-32, and the quotient's distance from the next integer is at least 1 / sum > 2^-24.
uint256 constant ROW_RECIPROCAL = 0x20;
// Stake in the median: active stake, normalised once more.
uint256 constant ROW_MEDIAN = 0x40;
// Active stake.
uint256 constant ROW_ACTIVE = 0x60;
// 16 · uid where the validator may not vote for itself; far beyond any column where it may.
uint256 constant ROW_SELF = 0x80;
// Bit j: a vote for column j does not count.
uint256 constant ROW_MASK = 0xa0;
// Of the first row of a group: sums over columns of the rows' parts of the bonds times incentive, in lanes.
uint256 constant ROW_SHARE = 0xc0;
// Sum of clipped weights, in lanes.
uint256 constant ROW_TRUST = 0xe0;
// Storage slot of the first word of the row's bonds.
uint256 constant ROW_SLOT = 0x100;
// FLAG_KEPT, FLAG_BONDED.
uint256 constant ROW_FLAGS = 0x120;
// 16 old bonds as they are stored.
uint256 constant ROW_STORED = 0x140;
// The same without those that do not count.
uint256 constant ROW_OLD = 0x160;
// 16 new bonds.
uint256 constant ROW_NEW = 0x180;
// Four words of lanes: bond weights, then new bonds.
uint256 constant ROW_LANES = 0x1a0;

library Table {
    /// Zeroed memory for `rows` rows of `rowBytes` bytes.
    function create(uint256 rows, uint256 rowBytes) internal pure returns (uint256 table) {
        uint256[] memory space = new uint256[]((rows * rowBytes) / 32);
        // The rows start behind the array's length.
        assembly ("memory-safe") {
            table := add(space, 0x20)
        }
    }

    function get(uint256 row, uint256 field) internal pure returns (uint256 value) {
        // Reads a row of a table.
        assembly ("memory-safe") {
            value := mload(add(row, field))
        }
    }

    function put(uint256 row, uint256 field, uint256 value) internal pure {
        // Writes to a row of a table.
        assembly ("memory-safe") {
            mstore(add(row, field), value)
        }
    }

    /// Transposes four words of four lanes, in place. They are `stride` bytes apart.
    function transpose(uint256 p, uint256 stride) internal pure {
        // Reads and writes the four words. Swaps pairs of lanes between words 0 and 2 and words 1 and 3, then lanes between neighbours.
        assembly ("memory-safe") {
            let p1 := add(p, stride)
            let p2 := add(p1, stride)
            let p3 := add(p2, stride)
            let a := mload(p)
            let c := mload(p2)
            let t := and(xor(shr(128, a), c), 0xffffffffffffffffffffffffffffffff)
            c := xor(c, t)
            a := xor(a, shl(128, t))
            let b := mload(p1)
            let d := mload(p3)
            t := and(xor(shr(128, b), d), 0xffffffffffffffffffffffffffffffff)
            d := xor(d, t)
            b := xor(b, shl(128, t))
            t := and(xor(shr(64, a), b), EVEN)
            mstore(p1, xor(b, t))
            mstore(p, xor(a, shl(64, t)))
            t := and(xor(shr(64, c), d), EVEN)
            mstore(p3, xor(d, t))
            mstore(p2, xor(c, shl(64, t)))
        }
    }

    /// Bit k of a 16-bit mask as the 16 bits of number k in a word of u16 numbers.
    function spread(uint256 bits) internal pure returns (uint256 word) {
        unchecked {
            // Bit k alone in number k, then carried to the number's highest bit, then to all of them.
            uint256 one = (bits & 0xffff) * U16_ONES;
            uint256 alone = one & 0x8000400020001000080004000200010000800040002000100008000400020001;
            return (((alone + 0x7fff * U16_ONES) >> 15) & U16_ONES) * 0xffff;
        }
    }

    /// Puts the votes of block `b` into ROW_VOTES. Row v's are at `votes` + v · `stride` (in bytes).
    function select(uint256 table, uint256 rows, uint256 votes, uint256 stride, uint256 b) internal pure {
        unchecked {
            uint256 end = table + rows * ROW;
            for (uint256 row = table; row < end; row += ROW) {
                uint256 mask = get(row, ROW_MASK) >> (16 * b);
                uint256 masked = (mask & 0xffff) == 0 ? 0 : spread(mask);
                // Reads the votes, and leaves out the validator's own column: a shift by 256 or more (also by less than 0, which
                // wraps to a huge number) gives 0.
                assembly ("memory-safe") {
                    let own := shl(sub(mload(add(row, ROW_SELF)), mul(b, 256)), 0xffff)
                    mstore(row, and(mload(votes), not(or(own, masked))))
                    votes := add(votes, stride)
                }
            }
        }
    }

    /// The sum of a word's u16 numbers.
    function sum16(uint256 word) internal pure returns (uint256) {
        unchecked {
            // Eight sums of two in 32 bits each; the product gathers them all in the highest 32 bits.
            uint256 pairs = (word & U32_LOW16) + ((word >> 16) & U32_LOW16);
            return (pairs * U32_ONES) >> 224;
        }
    }
}

uint256 constant U16_ONES = 0x0001000100010001000100010001000100010001000100010001000100010001;
uint256 constant U32_ONES = 0x0000000100000001000000010000000100000001000000010000000100000001;
uint256 constant U32_LOW16 = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
