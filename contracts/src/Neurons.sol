// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEpochs} from "./interfaces/IEpochs.sol";
import {INeurons} from "./interfaces/INeurons.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ISubnets} from "./interfaces/ISubnets.sol";
import {Registration} from "./neurons/Registration.sol";
import {Serving} from "./neurons/Serving.sol";
import {Weights} from "./neurons/Weights.sol";

/// The neurons of all subnets: uids, registration, votes, endpoints. At 0x804 on an embedded chain, with the functions of Bittensor's
/// neuron precompile there; amounts are rao, keys are 32-byte accounts (blake2b-256 of "evm:" and the address), and the caller of
/// setWeights, commitWeights, revealWeights and the serve functions is the hotkey, that of the register functions the coldkey.
contract Neurons is Registration, Weights, Serving {
    /// Everything that others keep about one neuron's votes.
    struct Votes {
        uint64 votedAt; // block in which the votes of its row were made; 0 without a row
        uint32 rowSum;
        PendingCommit[] pending;
    }

    struct PendingCommit {
        bytes32 hash;
        uint64 blockNumber;
        uint64 epoch;
    }

    /// Once.
    function initialize(Addresses calldata peers) external {
        link(peers);
        (staking, subnets, epochs) = (IStaking(peers.staking), ISubnets(peers.subnets), IEpochs(peers.epochs));
    }

    /// @inheritdoc INeurons
    function count(uint16 netuid) external view returns (uint16) {
        return registries[netuid].count;
    }

    /// @inheritdoc INeurons
    function slots(uint16 netuid) external view returns (Slot[] memory all) {
        uint256 number = registries[netuid].count;
        uint256[] memory registered = stampsOf(netuid, number);
        uint256 interval = number == 0 ? 0 : subnets.params(netuid).revealInterval;
        uint256 epoch = epochs.epochIndex(netuid);
        bytes32[UIDS_MAX] storage keys = hotkeys[netuid];
        Neuron[UIDS_MAX] storage list = neurons[netuid];
        all = new Slot[](number);
        for (uint256 uid = 0; uid < number; ++uid) {
            Neuron storage neuron = list[uid];
            Slot memory slot = all[uid];
            slot.hotkey = keys[uid];
            slot.registeredAt = uint64(registered[uid]);
            slot.lastUpdate = neuron.lastUpdate;
            slot.rowSum = neuron.rowSum;
            slot.oldestCommit = oldestVote(neuron, interval, epoch);
        }
    }

    /// @inheritdoc INeurons
    function rows(uint16 netuid, uint16[] calldata uids, uint256 from, uint256 to) external view returns (uint256[] memory words) {
        words = new uint256[](uids.length * (to - from));
        uint256 next = 0;
        for (uint256 i = 0; i < uids.length; ++i) {
            uint256 uid = uids[i];
            uint256 used = neurons[netuid][uid].rowWords;
            uint256[UIDS_MAX / 16] storage row = rowsByUid[netuid][uid];
            unchecked {
                for (uint256 w = from; w < to; ++w) words[next++] = w < used ? row[w] : 0;
            }
        }
    }

    /// @inheritdoc INeurons
    function hotkeyOf(uint16 netuid, uint16 uid) public view returns (bytes32) {
        if (uid >= registries[netuid].count) revert UidNotFound(netuid, uid);
        return hotkeys[netuid][uid];
    }

    /// @inheritdoc INeurons
    function coldkeyOf(uint16 netuid, uint16 uid) external view returns (bytes32) {
        return ownerOf(hotkeyOf(netuid, uid));
    }

    /// The uid of a hotkey, or HotKeyNotRegisteredInSubNet.
    function uidOf(uint16 netuid, bytes32 hotkey) external view returns (uint16) {
        return uint16(seatOf(netuid, hotkey));
    }

    /// Whether a hotkey holds a uid.
    function isRegistered(uint16 netuid, bytes32 hotkey) external view returns (bool) {
        return seats[netuid][hotkey] != 0;
    }

    function registeredAt(uint16 netuid, uint16 uid) external view returns (uint64) {
        hotkeyOf(netuid, uid);
        return uint64(stampOf(netuid, uid));
    }

    function lastUpdate(uint16 netuid, uint16 uid) external view returns (uint64) {
        hotkeyOf(netuid, uid);
        return neurons[netuid][uid].lastUpdate;
    }

    /// When a uid voted, and the commits that it has not revealed, oldest first; expired ones are in it until the next commit or reveal.
    function votesOf(uint16 netuid, uint16 uid) external view returns (Votes memory votes) {
        Neuron memory neuron = neurons[netuid][uid];
        votes.votedAt = neuron.votedAt;
        votes.rowSum = neuron.rowSum;
        votes.pending = new PendingCommit[](neuron.commits);
        for (uint256 i = 0; i < neuron.commits; ++i) {
            Commit memory commit = rings[netuid][uid][(neuron.commitHead + i) % COMMITS_MAX];
            votes.pending[i] = i == 0
                ? PendingCommit(commit.hash, neuron.headBlock, neuron.headEpoch)
                : PendingCommit(commit.hash, commit.blockNumber, commit.epoch);
        }
    }

    /// Block of the earliest vote that this neuron's word depends on: that of its row (less 1, as votes of the block of a registration are
    /// no votes for the newcomer), which is older than all commits that wait; without a row that of its oldest commit, if that can still be
    /// revealed. Weights towards uids registered later do not count, which is what zeroing them at each registration would come to. Reads
    /// nothing but the neuron's word: commits that have piled up cannot make an epoch dear.
    function oldestVote(Neuron storage neuron, uint256 interval, uint256 epoch) private view returns (uint64) {
        if (neuron.rowSum > 0) return neuron.votedAt - 1;
        return neuron.commits > 0 && neuron.headEpoch + interval >= epoch ? neuron.headBlock : 0;
    }
}
