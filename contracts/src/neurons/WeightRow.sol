// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Weights from calldata into packed words: word w holds the u16 weights towards uids 16·w … 16·w + 15, lowest bits first; values are
/// scaled so that the largest becomes 65535 (all zeros stay zeros), rounded to the nearest, halves up.
///
/// Assembly, because 256 weights in checked Solidity cost several times as much; every length is checked before.
library WeightRow {
    error DuplicateUids();
    error UidVecContainInvalidOne(uint256 uid);
    error ValueOutOfRange();

    /// `uids` and `values` are of one length, at most `count` (neurons, at most 256). Returns ⌈count / 16⌉ words.
    function pack(uint16[] calldata uids, uint16[] calldata values, uint256 count) internal pure returns (uint256[] memory words, uint256 sum) {
        uint256 max = largest(values);
        words = new uint256[]((count + 15) / 16);
        if (max == 0) max = 1;
        uint256 seen; // bit per uid
        uint256 fault; // 1: a uid twice, 2: no such uid
        uint256 uid;
        assembly ("memory-safe") {
            // ⌊(2 · 65535 · v + max) / (2 · max)⌋
            function scaled(place, top) -> value {
                value := div(add(mul(calldataload(place), 131070), top), shl(1, top))
            }
            let first := add(words, 32)
            let end := shl(5, uids.length)
            let offset := 0
            // Uids 0, 1, 2, …, as most rows have them: a third of the price of the loop below.
            for { let slot := first } lt(offset, end) { slot := add(slot, 32) } {
                let word := 0
                for { let shift := 0 } and(lt(shift, 256), lt(offset, end)) { shift := add(shift, 16) } {
                    if xor(calldataload(add(uids.offset, offset)), shr(5, offset)) {
                        seen := 1
                        break
                    }
                    let value := scaled(add(values.offset, offset), max)
                    sum := add(sum, value)
                    word := or(word, shl(shift, value))
                    offset := add(offset, 32)
                }
                mstore(slot, word)
                if seen { break }
            }
            seen := sub(shl(shr(5, offset), 1), 1)
            for {} lt(offset, end) { offset := add(offset, 32) } {
                uid := calldataload(add(uids.offset, offset))
                if iszero(lt(uid, count)) {
                    fault := 2
                    break
                }
                let bit := shl(uid, 1)
                if and(seen, bit) {
                    fault := 1
                    break
                }
                seen := or(seen, bit)
                let value := scaled(add(values.offset, offset), max)
                sum := add(sum, value)
                let word := add(first, shl(5, shr(4, uid)))
                mstore(word, or(mload(word), shl(shl(4, and(uid, 15)), value)))
            }
        }
        if (fault == 1) revert DuplicateUids();
        if (fault == 2) revert UidVecContainInvalidOne(uid);
    }

    /// Also sees to it that every value is a u16.
    function largest(uint16[] calldata values) private pure returns (uint256 max) {
        assembly ("memory-safe") {
            let end := shl(5, values.length)
            for { let at := 0 } lt(at, end) { at := add(at, 32) } {
                let value := calldataload(add(values.offset, at))
                if gt(value, max) { max := value }
            }
        }
        if (max > type(uint16).max) revert ValueOutOfRange();
    }
}
