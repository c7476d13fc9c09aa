// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IStaking} from "../src/interfaces/IStaking.sol";
import {Identity} from "../src/libraries/Identity.sol";
import {Issuance} from "../src/libraries/Issuance.sol";

/// The libraries of money, callable from outside; many inputs a call.
contract MoneyLibraries {
    function over(uint256[] calldata issuance, uint256[] calldata blocks) external pure returns (uint256[] memory rao) {
        rao = new uint256[](issuance.length);
        for (uint256 i = 0; i < rao.length; i++) {
            rao[i] = Issuance.over(issuance[i], blocks[i]);
        }
    }

    function perBlock(uint256[] calldata issuance) external pure returns (uint256[] memory rao) {
        rao = new uint256[](issuance.length);
        for (uint256 i = 0; i < rao.length; i++) {
            rao[i] = Issuance.perBlock(issuance[i]);
        }
    }

    function accountsOf(address[] calldata holders) external view returns (bytes32[] memory accounts) {
        accounts = new bytes32[](holders.length);
        for (uint256 i = 0; i < accounts.length; i++) {
            accounts[i] = Identity.accountOf(holders[i]);
        }
    }
}

/// In the place of the neurons' contract, for tests of money alone: registers whatever it is told to.
contract NeuronsStub {
    struct Addresses {
        address staking;
        address subnets;
        address neurons;
        address epochs;
    }

    error HotKeyNotAuthorized();

    Addresses private peers;
    uint16 public neurons;
    mapping(bytes32 hotkey => bool) public refused;

    function initialize(Addresses calldata addresses) external {
        peers = addresses;
    }

    function setCount(uint16 value) external {
        neurons = value;
    }

    function setRefused(bytes32 hotkey) external {
        refused[hotkey] = true;
    }

    function count(uint16) external view returns (uint16) {
        return neurons;
    }

    function registerOwner(uint16, bytes32 hotkey, bytes32 coldkey, address) external {
        if (refused[hotkey]) revert HotKeyNotAuthorized();
        IStaking(peers.staking).setOwner(hotkey, coldkey);
    }
}

/// In the place of the epochs.
contract EpochsStub {
    bool public isFrozen;

    function setFrozen(bool value) external {
        isFrozen = value;
    }

    function frozen(uint16) external view returns (bool) {
        return isFrozen;
    }
}
