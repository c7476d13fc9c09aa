// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {INeurons} from "../interfaces/INeurons.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {ISubnets} from "../interfaces/ISubnets.sol";
import {Linked} from "../Linked.sol";
import {State} from "./State.sol";

/// The storage that Epochs and its pages share: the pages' code runs on it by delegatecall, so both have it from here and nothing before.
abstract contract EpochStore is Linked {
    mapping(uint16 netuid => State) internal _states;
    /// Where the pages' code is.
    address public pages;

    event EpochPaged(uint16 indexed netuid, uint64 indexed index, uint8 stage, uint16 nextColumn);

    function _subnets() internal view returns (ISubnets) {
        return ISubnets(addresses().subnets);
    }

    function _neurons() internal view returns (INeurons) {
        return INeurons(addresses().neurons);
    }

    function _staking() internal view returns (IStaking) {
        return IStaking(addresses().staking);
    }
}
