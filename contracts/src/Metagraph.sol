// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEpochs} from "./interfaces/IEpochs.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {Linked} from "./Linked.sol";
import {Neurons} from "./Neurons.sol";
import {Serving} from "./neurons/Serving.sol";

/// What is known of each uid, one value a call, with the functions of Bittensor's metagraph precompile (0x802). Shares are 65535ths.
///
/// Departures: getStake is the stake on this subnet (there: on all of them, as its unit differs between subnets there).
contract Metagraph is Linked {
    /// Once.
    function initialize(Addresses calldata peers) external {
        link(peers);
    }

    function getUidCount(uint16 netuid) external view returns (uint16) {
        return neurons().count(netuid);
    }

    function getStake(uint16 netuid, uint16 uid) external view returns (uint64) {
        bytes32[] memory hotkeys = new bytes32[](1);
        hotkeys[0] = neurons().hotkeyOf(netuid, uid);
        return uint64(IStaking(addresses().staking).stakeOf(netuid, hotkeys)[0]);
    }

    /// Always 0, as on Bittensor since ranks are gone.
    function getRank(uint16 netuid, uint16 uid) external view returns (uint16) {
        neurons().hotkeyOf(netuid, uid);
        return 0;
    }

    /// Always 0, as on Bittensor since trust is gone.
    function getTrust(uint16 netuid, uint16 uid) external view returns (uint16) {
        neurons().hotkeyOf(netuid, uid);
        return 0;
    }

    function getConsensus(uint16 netuid, uint16 uid) external view returns (uint16) {
        return outcomeOf(netuid, uid).consensus;
    }

    function getIncentive(uint16 netuid, uint16 uid) external view returns (uint16) {
        neurons().hotkeyOf(netuid, uid);
        return epochs().incentiveOf(netuid, uid); // by itself: a round's decision asks it of each uid that it accepts
    }

    function getDividends(uint16 netuid, uint16 uid) external view returns (uint16) {
        return outcomeOf(netuid, uid).dividends;
    }

    function getEmission(uint16 netuid, uint16 uid) external view returns (uint64) {
        neurons().hotkeyOf(netuid, uid);
        return epochs().emissionOf(netuid, uid);
    }

    function getVtrust(uint16 netuid, uint16 uid) external view returns (uint16) {
        return outcomeOf(netuid, uid).vtrust;
    }

    function getValidatorStatus(uint16 netuid, uint16 uid) external view returns (bool) {
        neurons().hotkeyOf(netuid, uid);
        return epochs().permitOf(netuid, uid);
    }

    function getLastUpdate(uint16 netuid, uint16 uid) external view returns (uint64) {
        return neurons().lastUpdate(netuid, uid);
    }

    function getIsActive(uint16 netuid, uint16 uid) external view returns (bool) {
        return outcomeOf(netuid, uid).active;
    }

    function getAxon(uint16 netuid, uint16 uid) external view returns (Serving.AxonInfo memory) {
        return neurons().axonOf(netuid, neurons().hotkeyOf(netuid, uid));
    }

    function getHotkey(uint16 netuid, uint16 uid) external view returns (bytes32) {
        return neurons().hotkeyOf(netuid, uid);
    }

    function getColdkey(uint16 netuid, uint16 uid) external view returns (bytes32) {
        return neurons().coldkeyOf(netuid, uid);
    }

    /// Of the last epoch; zeros for a uid that has seen none.
    function outcomeOf(uint16 netuid, uint16 uid) private view returns (IEpochs.Outcome memory outcome) {
        neurons().hotkeyOf(netuid, uid);
        IEpochs.Outcome[] memory all = epochs().outcomes(netuid);
        if (uid < all.length) outcome = all[uid];
    }

    function neurons() private view returns (Neurons) {
        return Neurons(addresses().neurons);
    }

    function epochs() private view returns (IEpochs) {
        return IEpochs(addresses().epochs);
    }
}
