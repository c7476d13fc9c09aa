// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ISubnets} from "../interfaces/ISubnets.sol";
import {NeuronStore} from "./NeuronStore.sol";
import {WeightRow} from "./WeightRow.sol";

/// Validators' votes: set, or committed and revealed. Rules and errors: subtensor's `set_weights`, `commit_weights` and `reveal_weights`
/// (version 2, by hash).
///
/// Departures: the hash is keccak256(abi.encode(chain id, this contract, netuid, hotkey, uids, values, salt, version key)), so a commit is
/// worth nothing on another chain or contract (subtensor's is blake2b over SCALE); the row remembers when its votes were made, which
/// stands for zeroing the weights towards a uid whose holder changes (Neurons.slots).
abstract contract Weights is NeuronStore {
    struct Commit {
        bytes32 hash;
        uint40 blockNumber; // left out where it is the ring's oldest: then the neuron's own word has it
        uint32 epoch;
    }

    struct Voter {
        uint16 netuid;
        uint256 uid;
        bytes32 hotkey;
    }

    /// Unrevealed commits of one hotkey.
    uint256 internal constant COMMITS_MAX = 10;

    mapping(uint16 netuid => uint256[UIDS_MAX / 16][UIDS_MAX]) internal rowsByUid;
    mapping(uint16 netuid => Commit[COMMITS_MAX][UIDS_MAX]) internal rings;

    event WeightsSet(uint16 indexed netuid, uint16 indexed uid, bytes32 indexed hotkey);
    event WeightsCommitted(uint16 indexed netuid, bytes32 indexed hotkey, bytes32 commitHash);
    event WeightsRevealed(uint16 indexed netuid, bytes32 indexed hotkey, bytes32 commitHash);

    error CommitRevealEnabled();
    error CommitRevealDisabled();
    error SettingWeightsTooFast(uint64 blocksLeft);
    error CommittingWeightsTooFast(uint64 blocksLeft);
    error WeightVecNotEqualSize();
    error UidsLengthExceedUidsInSubNet();
    error NotEnoughStakeToSetWeights();
    error IncorrectWeightVersionKey(uint64 wanted);
    error NeuronNoValidatorPermit();
    error WeightVecLengthIsLow(uint256 wanted);
    error TooManyUnrevealedCommits();
    error NoWeightsCommitFound();
    error InvalidRevealCommitHashNotMatch();
    error ExpiredWeightCommit();
    error RevealTooEarly(uint64 epochsLeft, uint64 blocksLeft);

    /// As a hotkey: replaces its row of weights. Refused where the subnet wants commit and reveal.
    function setWeights(uint16 netuid, uint16[] calldata uids, uint16[] calldata values, uint64 versionKey) external payable noValue {
        ISubnets.Params memory p = subnets.params(netuid);
        if (p.commitReveal) revert CommitRevealEnabled();
        checkThawed(netuid);
        bytes32 hotkey = sender();
        uint256 uid = seatOf(netuid, hotkey);
        Neuron memory neuron = neurons[netuid][uid];
        uint256 left = waitOf(neuron, p);
        if (left > 0) revert SettingWeightsTooFast(uint64(left));
        store(Voter(netuid, uid, hotkey), neuron, p, uids, values, versionKey);
        neuron.votedAt = uint40(block.number);
        neuron.lastUpdate = uint40(block.number);
        neurons[netuid][uid] = neuron;
        emit WeightsSet(netuid, uint16(uid), hotkey);
    }

    /// As a hotkey: commits to weights that nobody can read until they are revealed.
    function commitWeights(uint16 netuid, bytes32 commitHash) external payable noValue {
        ISubnets.Params memory p = subnets.params(netuid);
        if (!p.commitReveal) revert CommitRevealDisabled();
        checkThawed(netuid);
        bytes32 hotkey = sender();
        uint256 uid = seatOf(netuid, hotkey);
        Neuron memory neuron = neurons[netuid][uid];
        uint256 left = waitOf(neuron, p);
        if (left > 0) revert CommittingWeightsTooFast(uint64(left));
        uint256 epoch = epochs.epochIndex(netuid);
        Commit[COMMITS_MAX] storage ring = rings[netuid][uid];
        while (neuron.commits > 0 && uint256(neuron.headEpoch) + p.revealInterval < epoch) drop(ring, neuron, 1);
        if (neuron.commits == COMMITS_MAX) revert TooManyUnrevealedCommits();
        Commit storage commit = ring[(neuron.commitHead + neuron.commits) % COMMITS_MAX];
        commit.hash = commitHash;
        if (neuron.commits == 0) {
            neuron.headBlock = uint40(block.number);
            neuron.headEpoch = uint32(epoch);
        } else {
            commit.blockNumber = uint40(block.number);
            commit.epoch = uint32(epoch);
        }
        neuron.commits += 1;
        neuron.lastUpdate = uint40(block.number);
        neurons[netuid][uid] = neuron;
        emit WeightsCommitted(netuid, hotkey, commitHash);
    }

    /// As a hotkey: opens a commit, in the one epoch in which that is allowed; older commits are dropped with it.
    function revealWeights(uint16 netuid, uint16[] calldata uids, uint16[] calldata values, uint16[] calldata salt, uint64 versionKey)
        external
        payable
        noValue
    {
        ISubnets.Params memory p = subnets.params(netuid);
        if (!p.commitReveal) revert CommitRevealDisabled();
        checkThawed(netuid);
        bytes32 hotkey = sender();
        uint256 uid = seatOf(netuid, hotkey);
        Neuron memory neuron = neurons[netuid][uid];
        bytes32 commitHash = commitHashOf(netuid, hotkey, uids, values, salt, versionKey);
        neuron.votedAt = uint40(open(netuid, uid, neuron, p, commitHash));
        store(Voter(netuid, uid, hotkey), neuron, p, uids, values, versionKey);
        neurons[netuid][uid] = neuron;
        emit WeightsRevealed(netuid, hotkey, commitHash);
        emit WeightsSet(netuid, uint16(uid), hotkey);
    }

    /// What `hotkey` must commit to in order to reveal these weights on this chain and contract.
    function commitHashOf(
        uint16 netuid,
        bytes32 hotkey,
        uint16[] calldata uids,
        uint16[] calldata values,
        uint16[] calldata salt,
        uint64 versionKey
    ) public view returns (bytes32 commitHash) {
        // keccak256(abi.encode(block.chainid, address(this), netuid, hotkey, uids, values, salt, versionKey)), whose copying word by word
        // would cost 30,000 gas for 256 weights.
        assembly ("memory-safe") {
            function append(start, offset, length, source) -> end {
                let size := shl(5, length)
                mstore(add(start, offset), length)
                calldatacopy(add(add(start, offset), 32), source, size)
                end := add(add(offset, 32), size)
            }
            let start := mload(0x40)
            mstore(start, chainid())
            mstore(add(start, 32), address())
            mstore(add(start, 64), and(netuid, 0xffff))
            mstore(add(start, 96), hotkey)
            let end := 256
            mstore(add(start, 128), end)
            end := append(start, end, uids.length, uids.offset)
            mstore(add(start, 160), end)
            end := append(start, end, values.length, values.offset)
            mstore(add(start, 192), end)
            end := append(start, end, salt.length, salt.offset)
            mstore(add(start, 224), and(versionKey, 0xffffffffffffffff))
            commitHash := keccak256(start, end)
        }
    }

    function waitOf(Neuron memory neuron, ISubnets.Params memory p) private view returns (uint256) {
        uint256 free = uint256(neuron.lastUpdate) + p.weightsSetRateLimit;
        return free > block.number ? free - block.number : 0;
    }

    /// Takes the commit with this hash out of the ring, with all older ones; returns the block it was made in.
    function open(uint16 netuid, uint256 uid, Neuron memory neuron, ISubnets.Params memory p, bytes32 commitHash)
        private
        view
        returns (uint256)
    {
        if (neuron.commits == 0) revert NoWeightsCommitFound();
        Commit[COMMITS_MAX] storage ring = rings[netuid][uid];
        uint256 epoch = epochs.epochIndex(netuid);
        bool expired = false;
        for (uint256 i = 0; i < neuron.commits; ++i) {
            Commit storage commit = ring[(neuron.commitHead + i) % COMMITS_MAX];
            if (commit.hash != commitHash) continue;
            uint256 madeAt = i == 0 ? neuron.headBlock : commit.blockNumber;
            uint256 opens = uint256(i == 0 ? neuron.headEpoch : commit.epoch) + p.revealInterval;
            if (opens > epoch) revert RevealTooEarly(uint64(opens - epoch), blocksUntil(netuid, opens - epoch, p));
            if (opens < epoch) {
                expired = true;
                continue;
            }
            drop(ring, neuron, i + 1);
            return madeAt;
        }
        if (expired) revert ExpiredWeightCommit();
        revert InvalidRevealCommitHashNotMatch();
    }

    /// At least this many blocks until `more` further epochs are finished.
    function blocksUntil(uint16 netuid, uint256 more, ISubnets.Params memory p) private view returns (uint64) {
        return uint64(epochs.lastEpochBlock(netuid) + more * p.tempo - block.number);
    }

    /// Drops the oldest `number` commits of the ring. An empty ring starts again at its first place, whose word is paid for already.
    function drop(Commit[COMMITS_MAX] storage ring, Neuron memory neuron, uint256 number) private view {
        neuron.commits = uint8(neuron.commits - number);
        neuron.commitHead = neuron.commits == 0 ? 0 : uint8((neuron.commitHead + number) % COMMITS_MAX);
        if (neuron.commits == 0) return;
        Commit storage head = ring[neuron.commitHead];
        neuron.headBlock = head.blockNumber;
        neuron.headEpoch = head.epoch;
    }

    /// Checks a vote and writes its row; the caller writes `neuron`.
    function store(
        Voter memory voter,
        Neuron memory neuron,
        ISubnets.Params memory p,
        uint16[] calldata uids,
        uint16[] calldata values,
        uint64 versionKey
    ) private {
        (uint16 netuid, uint256 uid) = (voter.netuid, voter.uid);
        uint256 count = registries[netuid].count;
        if (uids.length != values.length) revert WeightVecNotEqualSize();
        if (uids.length > count) revert UidsLengthExceedUidsInSubNet();
        if (p.stakeThreshold > 0) checkStake(netuid, voter.hotkey, p.stakeThreshold);
        if (versionKey < p.weightsVersionKey) revert IncorrectWeightVersionKey(p.weightsVersionKey);
        bool alone = uids.length == 1 && uids[0] == uid;
        if (!alone) {
            if (!epochs.permitOf(netuid, uint16(uid)) && !isOwner(netuid, voter.hotkey)) revert NeuronNoValidatorPermit();
            uint256 least = p.minAllowedWeights < count ? p.minAllowedWeights : count;
            if (uids.length < least) revert WeightVecLengthIsLow(least);
        }
        (uint256[] memory words, uint256 sum) = WeightRow.pack(uids, values, count);
        uint256[UIDS_MAX / 16] storage row = rowsByUid[netuid][uid];
        unchecked {
            for (uint256 w = 0; w < words.length; ++w) row[w] = words[w];
        }
        neuron.rowSum = uint24(sum);
        neuron.rowWords = uint8(words.length);
    }

    function checkStake(uint16 netuid, bytes32 hotkey, uint256 threshold) private view {
        if (isOwner(netuid, hotkey)) return;
        bytes32[] memory hotkeys = new bytes32[](1);
        hotkeys[0] = hotkey;
        if (staking.stakeOf(netuid, hotkeys)[0] < threshold) revert NotEnoughStakeToSetWeights();
    }
}
