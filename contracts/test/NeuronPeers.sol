// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEpochs} from "../src/interfaces/IEpochs.sol";
import {INeurons} from "../src/interfaces/INeurons.sol";
import {IStaking} from "../src/interfaces/IStaking.sol";
import {ISubnets} from "../src/interfaces/ISubnets.sol";
import {Linked} from "../src/Linked.sol";
import {BurnPrice} from "../src/neurons/BurnPrice.sol";

/// Ledger, subnet registry and epochs at once, saying what a test tells them to: everything that the neurons' contract asks its peers.
contract NeuronPeers is ISubnets, IEpochs, IStaking {
    struct Accrual {
        uint64 stake;
        uint64 pending;
        uint64 fraction;
        uint128 index;
    }

    INeurons public neurons;
    uint16 public subnetCount;
    mapping(uint16 netuid => Params) private table;
    mapping(uint16 netuid => bytes32[2]) private subnetOwners;
    mapping(uint16 netuid => bool) public isFrozen;
    mapping(uint16 netuid => uint64) public epochIndex;
    mapping(uint16 netuid => uint64) public lastEpochBlock;
    mapping(uint16 netuid => mapping(uint16 uid => Outcome)) private results;
    mapping(bytes32 hotkey => bytes32 coldkey) private hotkeyOwners;
    mapping(bytes32 account => uint256) public burned;
    mapping(bytes32 account => uint256) public balances;
    mapping(bytes32 hotkey => uint256) public stakes;

    event Cleared(uint16 netuid, uint16 uid);

    error SubnetNotExists(uint256 netuid);
    error NotEnoughBalanceToStake(uint256 balance, uint256 needed);

    function setNeurons(INeurons neurons_) external {
        neurons = neurons_;
    }

    function create(uint16 netuid, Params calldata p, bytes32 hotkey, bytes32 coldkey, address caller) external {
        table[netuid] = p;
        subnetOwners[netuid] = [coldkey, hotkey];
        if (netuid > subnetCount) subnetCount = netuid;
        neurons.registerOwner(netuid, hotkey, coldkey, caller);
    }

    function setParams(uint16 netuid, Params calldata p) external {
        table[netuid] = p;
    }

    function setEpoch(uint16 netuid, uint64 index, uint64 last, bool frozen_) external {
        (epochIndex[netuid], lastEpochBlock[netuid], isFrozen[netuid]) = (index, last, frozen_);
    }

    function setOutcome(uint16 netuid, uint16 uid, Outcome calldata outcome) external {
        results[netuid][uid] = outcome;
    }

    function setPermits(uint16 netuid, uint16[] calldata uids, bool permit) external {
        for (uint256 i = 0; i < uids.length; ++i) results[netuid][uids[i]].permit = permit;
    }

    function setStake(bytes32 hotkey, uint256 rao) external {
        stakes[hotkey] = rao;
    }

    function setBalance(bytes32 account, uint256 rao) external {
        balances[account] = rao;
    }

    // ISubnets

    function exists(uint16 netuid) external view returns (bool) {
        return table[netuid].tempo != 0;
    }

    function params(uint16 netuid) external view returns (Params memory) {
        if (table[netuid].tempo == 0) revert SubnetNotExists(netuid);
        return table[netuid];
    }

    function ownerOf(uint16 netuid) external view returns (bytes32 coldkey, bytes32 hotkey) {
        return (subnetOwners[netuid][0], subnetOwners[netuid][1]);
    }

    // IEpochs

    function frozen(uint16 netuid) external view returns (bool) {
        return isFrozen[netuid];
    }

    function permitOf(uint16 netuid, uint16 uid) external view returns (bool) {
        return results[netuid][uid].permit;
    }

    function emissionOf(uint16 netuid, uint16 uid) external view returns (uint64) {
        return results[netuid][uid].emission;
    }

    function incentiveOf(uint16 netuid, uint16 uid) external view returns (uint16) {
        return results[netuid][uid].incentive;
    }

    function outcomes(uint16 netuid) external view returns (Outcome[] memory all) {
        all = new Outcome[](neurons.count(netuid));
        for (uint16 uid = 0; uid < all.length; ++uid) all[uid] = results[netuid][uid];
    }

    function clear(uint16 netuid, uint16 uid) external {
        delete results[netuid][uid];
        emit Cleared(netuid, uid);
    }

    function progress(uint16 netuid) external view returns (uint8, uint16, uint16, uint64) {
        return (isFrozen[netuid] ? 1 : 0, 0, 0, 0);
    }

    function bonds(uint16, uint16[] calldata uids) external pure returns (uint256[] memory words) {
        words = new uint256[](16 * uids.length);
        for (uint256 i = 0; i < uids.length; ++i) words[16 * i] = 7 << (16 * (uids[i] % 16));
    }

    // IStaking

    function burn(bytes32 account, uint256 rao) external {
        if (balances[account] < rao) revert NotEnoughBalanceToStake(balances[account], rao);
        balances[account] -= rao;
        burned[account] += rao;
    }

    function stakeOf(uint16, bytes32[] calldata hotkeys) external view returns (uint256[] memory rao) {
        rao = new uint256[](hotkeys.length);
        for (uint256 i = 0; i < hotkeys.length; ++i) rao[i] = stakes[hotkeys[i]];
    }

    function setOwner(bytes32 hotkey, bytes32 coldkey) external {
        hotkeyOwners[hotkey] = coldkey;
    }

    function ownerOf(bytes32 hotkey) external view returns (bytes32) {
        return hotkeyOwners[hotkey];
    }

    function accrualOf(uint16) external pure returns (Accrual memory) {
        return Accrual(11, 12, 0, 0);
    }

    function settle(uint16) external pure returns (uint256) {
        return 0;
    }

    function payEpoch(uint16, Payments calldata) external {}
}

/// The burn price's steps, to compare with src/chain/burn.ts.
contract BurnPriceProbe {
    function pow(uint256 base, uint256 exponent) external pure returns (uint256) {
        return BurnPrice.pow(base, exponent);
    }

    function decayFactor(uint256 halfLife) external pure returns (uint256) {
        return BurnPrice.decayFactor(halfLife);
    }

    function afterBlocks(uint256 burn, uint256 blocks, ISubnets.Params memory p) external pure returns (uint256) {
        return BurnPrice.afterBlocks(burn, blocks, p.burnHalfLife == 0 ? 0 : BurnPrice.decayFactor(p.burnHalfLife), p);
    }

    function bumped(uint256 burn, ISubnets.Params memory p) external pure returns (uint256) {
        return BurnPrice.bumped(burn, p);
    }
}
