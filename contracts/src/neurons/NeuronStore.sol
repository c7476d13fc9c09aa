// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEpochs} from "../interfaces/IEpochs.sol";
import {INeurons} from "../interfaces/INeurons.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {ISubnets} from "../interfaces/ISubnets.sol";
import {Linked} from "../Linked.sol";

/// What the parts of the neurons' contract share: who holds which uid, and what is checked everywhere.
///
/// No constructor and no immutables: on an embedded chain the code is put in place without running any.
abstract contract NeuronStore is INeurons, Linked {
    /// What a uid's holder did, in one word. A new holder starts with a new word, so it inherits neither votes nor commits, although the
    /// words of the row and the commits behind it are used again (which is cheaper than new ones).
    struct Neuron {
        uint40 lastUpdate; // block of the last accepted weights or commit
        uint40 votedAt; // block in which the votes of its row were made: set, or committed
        uint24 rowSum; // of its row
        uint8 rowWords; // words of its row that are in use
        uint8 commitHead; // place of its oldest commit in the ring
        uint8 commits; // commits in the ring, expired ones included
        uint40 headBlock; // block and epoch of the oldest commit
        uint32 headEpoch;
    }

    /// One subnet's counters, in one word.
    struct Registry {
        uint64 burn; // price after the last registration, rao
        uint40 burnBlock; // block of the last registration
        uint16 count;
        uint32 factor; // Q32 decay of `factorHalfLife`
        uint32 factorHalfLife;
    }

    uint256 internal constant UIDS_MAX = 256;
    /// Blocks of registration are kept apart, six of 40 bits a word, so that choosing whom to prune reads few words.
    uint256 private constant STAMPS = 6;
    uint256 private constant STAMP_BITS = 40;
    uint256 private constant STAMP_MASK = (1 << STAMP_BITS) - 1;

    /// The peers once more, one by one: a commit needs two of them, and each word that is read costs 2,100 gas.
    IStaking internal staking;
    ISubnets internal subnets;
    IEpochs internal epochs;

    mapping(uint16 netuid => Registry) internal registries;
    mapping(uint16 netuid => bytes32[UIDS_MAX]) internal hotkeys;
    mapping(uint16 netuid => Neuron[UIDS_MAX]) internal neurons;
    mapping(uint16 netuid => mapping(bytes32 hotkey => uint256 uidPlusOne)) internal seats;
    mapping(uint16 netuid => uint256[UIDS_MAX / STAMPS + 1]) private stamps;

    /// An epoch is due or open: push it with Epochs.step(netuid, …), then try again.
    error EpochDue(uint16 netuid);
    error HotKeyNotRegisteredInSubNet();
    error UidNotFound(uint16 netuid, uint16 uid);

    function checkThawed(uint16 netuid) internal view {
        if (epochs.frozen(netuid)) revert EpochDue(netuid);
    }

    /// The uid of a hotkey, or HotKeyNotRegisteredInSubNet.
    function seatOf(uint16 netuid, bytes32 hotkey) internal view returns (uint256 uid) {
        uid = seats[netuid][hotkey];
        if (uid == 0) revert HotKeyNotRegisteredInSubNet();
        unchecked {
            uid -= 1;
        }
    }

    /// Whether `hotkey` holds the uid of the subnet's owner.
    function isOwner(uint16 netuid, bytes32 hotkey) internal view returns (bool) {
        (, bytes32 ownerHotkey) = subnets.ownerOf(netuid);
        return hotkey == ownerHotkey;
    }

    function stampOf(uint16 netuid, uint256 uid) internal view returns (uint256) {
        return (stamps[netuid][uid / STAMPS] >> ((uid % STAMPS) * STAMP_BITS)) & STAMP_MASK;
    }

    /// Blocks of registration of uids 0 … count − 1.
    function stampsOf(uint16 netuid, uint256 count) internal view returns (uint256[] memory blocks) {
        unchecked {
            blocks = new uint256[](count);
            uint256[UIDS_MAX / STAMPS + 1] storage words = stamps[netuid];
            for (uint256 uid = 0; uid < count; ) {
                uint256 word = words[uid / STAMPS];
                for (uint256 end = uid + STAMPS; uid < end && uid < count; ++uid) {
                    blocks[uid] = word & STAMP_MASK;
                    word >>= STAMP_BITS;
                }
            }
        }
    }

    function stamp(uint16 netuid, uint256 uid) internal {
        uint256 shift = (uid % STAMPS) * STAMP_BITS;
        uint256 word = stamps[netuid][uid / STAMPS];
        stamps[netuid][uid / STAMPS] = (word & ~(STAMP_MASK << shift)) | (block.number << shift);
    }
}
