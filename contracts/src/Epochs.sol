// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IEpochs} from "./interfaces/IEpochs.sol";
import {INeurons} from "./interfaces/INeurons.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ISubnets} from "./interfaces/ISubnets.sol";
import {EpochPages} from "./EpochPages.sol";
import {EpochStore} from "./yuma/EpochStore.sol";
import {Fixed} from "./yuma/Fixed.sol";
import {LANE, LOW16, ONE} from "./yuma/Lanes.sol";
import {Opening} from "./yuma/Opening.sol";
import "./yuma/State.sol";
import {Unchecked} from "./yuma/Unchecked.sol";

/// Yuma consensus: what the subnet's emission is shared out by. Once a tempo, from stake and weights to consensus, incentive, bonds,
/// dividends, permits and rao.
///
/// To the bit what subtensor computes (pallets/subtensor/src/epoch/run_epoch.rs, the sparse path), given the same inputs; ours are
/// simpler: no mechanisms, no root subnet, no child hotkeys, stake in one currency.
///
/// An epoch of 64 validators × 256 uids does not fit in one transaction, so it is computed in pages that anybody may push:
///   opening     stake, permits and what the votes' sums are, once
///   consensus   medians and ranks, in blocks of 16 columns
///   bonds       new bonds and their dividends, in blocks of 16 columns (they need all ranks, hence a second pass)
///   finish      outcomes and payment, once
/// From the block in which an epoch is due until it is finished nothing that it reads changes: the other contracts ask `frozen`. Stake
/// may change; it is read once, at the opening. The median is the dearest part; a caller may supply it (`stepWithMedians`), and proving
/// it right takes one look at each weight.
contract Epochs is IEpochs, EpochStore, ReentrancyGuardTransient {
    using Unchecked for uint256[];
    using Unchecked for uint16[];
    using Unchecked for INeurons.Slot[];

    error OnlyNeurons();
    /// The epoch is due from `block` on.
    error EpochNotDue(uint16 netuid, uint256 dueBlock);
    error TooManyNeurons(uint256 count);

    event EpochOpened(uint16 indexed netuid, uint64 indexed index, uint64 atBlock, uint256 rao);
    event EpochFinished(uint16 indexed netuid, uint64 indexed index, uint256 incentiveRao, uint256 dividendRao, uint256 burnRao);

    /// `epochPages` is the contract of that name.
    function initialize(Addresses calldata peers, address epochPages) external {
        link(peers);
        pages = epochPages;
    }

    // ---- Pushing an epoch ----

    /// Pushes the epoch of `netuid`, by anybody: stage after stage while `maxColumns` last. Opening and finish count as many columns as
    /// there are neurons, but are done in any case where they come first. Less than 16 columns count as 16.
    function step(uint16 netuid, uint256 maxColumns) external nonReentrant {
        State storage s = _states[netuid];
        uint256 budget = maxColumns < 16 ? 16 : maxColumns;
        bool first = true;
        do {
            uint256 columns = s.columns;
            uint256 cost = columns == 0 ? 1 : columns;
            if (s.stage == IDLE) {
                cost = _open(netuid, s);
            } else if (s.stage == CONSENSUS) {
                cost = _page(abi.encodeCall(EpochPages.consensus, (netuid, new uint256[](0), budget)));
            } else if (s.stage == BONDS) {
                cost = _page(abi.encodeCall(EpochPages.bonds, (netuid, budget)));
            } else {
                if (!first && cost > budget) return;
                _finish(netuid, s);
                return;
            }
            budget = cost < budget ? budget - cost : 0;
            first = false;
        } while (budget >= 16);
    }

    /// Does the whole consensus stage with the medians of all columns (`medians` knows them). Reverts where any is wrong.
    function stepWithMedians(uint16 netuid, uint256[] calldata words) external nonReentrant {
        _supplied(netuid, words);
    }

    /// The same, and then at most `maxColumns` columns of bonds: what the two stages read both is cheaper in one transaction.
    function stepWithMedians(uint16 netuid, uint256[] calldata words, uint256 maxColumns) external nonReentrant {
        _supplied(netuid, words);
        if (maxColumns >= 16) _page(abi.encodeCall(EpochPages.bonds, (netuid, maxColumns)));
    }

    function _supplied(uint16 netuid, uint256[] calldata words) private {
        if (words.length == 0) revert EpochPages.MedianCount(4 * ((uint256(_states[netuid].columns) + 15) / 16));
        _page(abi.encodeCall(EpochPages.consensus, (netuid, words, type(uint256).max)));
    }

    /// The medians for `stepWithMedians`, for who does not want to compute them: free where it is called and not sent. Word 4b + q holds
    /// the columns 16b + q, + 4, + 8 and + 12 as I32F32 in 64 bits each, lowest first.
    function medians(uint16 netuid) external view returns (uint256[] memory) {
        return abi.decode(_reading(_delegate)(abi.encodeCall(EpochPages.medians, (netuid))), (uint256[]));
    }

    /// Runs a page; returns its columns.
    function _page(bytes memory data) private returns (uint256) {
        return abi.decode(_delegate(data), (uint256));
    }

    /// Runs the code of the pages on this contract's state.
    function _delegate(bytes memory data) private returns (bytes memory result) {
        bool done;
        (done, result) = pages.delegatecall(data);
        if (done) return result;
        // Passes the revert on.
        assembly ("memory-safe") {
            revert(add(result, 0x20), mload(result))
        }
    }

    /// The same function as one that only reads, which is true of what `medians` asks for.
    function _reading(function(bytes memory) internal returns (bytes memory) f)
        private
        pure
        returns (function(bytes memory) internal view returns (bytes memory) g)
    {
        // A function is its place in the code.
        assembly ("memory-safe") {
            g := f
        }
    }

    // ---- Opening ----

    function _open(uint16 netuid, State storage s) private returns (uint256) {
        ISubnets.Params memory params = _subnets().params(netuid);
        uint256 last = s.lastBlock == 0 ? params.registrationBlock : s.lastBlock;
        if (!_due(last, params.tempo)) revert EpochNotDue(netuid, last + params.tempo);
        uint256 pending = _staking().settle(netuid);
        INeurons.Slot[] memory slots = _neurons().slots(netuid);
        if (slots.length > 256) revert TooManyNeurons(slots.length);

        uint256 ownerUid = _ownerUid(netuid, slots);
        s.lastBlock = uint64(_block());
        s.nextColumn = 0;
        s.someConsensus = false;
        s.columns = uint16(slots.length);
        s.ownerUid = uint16(ownerUid);
        s.ownerRao = uint64((pending * params.ownerCut) / 65_535);
        s.rao = uint64(pending - s.ownerRao);
        s.rankSum = 0;
        s.newcomers = Opening.registeredFrom(slots, last + 1);
        _setSettings(s, params);
        _openRows(netuid, s, params, slots, ownerUid);
        emit EpochOpened(netuid, s.index, s.lastBlock, pending);
        return slots.length == 0 ? 1 : slots.length;
    }

    function _setSettings(State storage s, ISubnets.Params memory params) private {
        uint256 old = (uint256(params.bondsMovingAverage) << 32) / 1_000_000;
        s.settings = Settings({
            alpha: uint64(old < ONE ? ONE - old : 0),
            penalty: uint64(Fixed.share(params.bondsPenalty)),
            kappa: params.kappa,
            alphaLow: params.alphaLow,
            alphaHigh: params.alphaHigh,
            steepness: int16(params.alphaSteepness),
            yuma3: params.yuma3,
            liquidAlpha: params.liquidAlpha
        });
    }

    /// Stake, permits and rows.
    function _openRows(
        uint16 netuid,
        State storage s,
        ISubnets.Params memory params,
        INeurons.Slot[] memory slots,
        uint256 ownerUid
    ) private {
        uint256[] memory stake = _staking().stakeOf(netuid, _hotkeys(slots));
        Opening.normalise(stake, params.stakeThreshold, ownerUid);
        _putShares(_slotOf(s.stakeWeight16) + 16 * (s.index & 1), stake);

        uint256 permitted = s.permits;
        uint256 next = Opening.permits(stake, params.maxValidators);
        if (ownerUid != NOBODY) {
            permitted |= 1 << ownerUid;
            next |= 1 << ownerUid;
        }
        s.nextPermits = next;
        uint256 active = _activeUids(slots, params);
        s.nextActive = active;
        uint16[] memory uids = _uidsIn(permitted, slots.length);
        uint256[] memory activeStake = _normalised(uids, stake, active);
        s.rows = uint16(uids.length);
        s.idleStake = _sum(activeStake) == 0;
        if (s.idleStake) _putLanes(s.ranks, stake);
        _putRecords(netuid, s, slots, uids, activeStake);
        s.stage = slots.length == 0 ? FINISH : s.idleStake ? BONDS : CONSENSUS;
    }

    function _putRecords(
        uint16 netuid,
        State storage s,
        INeurons.Slot[] memory slots,
        uint16[] memory uids,
        uint256[] memory activeStake
    ) private {
        uint256[] memory masks = Opening.masks(slots, uids, Opening.ages(slots));
        uint256[] memory sums = Opening.sums(_neurons(), netuid, slots, uids, masks, s.ownerUid);
        unchecked {
            (uint256 next, uint256 bonded, uint256 word) = (s.nextPermits, s.bonded, 0);
            for (uint256 v; v < uids.length; ++v) {
                uint256 uid = uids.uid(v);
                uint256 flags = ((next >> uid) & 1) * FLAG_KEPT | ((bonded >> uid) & 1) * FLAG_BONDED;
                if (masks.get(v) != 0) {
                    flags |= FLAG_MASKED;
                    s.masks[v] = masks.get(v);
                }
                uint256 record =
                    uid | (sums.get(v) << RECORD_SUM) | (activeStake.get(v) << RECORD_ACTIVE) | (flags << RECORD_FLAGS);
                word |= record << (RECORD_BITS * (v % 3));
                if (v % 3 == 2 || v + 1 == uids.length) {
                    s.records[v / 3] = word;
                    word = 0;
                }
            }
        }
    }

    function _ownerUid(uint16 netuid, INeurons.Slot[] memory slots) private view returns (uint256) {
        (, bytes32 hotkey) = _subnets().ownerOf(netuid);
        for (uint256 i; i < slots.length; ++i) {
            if (slots.hotkey(i) == hotkey) return i;
        }
        return NOBODY;
    }

    function _hotkeys(INeurons.Slot[] memory slots) private pure returns (bytes32[] memory hotkeys) {
        hotkeys = new bytes32[](slots.length);
        for (uint256 i; i < slots.length; ++i) {
            hotkeys[i] = slots.hotkey(i);
        }
    }

    /// Who has updated its weights lately enough.
    function _activeUids(INeurons.Slot[] memory slots, ISubnets.Params memory params) private view returns (uint256 active) {
        uint256 cutoff = (uint256(params.activityCutoffFactor) * params.tempo) / 1000;
        if (cutoff == 0) cutoff = 1;
        uint256 current = _block();
        for (uint256 i; i < slots.length; ++i) {
            if (slots.lastUpdate(i) + cutoff >= current) active |= 1 << i;
        }
    }

    /// The stake of active rows as shares of its sum.
    function _normalised(uint16[] memory uids, uint256[] memory stake, uint256 active)
        private
        pure
        returns (uint256[] memory shares)
    {
        shares = new uint256[](uids.length);
        for (uint256 v; v < uids.length; ++v) {
            shares.set(v, ((active >> uids.uid(v)) & 1) * stake.get(uids.uid(v)));
        }
        uint256 total = _sum(shares);
        for (uint256 v; v < uids.length; ++v) {
            shares.set(v, Fixed.div(shares.get(v), total));
        }
    }

    // ---- Finish ----

    /// What an epoch gives each uid.
    struct Shares {
        uint256[] incentive;
        uint256[] dividends;
        uint256[] server; // rao
        uint256[] validator; // rao
    }

    function _finish(uint16 netuid, State storage s) private {
        Shares memory shares;
        uint256 n = s.columns;
        shares.incentive = new uint256[](n);
        shares.dividends = new uint256[](n);
        shares.server = new uint256[](n);
        shares.validator = new uint256[](n);
        uint256[] memory activeStake = new uint256[](n);
        uint256 rows = _finishRows(s, shares.dividends, activeStake);
        _finishColumns(s, shares.incentive);
        _putShares(_slotOf(s.incentive16), shares.incentive);
        _putShares(_slotOf(s.dividends16), shares.dividends);
        _split(s, shares, activeStake);

        s.bonded = s.nextPermits & rows;
        s.permits = s.nextPermits;
        s.active = s.nextActive;
        if (s.cleared != 0) s.cleared = 0;
        s.stage = IDLE;
        uint64 index = s.index++;
        _pay(netuid, s, shares, index);
    }

    /// Dividends and vtrust of the rows, and their active stake, by uid. Returns the uids that have rows.
    function _finishRows(State storage s, uint256[] memory dividends, uint256[] memory activeStake)
        private
        returns (uint256 uids)
    {
        unchecked {
            uint256[] memory vtrust = new uint256[](dividends.length);
            bool yuma3 = s.settings.yuma3;
            uint256 count = s.rows;
            (uint256 word, uint256 more) = (0, 0);
            for (uint256 v; v < count; ++v) {
                if (v % 3 == 0) (word, more) = (s.records[v / 3], s.gathered[v / 3]);
                uint256 uid = word & 0xff;
                uids |= 1 << uid;
                uint256 active = (word >> RECORD_ACTIVE) & 0x1ffffffff;
                activeStake.set(uid, active);
                uint256 share = more & GATHERED_MASK;
                dividends.set(uid, yuma3 ? (share * active) >> 32 : share);
                vtrust.set(uid, (more >> GATHERED_TRUST) & GATHERED_MASK);
                (word, more) = (word >> RECORD_BITS, more >> RECORD_BITS);
            }
            uint256 total = _sum(dividends);
            for (uint256 i; i < dividends.length; ++i) {
                dividends.set(i, Fixed.div(dividends.get(i), total));
            }
            _putShares(_slotOf(s.vtrust16), vtrust);
        }
    }

    /// Incentive by uid; stores consensus as u16.
    function _finishColumns(State storage s, uint256[] memory incentive) private {
        unchecked {
            bool idle = s.idleStake;
            uint256 rankSum = s.rankSum;
            for (uint256 b; 16 * b < incentive.length; ++b) {
                uint256 packed;
                for (uint256 q; q < 4 && !idle; ++q) {
                    packed |= (((s.consensus[4 * b + q] * 65_535) >> 32) & LOW16) << (16 * q);
                    uint256 ranks = s.ranks[4 * b + q];
                    for (uint256 j = 16 * b + q; j < 16 * b + 16 && j < incentive.length; j += 4) {
                        incentive.set(j, Fixed.div(ranks & LANE, rankSum));
                        ranks >>= 64;
                    }
                }
                s.consensus16[b] = packed;
            }
        }
    }

    /// Rao by incentive and dividends; where there are neither, all of it by stake, to the validators' side.
    function _split(State storage s, Shares memory shares, uint256[] memory activeStake) private {
        unchecked {
            uint256 rao = s.rao;
            uint256 n = s.columns;
            uint256 total = _sum(shares.incentive) + _sum(shares.dividends);
            bool idle = s.idleStake;
            uint256 word;
            for (uint256 i; i < n; ++i) {
                uint256 both;
                if (total != 0) {
                    (uint256 a, uint256 b) = (shares.incentive.get(i), shares.dividends.get(i));
                    shares.server.set(i, (Fixed.div(a, total) * rao) >> 32);
                    shares.validator.set(i, (Fixed.div(b, total) * rao) >> 32);
                    both = (Fixed.div(a + b, total) * rao) >> 32;
                } else {
                    uint256 share = idle ? _lane(s.ranks, i) : activeStake.get(i);
                    both = (share * rao) >> 32;
                    shares.validator.set(i, both);
                }
                word |= both << (64 * (i % 4));
                if (i % 4 == 3 || i + 1 == n) {
                    s.emission[i / 4] = word;
                    word = 0;
                }
            }
        }
    }

    /// Pays the owner's cut, incentive to coldkeys and dividends to the pools of hotkeys. Incentive of the owner's hotkey is burned.
    function _pay(uint16 netuid, State storage s, Shares memory shares, uint64 index) private {
        IStaking.Payments memory payments;
        INeurons source = _neurons();
        uint256 ownerUid = s.ownerUid;
        (uint256 earners, uint256 hotkeys) = (0, 0);
        uint256 n = shares.server.length;
        payments.earners = new bytes32[](n);
        payments.earnedRao = new uint256[](n);
        payments.hotkeys = new bytes32[](n);
        payments.dividendRao = new uint256[](n);
        (payments.owner,) = _subnets().ownerOf(netuid);
        payments.ownerRao = s.ownerRao;
        for (uint256 i; i < n; ++i) {
            uint256 rao = shares.server.get(i);
            if (rao != 0 && i == ownerUid) {
                payments.burnRao = rao;
            } else if (rao != 0) {
                payments.earners[earners] = source.coldkeyOf(netuid, uint16(i));
                payments.earnedRao.set(earners++, rao);
            }
            rao = shares.validator.get(i);
            if (rao != 0) {
                payments.hotkeys[hotkeys] = source.hotkeyOf(netuid, uint16(i));
                payments.dividendRao.set(hotkeys++, rao);
            }
        }
        (bytes32[] memory a, uint256[] memory b) = (payments.earners, payments.earnedRao);
        (bytes32[] memory c, uint256[] memory d) = (payments.hotkeys, payments.dividendRao);
        // Shortens the lists to what they hold.
        assembly ("memory-safe") {
            mstore(a, earners)
            mstore(b, earners)
            mstore(c, hotkeys)
            mstore(d, hotkeys)
        }
        _staking().payEpoch(netuid, payments);
        emit EpochFinished(netuid, index, _sum(payments.earnedRao), _sum(payments.dividendRao), payments.burnRao);
    }

    // ---- Reading ----

    /// @inheritdoc IEpochs
    function frozen(uint16 netuid) external view returns (bool) {
        State storage s = _states[netuid];
        if (s.stage != IDLE) return true;
        ISubnets.Params memory params = _subnets().params(netuid);
        return _due(s.lastBlock == 0 ? params.registrationBlock : s.lastBlock, params.tempo);
    }

    /// @inheritdoc IEpochs
    function epochIndex(uint16 netuid) external view returns (uint64) {
        return _states[netuid].index;
    }

    /// @inheritdoc IEpochs
    function lastEpochBlock(uint16 netuid) external view returns (uint64) {
        uint64 last = _states[netuid].lastBlock;
        return last == 0 ? _subnets().params(netuid).registrationBlock : last;
    }

    /// Where an epoch stands: stage (0 none, 1 consensus, 2 bonds, 3 finish), the column from which the next page starts, columns of
    /// the epoch, and the block of its opening.
    function progress(uint16 netuid)
        external
        view
        returns (uint8 stage, uint16 nextColumn, uint16 columns, uint64 openedAt)
    {
        State storage s = _states[netuid];
        return (s.stage, s.nextColumn, s.columns, s.lastBlock);
    }

    /// @inheritdoc IEpochs
    function permitOf(uint16 netuid, uint16 uid) external view returns (bool) {
        return (_states[netuid].permits >> uid) & 1 == 1;
    }

    /// @inheritdoc IEpochs
    function emissionOf(uint16 netuid, uint16 uid) external view returns (uint64) {
        State storage s = _states[netuid];
        return uid > 255 || (s.cleared >> uid) & 1 == 1 ? 0 : uint64(s.emission[uid / 4] >> (64 * (uid % 4)));
    }

    /// @inheritdoc IEpochs
    function incentiveOf(uint16 netuid, uint16 uid) external view returns (uint16) {
        State storage s = _states[netuid];
        return uid > 255 || (s.cleared >> uid) & 1 == 1 ? 0 : uint16(s.incentive16[uid / 16] >> (16 * (uid % 16)));
    }

    /// @inheritdoc IEpochs
    function outcomes(uint16 netuid) external view returns (Outcome[] memory list) {
        State storage s = _states[netuid];
        uint256 n = _neurons().count(netuid);
        list = new Outcome[](n);
        uint256 half = 16 * ((s.index + 1) & 1); // of the epoch before the one that is open or next
        for (uint256 i; i < n; ++i) {
            if ((s.cleared >> i) & 1 == 1) continue;
            Outcome memory o = list[i];
            (uint256 w, uint256 shift) = (i / 16, 16 * (i % 16));
            o.consensus = uint16(s.consensus16[w] >> shift);
            o.incentive = uint16(s.incentive16[w] >> shift);
            o.dividends = uint16(s.dividends16[w] >> shift);
            o.vtrust = uint16(s.vtrust16[w] >> shift);
            o.stakeWeight = uint16(s.stakeWeight16[half + w] >> shift);
            o.emission = uint64(s.emission[i / 4] >> (64 * (i % 4)));
            o.permit = (s.permits >> i) & 1 == 1;
            o.active = (s.active >> i) & 1 == 1;
        }
    }

    /// Rows of bonds of `uids` as u16 numbers, sixteen words each, uid 0's in the lowest bits of the first.
    function bonds(uint16 netuid, uint16[] calldata uids) external view returns (uint256[] memory words) {
        State storage s = _states[netuid];
        words = new uint256[](16 * uids.length);
        for (uint256 v; v < uids.length; ++v) {
            if ((s.bonded >> uids[v]) & 1 == 0) continue;
            for (uint256 w; w < 16; ++w) {
                words[16 * v + w] = s.bonds[16 * uint256(uids[v]) + w];
            }
        }
    }

    // ---- Changes of holders ----

    /// @inheritdoc IEpochs
    function clear(uint16 netuid, uint16 uid) external {
        if (msg.sender != addresses().neurons) revert OnlyNeurons();
        State storage s = _states[netuid];
        uint256 bit = 1 << uid;
        s.cleared |= bit;
        if (s.permits & bit != 0) s.permits &= ~bit;
        if (s.bonded & bit != 0) s.bonded &= ~bit;
    }

    // ---- Helpers ----

    function _block() internal view virtual returns (uint256) {
        return block.number;
    }

    function _due(uint256 last, uint256 tempo) internal view virtual returns (bool) {
        return _block() >= last + tempo;
    }

    function _sum(uint256[] memory values) private pure returns (uint256 total) {
        unchecked {
            for (uint256 i; i < values.length; ++i) {
                total += values.get(i);
            }
        }
    }

    /// The uids in a bitmap, ascending.
    function _uidsIn(uint256 bitmap, uint256 n) private pure returns (uint16[] memory uids) {
        unchecked {
            uids = new uint16[](n);
            uint256 found;
            for (uint256 i; i < n; ++i) {
                if ((bitmap >> i) & 1 == 1) uids.setUid(found++, i);
            }
            // Shortens the array to what was found.
            assembly ("memory-safe") {
                mstore(uids, found)
            }
        }
    }

    /// Writes I32F32 shares as u16 numbers, sixteen to a word, to storage from `slot` on.
    function _putShares(uint256 slot, uint256[] memory values) private {
        unchecked {
            uint256 word;
            for (uint256 i; i < values.length; ++i) {
                word |= ((values.get(i) * 65_535) >> 32) << (16 * (i % 16));
                if (i % 16 == 15 || i + 1 == values.length) {
                    // Writes a word of the array whose first slot is given.
                    assembly ("memory-safe") {
                        sstore(slot, word)
                    }
                    ++slot;
                    word = 0;
                }
            }
        }
    }

    /// Writes numbers by uid as words of lanes.
    function _putLanes(uint256[64] storage words, uint256[] memory values) private {
        for (uint256 i; i < values.length; i += 16) {
            for (uint256 q; q < 4; ++q) {
                uint256 word;
                for (uint256 k; k < 4 && i + q + 4 * k < values.length; ++k) {
                    word |= values[i + q + 4 * k] << (64 * k);
                }
                words[i / 4 + q] = word;
            }
        }
    }

    function _slotOf(uint256[16] storage words) private pure returns (uint256 slot) {
        // The array's first storage slot.
        assembly ("memory-safe") {
            slot := words.slot
        }
    }

    function _slotOf(uint256[32] storage words) private pure returns (uint256 slot) {
        // The array's first storage slot.
        assembly ("memory-safe") {
            slot := words.slot
        }
    }

    function _lane(uint256[64] storage words, uint256 uid) private view returns (uint256) {
        return (words[4 * (uid / 16) + (uid % 4)] >> (64 * ((uid % 16) / 4))) & LANE;
    }
}
