// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {INeurons} from "../interfaces/INeurons.sol";
import {Table} from "./Table.sol";
import {Unchecked} from "./Unchecked.sol";

/// What an epoch works out of neurons and their stake when it opens: shares of stake, who is active, who gets a permit, which columns of
/// which rows do not count. Source: subtensor's epoch/run_epoch.rs, math.rs. Bitmaps: bit u = uid u.
library Opening {
    using Unchecked for uint256[];
    using Unchecked for uint16[];
    using Unchecked for INeurons.Slot[];

    /// Stake as I32F32 shares of its sum, in place. What is below the threshold counts as none, but for the owner.
    function normalise(uint256[] memory rao, uint256 threshold, uint256 ownerUid) internal pure {
        unchecked {
            uint256 total;
            for (uint256 i; i < rao.length; ++i) {
                uint256 one = rao.get(i);
                if (one < threshold && i != ownerUid) rao.set(i, one = 0);
                total += one;
            }
            if (total == 0) return;
            for (uint256 i; i < rao.length; ++i) {
                rao.set(i, (rao.get(i) << 32) / total);
            }
        }
    }

    /// The `count` largest of `stake` that are not 0; among equals the lower uid loses.
    function permits(uint256[] memory stake, uint256 count) internal pure returns (uint256 chosen) {
        unchecked {
            // With its uid below it each stake is one of a kind.
            uint256 holders;
            for (uint256 i; i < stake.length; ++i) {
                if (stake.get(i) == 0) continue;
                chosen |= 1 << i;
                ++holders;
            }
            if (holders <= count) return chosen;
            uint256 limit;
            for (uint256 bit = 1 << 40; bit != 0; bit >>= 1) {
                if (_countFrom(stake, limit | bit) >= count) limit |= bit;
            }
            chosen = 0;
            if (count == 0) return 0;
            for (uint256 i; i < stake.length; ++i) {
                if (stake.get(i) != 0 && ((stake.get(i) << 8) | i) >= limit) chosen |= 1 << i;
            }
        }
    }

    /// How many stakes, with their uid below, are at least `limit`.
    function _countFrom(uint256[] memory stake, uint256 limit) private pure returns (uint256 found) {
        // Reads the array. A stake of 0 with any uid is below 2^8, and is left out by the limits that matter: more than `count` others
        // are above them.
        assembly ("memory-safe") {
            let length := mload(stake)
            let p := add(stake, 0x20)
            for { let i := 0 } lt(i, length) { i := add(i, 1) } {
                found := add(found, iszero(lt(or(shl(8, mload(p)), i), limit)))
                p := add(p, 0x20)
            }
        }
    }

    /// For each uid the block from which on a registration makes the votes for the newcomer void: they are older. That goes by the last
    /// update, and by the block that the neurons' contract names where it names one.
    function ages(INeurons.Slot[] memory slots) internal pure returns (uint256[] memory since) {
        unchecked {
            since = new uint256[](slots.length);
            for (uint256 i; i < slots.length; ++i) {
                uint256 age = slots.lastUpdate(i);
                uint256 commit = slots.oldestCommit(i);
                since.set(i, commit != 0 && commit + 1 < age ? commit + 1 : age);
            }
        }
    }

    /// Columns registered in block `since` or later.
    function registeredFrom(INeurons.Slot[] memory slots, uint256 since) internal pure returns (uint256 columns) {
        unchecked {
            for (uint256 j; j < slots.length; ++j) {
                if (slots.registeredAt(j) >= since) columns |= 1 << j;
            }
        }
    }

    /// For each row in `uids` the columns that do not count.
    function masks(INeurons.Slot[] memory slots, uint16[] memory uids, uint256[] memory since)
        internal
        pure
        returns (uint256[] memory columns)
    {
        unchecked {
            columns = new uint256[](uids.length);
            uint256 oldest = type(uint256).max;
            for (uint256 v; v < uids.length; ++v) {
                // A row without votes has nothing to leave out.
                uint256 uid = uids.uid(v);
                if (slots.rowSum(uid) != 0 && since.get(uid) < oldest) oldest = since.get(uid);
            }
            // Mostly there are few newcomers since the oldest vote; only they are compared with each row.
            uint256 late = oldest == type(uint256).max ? 0 : registeredFrom(slots, oldest);
            for (uint256 j; late >> j != 0; ++j) {
                if ((late >> j) & 1 == 0) continue;
                uint256 registered = slots.registeredAt(j);
                for (uint256 v; v < uids.length; ++v) {
                    uint256 uid = uids.uid(v);
                    if (registered < since.get(uid) || slots.rowSum(uid) == 0) continue;
                    columns.set(v, columns.get(v) | (1 << j));
                }
            }
        }
    }

    /// Sums of the votes that count, one for each of `uids`. Only words in which a vote may not count are read.
    function sums(
        INeurons neurons,
        uint16 netuid,
        INeurons.Slot[] memory slots,
        uint16[] memory uids,
        uint256[] memory columns,
        uint256 ownerUid
    ) internal view returns (uint256[] memory total) {
        unchecked {
            total = new uint256[](uids.length);
            uint256[] memory voids = new uint256[](uids.length);
            uint256 any;
            for (uint256 v; v < uids.length; ++v) {
                uint256 uid = uids.uid(v);
                uint256 sum = slots.rowSum(uid);
                total.set(v, sum);
                if (sum == 0) continue;
                uint256 mask = columns.get(v);
                if (uid != ownerUid) mask |= 1 << uid;
                voids.set(v, mask);
                any |= mask;
            }
            for (uint256 w; any >> (16 * w) != 0 && w < 16; ++w) {
                if ((any >> (16 * w)) & 0xffff != 0) _subtract(neurons, netuid, uids, voids, w, total);
            }
        }
    }

    /// Takes the votes of word `w` that do not count off the sums.
    function _subtract(
        INeurons neurons,
        uint16 netuid,
        uint16[] memory uids,
        uint256[] memory voids,
        uint256 w,
        uint256[] memory total
    ) private view {
        uint16[] memory readers = new uint16[](uids.length);
        uint256 found;
        unchecked {
            for (uint256 v; v < uids.length; ++v) {
                if ((voids.get(v) >> (16 * w)) & 0xffff != 0) readers.setUid(found++, uids.uid(v));
            }
        }
        // Shortens the array to what was found.
        assembly ("memory-safe") {
            mstore(readers, found)
        }
        uint256[] memory votes = neurons.rows(netuid, readers, w, w + 1);
        uint256 k;
        for (uint256 v; v < uids.length; ++v) {
            uint256 mask = voids.get(v) >> (16 * w);
            if (mask & 0xffff != 0) total.set(v, total.get(v) - Table.sum16(votes[k++] & Table.spread(mask)));
        }
    }
}
