// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Fixed} from "./Fixed.sol";
import {EVEN, EVEN16, EVEN33, GUARD, LANE, LOW16, LOW32, ODD, ODD33, ONE, ONES} from "./Lanes.sol";
import {
    GROUP,
    ROW,
    ROW_ACTIVE,
    ROW_LANES,
    ROW_NEW,
    ROW_OLD,
    ROW_RECIPROCAL,
    ROW_SHARE,
    ROW_TRUST,
    Table
} from "./Table.sol";

/// Bonds of one block of 16 columns: what each validator's bonds become, and what dividends they earn. Source: subtensor's
/// epoch/run_epoch.rs, the sparse path.
///
/// Clipping goes row by row, since a row's votes share a divisor. What divides by sums of columns goes column by column: four rows × four
/// columns of lanes are transposed, so that a word holds one column of four rows. The table has a multiple of four rows.
library Bonds {
    /// The block at hand.
    struct Block {
        uint256[4] consensus; // in lanes
        uint256[4] sums; // of columns, in lanes
        uint256[4] olds; // of columns of old bonds, in lanes; Yuma 2 only
        uint256[16] incentive; // in the order of lanes: 4 · word + lane
    }

    /// Clips weights at consensus, adds them up to ROW_TRUST and puts them into ROW_LANES.
    function clip(uint256 table, uint256 end, Block memory blk) internal pure {
        unchecked {
            for (uint256 q; q < 4; ++q) {
                uint256 limit = blk.consensus[q];
                // Reads and writes rows of the table.
                assembly ("memory-safe") {
                    let guarded := or(limit, GUARD)
                    for { let row := table } lt(row, end) { row := add(row, ROW) } {
                        let w := shr(shl(4, q), mload(row))
                        {
                            let reciprocal := mload(add(row, ROW_RECIPROCAL))
                            w := or(
                                and(shr(48, mul(and(w, EVEN16), reciprocal)), EVEN),
                                and(shl(16, mul(and(shr(64, w), EVEN16), reciprocal)), ODD)
                            )
                        }
                        w := xor(limit, and(xor(w, limit), mul(and(shr(63, sub(guarded, w)), ONES), LANE)))
                        mstore(add(add(row, ROW_LANES), shl(5, q)), w)
                        mstore(add(row, ROW_TRUST), add(mload(add(row, ROW_TRUST)), w))
                    }
                }
            }
        }
    }

    /// Bond weights where the penalty is below 1: weights moved towards the clipped ones by `penalty`, in ROW_LANES.
    function soften(uint256 table, uint256 end, uint256 penalty) internal pure {
        // Reads and writes rows of the table: w − ⌈penalty · (w − clipped)⌉, which is how a floored negative product comes out.
        assembly ("memory-safe") {
            for { let row := table } lt(row, end) { row := add(row, ROW) } {
                let votes := mload(row)
                let reciprocal := mload(add(row, ROW_RECIPROCAL))
                let p := add(row, ROW_LANES)
                for { let q := 0 } lt(q, 4) { q := add(q, 1) } {
                    let w := or(
                        and(shr(48, mul(and(votes, EVEN16), reciprocal)), EVEN),
                        and(shl(16, mul(and(shr(64, votes), EVEN16), reciprocal)), ODD)
                    )
                    votes := shr(16, votes)
                    mstore(p, sub(w, and(shr(32, add(mul(sub(w, mload(p)), penalty), LOW32)), LOW32)))
                    p := add(p, 0x20)
                }
            }
        }
    }

    /// Yuma 3: turns bond weights into bonds, alpha · weight + (1 − alpha) · old bond, and sums columns.
    function average3(uint256 table, uint256 end, Block memory blk, uint256 alpha) internal pure {
        unchecked {
            // Where alpha is 0 or 1 a product would not fit its lane: both factors are halved then, and shifted by one less.
            uint256 shift = alpha % ONE == 0 ? 31 : 32;
            uint256 mask = shift == 31 ? LOW32 | (ONES << 32) : LOW32;
            uint256 rest = (ONE - alpha) >> (32 - shift);
            alpha >>= 32 - shift;
            for (uint256 q; q < 4; ++q) {
                uint256 sum;
                // Reads and writes rows of the table. b / 65535 in I32F32 is 65537 · b, and 1 more for b = 65535.
                assembly ("memory-safe") {
                    for { let row := table } lt(row, end) { row := add(row, ROW) } {
                        let bond := and(shr(shl(4, q), mload(add(row, ROW_OLD))), LOW16)
                        bond := add(mul(bond, 65537), and(shr(16, add(bond, ONES)), ONES))
                        {
                            let p := add(add(row, ROW_LANES), shl(5, q))
                            bond := add(and(shr(shift, mul(mload(p), alpha)), mask), and(shr(shift, mul(bond, rest)), mask))
                            mstore(p, bond)
                        }
                        sum := add(sum, bond)
                        let p := add(row, ROW_NEW)
                        mstore(p, or(mload(p), shl(shl(4, q), and(shr(32, mul(bond, 65535)), LOW16))))
                    }
                }
                blk.sums[q] = sum;
            }
        }
    }

    /// Yuma 3 with liquid alpha: turns bond weights into bonds. Each pair of validator and uid has an alpha of its own; a bond in a uid that
    /// the validator does not vote for is dropped.
    function averageLiquid(uint256 table, uint256 end, Block memory blk, Fixed.Curve memory curve) internal pure {
        unchecked {
            for (uint256 row = table; row < end; row += ROW) {
                uint256 old = Table.get(row, ROW_OLD);
                uint256 fresh;
                for (uint256 q; q < 4; ++q) {
                    uint256 votes = Table.get(row, ROW_LANES + 32 * q);
                    uint256 limits = blk.consensus[q];
                    uint256 lanes;
                    for (uint256 lane; votes >> lane != 0 && lane < 256; lane += 64) {
                        uint256 vote = (votes >> lane) & LANE;
                        if (vote == 0) continue;
                        uint256 bond = (((old >> (16 * q + lane)) & 0xffff) << 32) / 65_535;
                        // A vote above the old bond buys, and counts by how far it is above consensus; one below sells.
                        uint256 limit = (limits >> lane) & LANE;
                        uint256 distance = vote < bond ? bond - vote : vote > limit ? vote - limit : 0;
                        uint256 alpha = distance == 0 ? curve.atZero : Fixed.alpha(curve, distance);
                        uint256 moved = (((ONE - alpha) * bond) >> 32) + ((alpha * vote) >> 32);
                        if (moved > ONE) moved = ONE;
                        lanes |= moved << lane;
                        fresh |= ((moved * 65_535) >> 32) << (16 * q + lane);
                    }
                    Table.put(row, ROW_LANES + 32 * q, lanes);
                    blk.sums[q] += lanes;
                }
                Table.put(row, ROW_NEW, fresh);
            }
        }
    }

    /// Yuma 2: bonds are parts of a column. The new observation is a validator's part of the stake behind the column: turns bond weights
    /// into that stake, and sums columns of it and of the old bonds.
    function buy(uint256 table, uint256 end, Block memory blk) internal pure {
        unchecked {
            uint256 shift = 32;
            for (uint256 row = table; row < end; row += ROW) {
                // A sole active validator has a stake of 1: see `average3`.
                if (Table.get(row, ROW_ACTIVE) == ONE) shift = 31;
            }
            uint256 mask = shift == 31 ? LOW32 | (ONES << 32) : LOW32;
            for (uint256 q; q < 4; ++q) {
                (uint256 sum, uint256 old) = (0, 0);
                // Reads and writes rows of the table.
                assembly ("memory-safe") {
                    for { let row := table } lt(row, end) { row := add(row, ROW) } {
                        let p := add(add(row, ROW_LANES), shl(5, q))
                        let stake := mul(mload(p), shr(sub(32, shift), mload(add(row, ROW_ACTIVE))))
                        stake := and(shr(shift, stake), mask)
                        mstore(p, stake)
                        sum := add(sum, stake)
                        old := add(old, and(shr(shl(4, q), mload(add(row, ROW_OLD))), LOW16))
                    }
                }
                blk.sums[q] = sum;
                blk.olds[q] = old;
            }
        }
    }

    /// Yuma 3: adds each row's part in the columns' bonds, times the columns' incentive, to the group's ROW_SHARE.
    function dividends3(uint256 table, uint256 end, Block memory blk) internal pure {
        unchecked {
            for (uint256 q; q < 4; ++q) {
                uint256[4] memory incentive;
                uint256 halved = _incentive(blk, q, incentive);
                if (halved > 1) continue;
                uint256[4] memory parts;
                _reciprocals(blk.sums[q], parts);
                uint256 mask = LOW32 | (halved * (ONES << 32));
                halved = 32 - halved;
                for (uint256 row = table; row < end; row += GROUP) {
                    uint256 p = row + ROW_LANES + 32 * q;
                    Table.transpose(p, ROW);
                    uint256 share = ((_ratio(Table.get(p, 0), parts[0]) * incentive[0]) >> halved) & mask;
                    share += ((_ratio(Table.get(p, ROW), parts[1]) * incentive[1]) >> halved) & mask;
                    share += ((_ratio(Table.get(p, 2 * ROW), parts[2]) * incentive[2]) >> halved) & mask;
                    share += ((_ratio(Table.get(p, 3 * ROW), parts[3]) * incentive[3]) >> halved) & mask;
                    Table.put(row, ROW_SHARE, Table.get(row, ROW_SHARE) + share);
                }
            }
        }
    }

    /// Yuma 2: averages what was bought with the old bonds, each as parts of their columns; normalises the average, adds its dividends to
    /// the group's ROW_SHARE, and leaves it scaled so that a column's largest is 65535 in ROW_NEW.
    function average2(uint256 table, uint256 end, Block memory blk, uint256 alpha) internal pure {
        unchecked {
            // Number by number, the old bonds of all four words at once.
            for (uint256 row = table; row < end; row += GROUP) {
                Table.transpose(row + ROW_OLD, ROW);
            }
            for (uint256 q; q < 4; ++q) {
                for (uint256 row = table + ROW_LANES + 32 * q; row < end; row += GROUP) {
                    Table.transpose(row, ROW);
                }
                for (uint256 k; k < 4; ++k) {
                    uint256 first = table + k * ROW;
                    uint256 bought = _reciprocal((blk.sums[q] >> (64 * k)) & LANE);
                    uint256 old = _reciprocal((blk.olds[q] >> (64 * k)) & LANE);
                    (uint256 sum, uint256 top) = _mix(first, end, q, bought, old, alpha);
                    if (sum != 0) _settle(table, end, q, k, sum, top, blk.incentive[4 * q + k]);
                }
            }
            for (uint256 row = table; row < end; row += GROUP) {
                Table.transpose(row + ROW_NEW, ROW);
            }
        }
    }

    /// Averages a column, four rows at a time; returns its sum and its largest number.
    function _mix(uint256 first, uint256 end, uint256 q, uint256 bought, uint256 old, uint256 alpha)
        private
        pure
        returns (uint256 sum, uint256 top)
    {
        unchecked {
            // See `average3`.
            uint256 shift = alpha % ONE == 0 ? 31 : 32;
            uint256 mask = shift == 31 ? LOW32 | (ONES << 32) : LOW32;
            uint256 rest = (ONE - alpha) >> (32 - shift);
            alpha >>= 32 - shift;
            // Reads and writes rows of the table. `_ratio` explains the divisions.
            assembly ("memory-safe") {
                for { let row := first } lt(row, end) { row := add(row, GROUP) } {
                    let p := add(add(row, ROW_LANES), shl(5, q))
                    let bond := mload(p)
                    bond := or(
                        and(shr(88, mul(and(bond, EVEN), bought)), EVEN33),
                        and(shr(24, mul(and(shr(64, bond), EVEN), bought)), ODD33)
                    )
                    bond := and(shr(shift, mul(bond, alpha)), mask)
                    {
                        let x := shr(shl(4, q), mload(add(row, ROW_OLD)))
                        x := or(
                            and(shr(88, mul(and(x, EVEN16), old)), EVEN33),
                            and(shr(24, mul(and(shr(64, x), EVEN16), old)), ODD33)
                        )
                        bond := add(bond, and(shr(shift, mul(x, rest)), mask))
                    }
                    mstore(p, bond)
                    sum := add(sum, bond)
                    // Where a lane is above the largest so far, it takes its place.
                    let above := mul(and(shr(63, sub(or(bond, GUARD), top)), ONES), LANE)
                    top := xor(top, and(xor(top, bond), above))
                }
            }
            sum = (sum * ONES) >> 192;
            top = _largestLane(top);
        }
    }

    /// Dividends and u16 bonds of a column.
    function _settle(
        uint256 table,
        uint256 end,
        uint256 q,
        uint256 k,
        uint256 sum,
        uint256 top,
        uint256 incentive
    ) private pure {
        unchecked {
            // Where the incentive is 1 it is halved: see `average3`.
            uint256 shift = 32 - (incentive >> 32);
            uint256 mask = shift == 31 ? LOW32 | (ONES << 32) : LOW32;
            incentive >>= 32 - shift;
            uint256 part = _reciprocal(sum);
            top = _reciprocal((top << 32) / sum);
            uint256 field = ROW_LANES + 32 * q;
            // Reads and writes rows of the table; `k` rows before the column's are the groups' first.
            assembly ("memory-safe") {
                let back := sub(mul(k, ROW), ROW_SHARE)
                for { let row := add(table, mul(k, ROW)) } lt(row, end) { row := add(row, GROUP) } {
                    let bond := mload(add(row, field))
                    bond := or(
                        and(shr(88, mul(and(bond, EVEN), part)), EVEN33),
                        and(shr(24, mul(and(shr(64, bond), EVEN), part)), ODD33)
                    )
                    let p := sub(row, back)
                    mstore(p, add(mload(p), and(shr(shift, mul(bond, incentive)), mask)))
                    bond := or(
                        and(shr(88, mul(and(bond, EVEN), top)), EVEN33),
                        and(shr(24, mul(and(shr(64, bond), EVEN), top)), ODD33)
                    )
                    p := add(row, ROW_NEW)
                    mstore(p, or(mload(p), shl(shl(4, q), and(shr(32, mul(bond, 65535)), LOW16))))
                }
            }
        }
    }

    /// The incentive of word `q`, ready for products in lanes: where it is 1, which then is all there is, it is halved, and the result is
    /// 1; else 0. 2 where there is no incentive.
    function _incentive(Block memory blk, uint256 q, uint256[4] memory incentive) private pure returns (uint256 halved) {
        unchecked {
            uint256 any;
            for (uint256 k; k < 4; ++k) {
                any |= incentive[k] = blk.incentive[4 * q + k];
            }
            if (any == 0) return 2;
            halved = any >> 32;
            for (uint256 k; k < 4; ++k) {
                incentive[k] >>= halved;
            }
        }
    }

    /// x / sum of four numbers x of one column, none above the sum, as exact floors in I32F32. The reciprocal is too large by at most 1, so
    /// the product by at most x / 2^88, which is less than 1 / sum, and so less than what is missing to the next integer.
    function _ratio(uint256 x, uint256 reciprocal) private pure returns (uint256) {
        unchecked {
            return ((((x & EVEN) * reciprocal) >> 88) & EVEN33) | (((((x >> 64) & EVEN) * reciprocal) >> 24) & ODD33);
        }
    }

    function _reciprocal(uint256 sum) private pure returns (uint256) {
        unchecked {
            return sum == 0 ? 0 : (1 << 120) / sum + 1;
        }
    }

    /// The reciprocals of four lanes.
    function _reciprocals(uint256 sums, uint256[4] memory list) private pure {
        unchecked {
            for (uint256 k; k < 4; ++k) {
                list[k] = _reciprocal((sums >> (64 * k)) & LANE);
            }
        }
    }

    function _largestLane(uint256 lanes) private pure returns (uint256 largest) {
        unchecked {
            for (; lanes != 0; lanes >>= 64) {
                if (lanes & LANE > largest) largest = lanes & LANE;
            }
        }
    }
}
