// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Bonds} from "./yuma/Bonds.sol";
import {Consensus} from "./yuma/Consensus.sol";
import {EpochStore} from "./yuma/EpochStore.sol";
import {Fixed} from "./yuma/Fixed.sol";
import {LANE, ONE, ONES} from "./yuma/Lanes.sol";
import "./yuma/State.sol";
import "./yuma/Table.sol";
import {Unchecked} from "./yuma/Unchecked.sol";

/// The pages of an epoch: what is done for each weight. A contract of its own because it is compiled for speed, whatever its size; Epochs
/// runs it on its own state (delegatecall). Called itself it has no state and refuses everything.
contract EpochPages is EpochStore {
    using Unchecked for uint256[];
    using Unchecked for uint16[];

    /// Medians are of use only to an epoch that is in the consensus stage.
    error NotInConsensus(uint16 netuid);
    error NotInBonds(uint16 netuid);
    /// There must be a word for every four columns, in whole blocks of 16.
    error MedianCount(uint256 expected);
    /// Word `word` of the supplied medians is not what the votes say.
    error WrongMedian(uint256 word);

    // ---- Consensus ----

    /// Rows in memory, with the votes of the columns at hand.
    struct Page {
        uint256 from; // blocks
        uint256 to;
        uint256 table; // of the rows that the stage is about
        uint256 rows;
        uint256 votes; // first row's word of block `from`
        uint256 stride; // bytes from row to row
        uint256 majority; // in each lane
        uint256 backing; // stake in the median, in each lane
        uint256 buffer;
        bool sole; // a single validator has all active stake
        uint256 end; // of the table, in whole groups of rows
    }

    /// A page of the consensus, with `advice` all of it. Returns how many columns were done, rounded up to whole blocks.
    function consensus(uint16 netuid, uint256[] calldata advice, uint256 maxColumns) external returns (uint256) {
        State storage s = _states[netuid];
        if (s.stage != CONSENSUS) revert NotInConsensus(netuid);
        uint256 expected = 4 * _blocks(s.columns);
        if (advice.length != 0 && advice.length != expected) revert MedianCount(expected);
        Page memory page = _consensusPage(netuid, s, s.nextColumn / 16, _lastBlock(s, maxColumns));
        (uint256 rankSum, uint256 any) = (s.rankSum, 0);
        for (uint256 b = page.from; b < page.to; ++b) {
            Table.select(page.table, page.rows, page.votes + 32 * (b - page.from), page.stride, b);
            for (uint256 w = 4 * b; w < 4 * b + 4; ++w) {
                uint256 t = advice.length == 0 ? _median(page, w % 4) : advice[w];
                uint256 rank = _proven(page, w, t);
                s.consensus[w] = t;
                s.ranks[w] = rank;
                any |= t;
                rankSum += Consensus.sumLanes(rank);
            }
        }
        s.rankSum = uint64(rankSum);
        if (any != 0) s.someConsensus = true;
        return _turn(netuid, s, page, BONDS);
    }

    /// The ranks that the medians `t` of word `w` give; reverts where they are not the medians.
    function _proven(Page memory page, uint256 w, uint256 t) private pure returns (uint256) {
        (uint256 atLeast, uint256 atMost, uint256 rank) = Consensus.tally(page.table, page.rows, 16 * (w % 4), t);
        if (!Consensus.proven(t, atLeast, atMost, page.majority, page.backing)) revert WrongMedian(w);
        return page.sole ? t : rank;
    }

    /// The medians of all columns.
    function medians(uint16 netuid) external view returns (uint256[] memory words) {
        State storage s = _states[netuid];
        if (s.stage != CONSENSUS) revert NotInConsensus(netuid);
        words = new uint256[](4 * _blocks(s.columns));
        Page memory page = _consensusPage(netuid, s, 0, _blocks(s.columns));
        for (uint256 b; b < page.to; ++b) {
            Table.select(page.table, page.rows, page.votes + 32 * b, page.stride, b);
            for (uint256 q; q < 4; ++q) {
                words[4 * b + q] = _median(page, q);
            }
        }
    }

    function _consensusPage(uint16 netuid, State storage s, uint256 from, uint256 to)
        private
        view
        returns (Page memory page)
    {
        page = _page(netuid, s, from, to, true);
        uint256 total;
        for (uint256 v; v < page.rows; ++v) {
            total += Table.get(page.table + v * ROW, ROW_ACTIVE);
        }
        uint256 backing;
        for (uint256 v; v < page.rows; ++v) {
            uint256 row = page.table + v * ROW;
            uint256 stake = Fixed.div(Table.get(row, ROW_ACTIVE), total);
            backing += stake;
            Table.put(row, ROW_MEDIAN, stake);
        }
        // With a majority of 0 the largest score is the median, with one that rounding has put out of reach the smallest.
        uint256 majority = Fixed.share(s.settings.kappa);
        if (majority > backing) majority = backing;
        if (majority == 0) majority = 1;
        page.majority = majority * ONES;
        page.backing = backing * ONES;
        page.sole = page.rows == 1;
        page.buffer = Table.create((page.rows + 3) / 4, 0x100);
    }

    function _median(Page memory page, uint256 q) private pure returns (uint256) {
        return Consensus.search(page.table, page.rows, 16 * q, page.majority, page.buffer);
    }

    // ---- Bonds ----

    /// A page of the bonds. Returns how many columns were done, rounded up to whole blocks.
    function bonds(uint16 netuid, uint256 maxColumns) external returns (uint256) {
        State storage s = _states[netuid];
        if (s.stage != BONDS) revert NotInBonds(netuid);
        Page memory page = _page(netuid, s, s.nextColumn / 16, _lastBlock(s, maxColumns), false);
        Settings memory settings = s.settings;
        Bonds.Block memory blk;
        Fixed.Curve memory curve;
        bool liquid = settings.liquidAlpha && s.someConsensus;
        if (liquid) curve = Fixed.curve(settings.alphaLow, settings.alphaHigh, settings.steepness);
        uint256 newcomers = s.newcomers;
        for (uint256 b = page.from; b < page.to; ++b) {
            Table.select(page.table, page.rows, page.votes + 32 * (b - page.from), page.stride, b);
            _loadBonds(page, b, Table.spread(newcomers >> (16 * b)));
            _loadBlock(s, blk, b);
            Bonds.clip(page.table, page.end, blk);
            if (settings.penalty != ONE) Bonds.soften(page.table, page.end, settings.penalty);
            if (settings.yuma3) {
                if (liquid) Bonds.averageLiquid(page.table, page.end, blk, curve);
                else Bonds.average3(page.table, page.end, blk, settings.alpha);
                Bonds.dividends3(page.table, page.end, blk);
            } else {
                Bonds.buy(page.table, page.end, blk);
                Bonds.average2(page.table, page.end, blk, settings.alpha);
            }
            _storeBonds(page, b);
        }
        _storeGathered(s, page);
        return _turn(netuid, s, page, FINISH);
    }

    /// Consensus and incentive of block `b`, and sums of 0.
    function _loadBlock(State storage s, Bonds.Block memory blk, uint256 b) private view {
        unchecked {
            bool idle = s.idleStake;
            uint256 rankSum = s.rankSum;
            for (uint256 q; q < 4; ++q) {
                blk.consensus[q] = idle ? 0 : s.consensus[4 * b + q];
                blk.sums[q] = blk.olds[q] = 0;
                uint256 ranks = rankSum == 0 ? 0 : s.ranks[4 * b + q];
                for (uint256 k; k < 4; ++k) {
                    blk.incentive[4 * q + k] = Fixed.div((ranks >> (64 * k)) & LANE, rankSum);
                }
            }
        }
    }

    function _loadBonds(Page memory page, uint256 b, uint256 voided) private view {
        (uint256 row, uint256 end) = (page.table, page.end);
        // Reads the bonds of rows that have any, at the storage slots that `_page` has worked out; writes to the table.
        assembly ("memory-safe") {
            for {} lt(row, end) { row := add(row, ROW) } {
                let word := 0
                if and(mload(add(row, ROW_FLAGS)), FLAG_BONDED) { word := sload(add(mload(add(row, ROW_SLOT)), b)) }
                mstore(add(row, ROW_STORED), word)
                mstore(add(row, ROW_OLD), and(word, not(voided)))
                mstore(add(row, ROW_NEW), 0)
            }
        }
    }

    function _storeBonds(Page memory page, uint256 b) private {
        (uint256 row, uint256 end) = (page.table, page.table + page.rows * ROW);
        // Writes the bonds of rows that are kept. What stands in the place of a row that was not bonded is left from long ago.
        assembly ("memory-safe") {
            for {} lt(row, end) { row := add(row, ROW) } {
                let flags := mload(add(row, ROW_FLAGS))
                if and(flags, FLAG_KEPT) {
                    let word := mload(add(row, ROW_NEW))
                    if or(iszero(and(flags, FLAG_BONDED)), xor(word, mload(add(row, ROW_STORED)))) {
                        sstore(add(mload(add(row, ROW_SLOT)), b), word)
                    }
                }
            }
        }
    }

    /// Adds what the page's columns have given each row to what the columns before have.
    function _storeGathered(State storage s, Page memory page) private {
        unchecked {
            bool first = page.from == 0;
            for (uint256 v; v < page.rows; v += 3) {
                uint256 word = first ? 0 : s.gathered[v / 3];
                for (uint256 k; k < 3 && v + k < page.rows; ++k) {
                    uint256 row = page.table + (v + k) * ROW;
                    uint256 trust = Consensus.sumLanes(Table.get(row, ROW_TRUST));
                    // Fields are wide enough for their sums over all columns, so that words can be added.
                    uint256 share = Table.get(page.table + ((v + k) / 4) * GROUP, ROW_SHARE) >> (64 * ((v + k) % 4));
                    word += ((share & LANE) | (trust << GATHERED_TRUST)) << (RECORD_BITS * k);
                }
                s.gathered[v / 3] = word;
            }
        }
    }

    // ---- Both ----

    /// The rows with their votes of blocks `from` to `to`.
    function _page(uint16 netuid, State storage s, uint256 from, uint256 to, bool votersOnly)
        private
        view
        returns (Page memory page)
    {
        unchecked {
            uint256 rows = s.rows;
            uint256 table = Table.create((rows + 3) / 4, GROUP);
            uint16[] memory uids = new uint16[](rows);
            uint256 slot;
            uint256[4096] storage stored = s.bonds;
            // The storage slot of the first row of bonds.
            assembly ("memory-safe") {
                slot := stored.slot
            }
            uint256 count;
            uint256 word;
            for (uint256 v; v < rows; ++v) {
                word = v % 3 == 0 ? s.records[v / 3] : word >> RECORD_BITS;
                uint256 active = (word >> RECORD_ACTIVE) & 0x1ffffffff;
                if (votersOnly && active == 0) continue;
                uint256 row = table + count * ROW;
                _fill(row, word, active, s.ownerUid, slot);
                if ((word >> RECORD_FLAGS) & FLAG_MASKED != 0) Table.put(row, ROW_MASK, s.masks[v]);
                uids.setUid(count++, word & 0xff);
            }
            // Shortens the array to the rows that take part.
            assembly ("memory-safe") {
                mstore(uids, count)
            }
            (page.from, page.to, page.table, page.rows) = (from, to, table, count);
            page.stride = 32 * (to - from);
            page.end = table + ((count + 3) / 4) * GROUP;
            uint256[] memory votes = _neurons().rows(netuid, uids, from, to);
            // The votes stand behind the array's length.
            assembly ("memory-safe") {
                mstore(add(page, 0x80), add(votes, 0x20))
            }
        }
    }

    function _fill(uint256 row, uint256 record, uint256 active, uint256 ownerUid, uint256 slot) private pure {
        unchecked {
            uint256 uid = record & 0xff;
            uint256 sum = (record >> RECORD_SUM) & 0xffffff;
            Table.put(row, ROW_RECIPROCAL, sum == 0 ? 0 : (1 << 80) / sum + 1);
            Table.put(row, ROW_ACTIVE, active);
            Table.put(row, ROW_SELF, uid == ownerUid ? 1 << 255 : 16 * uid);
            Table.put(row, ROW_SLOT, slot + 16 * uid);
            Table.put(row, ROW_FLAGS, (record >> RECORD_FLAGS) & 7);
        }
    }

    /// Notes that a page is done; after the last one the next stage begins. Returns the page's columns.
    function _turn(uint16 netuid, State storage s, Page memory page, uint8 nextStage) private returns (uint256) {
        emit EpochPaged(netuid, s.index, s.stage, uint16(16 * page.to));
        bool last = page.to == _blocks(s.columns);
        if (last) s.stage = nextStage;
        s.nextColumn = last ? 0 : uint16(16 * page.to);
        return 16 * (page.to - page.from);
    }

    /// The block before which a page of at most `maxColumns` columns ends.
    function _lastBlock(State storage s, uint256 maxColumns) private view returns (uint256) {
        uint256 all = _blocks(s.columns);
        uint256 left = all - s.nextColumn / 16;
        uint256 want = maxColumns / 16;
        return all - left + (want < left ? want : left);
    }

    /// Blocks of 16 columns.
    function _blocks(uint256 columns) private pure returns (uint256) {
        return (columns + 15) / 16;
    }
}
