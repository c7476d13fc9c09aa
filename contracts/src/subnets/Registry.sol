// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Linked} from "../Linked.sol";
import {IEpochs} from "../interfaces/IEpochs.sol";
import {INeurons} from "../interfaces/INeurons.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {ISubnets} from "../interfaces/ISubnets.sol";
import {Hyperparameters} from "./Hyperparameters.sol";

/// Which subnets there are, whose they are, and what a new one costs. Netuids count from 1: there is no root subnet.
///
/// Creating one burns the lock cost: twice what the last one cost, falling linearly to the least over an interval (subtensor:
/// `lock_cost`, where the lock goes into the subnet's pool, which our chain does not have; there the fall is floor(last / interval) a block,
/// here the whole is floored once). Subnets are for ever; subtensor ends the worst one when there are too many.
abstract contract Registry is Linked, ISubnets {
    struct Lock {
        uint64 cost; // of the last subnet, rao
        uint64 blockNumber; // in which it was created
        uint64 least;
        uint64 interval; // blocks
    }

    struct Owner {
        bytes32 coldkey;
        bytes32 hotkey;
    }

    event SubnetCreated(uint16 indexed netuid, bytes32 indexed coldkey, bytes32 indexed hotkey, uint256 cost);
    event ParamsSet(uint16 indexed netuid, Params params);

    error SubnetNotExists(uint256 netuid);
    error NotSubnetOwner();
    error SubnetCostLimitExceeded(uint256 cost);
    error SubnetLimitReached();
    /// An epoch is due or open: push it with Epochs.step(netuid, …), then try again.
    error EpochDue(uint16 netuid);
    error MaxAllowedUIdsLessThanCurrentUIds(uint16 count);

    uint16 public subnetCount;
    Lock internal lock;
    mapping(uint16 netuid => Params) private table;
    mapping(uint16 netuid => Owner) private owners;

    function exists(uint16 netuid) public view returns (bool) {
        return netuid != 0 && netuid <= subnetCount;
    }

    function params(uint16 netuid) public view returns (Params memory) {
        if (!exists(netuid)) revert SubnetNotExists(netuid);
        return table[netuid];
    }

    function ownerOf(uint16 netuid) public view returns (bytes32 coldkey, bytes32 hotkey) {
        if (!exists(netuid)) revert SubnetNotExists(netuid);
        Owner memory owner = owners[netuid];
        return (owner.coldkey, owner.hotkey);
    }

    /// What a new subnet starts with.
    function defaultParams() external view returns (Params memory) {
        return Hyperparameters.defaults();
    }

    /// Rao that creating a subnet burns in this block.
    function lockCost() external view returns (uint256) {
        return lockCostAt(block.number);
    }

    /// Rao that creating a subnet burns in the next block, if nobody creates one in this one.
    function nextLockCost() external view returns (uint256) {
        return lockCostAt(block.number + 1);
    }

    function lockTerms() external view returns (Lock memory) {
        return lock;
    }

    function lockCostAt(uint256 blockNumber) private view returns (uint256) {
        Lock memory last = lock;
        uint256 doubled = uint256(last.cost) * 2;
        uint256 fallen = (uint256(last.cost) * (blockNumber - last.blockNumber)) / last.interval;
        return doubled > fallen + last.least ? doubled - fallen : last.least;
    }

    /// Creates a subnet of the caller's, with `hotkey` at uid 0.
    function create(bytes32 hotkey, uint256 costMax, Params memory p) internal returns (uint16 netuid) {
        if (subnetCount == type(uint16).max) revert SubnetLimitReached();
        uint256 cost = lockCostAt(block.number);
        if (cost > costMax) revert SubnetCostLimitExceeded(cost);
        Hyperparameters.check(p);
        p.registrationBlock = uint64(block.number);
        bytes32 coldkey = sender();
        netuid = ++subnetCount;
        owners[netuid] = Owner(coldkey, hotkey);
        table[netuid] = p;
        (lock.cost, lock.blockNumber) = (uint64(cost), uint64(block.number));
        emit SubnetCreated(netuid, coldkey, hotkey, cost);
        emit ParamsSet(netuid, p);
        Addresses memory peers = addresses();
        IStaking(peers.staking).burn(coldkey, cost);
        INeurons(peers.neurons).registerOwner(netuid, hotkey, coldkey, msg.sender);
    }

    /// The hyperparameters, for their owner to change.
    function owned(uint16 netuid) internal view returns (Params memory) {
        if (!exists(netuid)) revert SubnetNotExists(netuid);
        if (owners[netuid].coldkey != sender()) revert NotSubnetOwner();
        return table[netuid];
    }

    /// Stores what the owner has changed. The registration's block stays.
    function store(uint16 netuid, Params memory p) internal {
        Addresses memory peers = addresses();
        if (IEpochs(peers.epochs).frozen(netuid)) revert EpochDue(netuid);
        Hyperparameters.check(p);
        uint16 count = INeurons(peers.neurons).count(netuid);
        if (p.maxUids < count) revert MaxAllowedUIdsLessThanCurrentUIds(count);
        p.registrationBlock = table[netuid].registrationBlock;
        table[netuid] = p;
        emit ParamsSet(netuid, p);
    }
}
