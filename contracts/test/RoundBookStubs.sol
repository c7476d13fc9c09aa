// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAddressMapping} from "../src/interfaces/IAddressMapping.sol";
import {IMetagraph} from "../src/interfaces/IMetagraph.sol";

/// A metagraph that says what a test tells it to, of one subnet.
contract MetagraphStub is IMetagraph {
    struct Seat {
        bytes32 hotkey;
        uint64 stake;
        bool permit;
        uint16 incentive;
    }

    uint16 private constant NETUID = 1;
    Seat[] private _seats;

    function set(Seat[] calldata seats) external {
        delete _seats;
        for (uint256 uid; uid < seats.length; ++uid) _seats.push(seats[uid]);
    }

    function setStake(uint16 uid, uint64 stake) external {
        _seats[uid].stake = stake;
    }

    function setPermit(uint16 uid, bool permit) external {
        _seats[uid].permit = permit;
    }

    function setHotkey(uint16 uid, bytes32 hotkey) external {
        _seats[uid].hotkey = hotkey;
    }

    function getUidCount(uint16 netuid) external view returns (uint16) {
        return netuid == NETUID ? uint16(_seats.length) : 0;
    }

    function getStake(uint16, uint16 uid) external view returns (uint64) {
        return _seats[uid].stake;
    }

    function getValidatorStatus(uint16, uint16 uid) external view returns (bool) {
        return _seats[uid].permit;
    }

    function getHotkey(uint16, uint16 uid) external view returns (bytes32) {
        return uid < _seats.length ? _seats[uid].hotkey : bytes32(0);
    }

    /// Reverts for a uid that is not there.
    function getIncentive(uint16, uint16 uid) external view returns (uint16) {
        return _seats[uid].incentive;
    }
}

/// Accounts that are easy to foresee.
contract AddressMappingStub is IAddressMapping {
    function addressMapping(address target) external pure returns (bytes32) {
        return keccak256(abi.encode("evm:", target));
    }
}
