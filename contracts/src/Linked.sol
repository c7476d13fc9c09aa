// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Identity} from "./libraries/Identity.sol";

/// What the stateful contracts share: they know each other's addresses, once and for ever, and take no native coin.
///
/// On the embedded chain code is put at fixed addresses without running a constructor, so nothing is immutable and `initialize` follows.
/// Where a constructor did run, only its deployer may initialize; where none ran, whoever starts the chain is the first to speak to it.
abstract contract Linked {
    struct Addresses {
        address staking;
        address subnets;
        address neurons;
        address epochs;
    }

    error AlreadyInitialized();
    error NotAllowed();
    /// Amounts are rao of the ledger; native coin sent along would be lost.
    error ValueNotAccepted();

    address private deployer;
    Addresses private links;

    constructor() {
        deployer = msg.sender;
    }

    /// The precompiles' functions are payable, so ours are too, but nothing may be sent.
    modifier noValue() {
        if (msg.value != 0) revert ValueNotAccepted();
        _;
    }

    modifier onlyFrom(address peer) {
        if (msg.sender != peer) revert NotAllowed();
        _;
    }

    function addresses() public view returns (Addresses memory) {
        return links;
    }

    function link(Addresses calldata peers) internal {
        if (deployer != address(0) && msg.sender != deployer) revert NotAllowed();
        if (links.staking != address(0)) revert AlreadyInitialized();
        if (peers.staking == address(0)) revert NotAllowed();
        links = peers;
    }

    /// The caller's account.
    function sender() internal view returns (bytes32) {
        return Identity.accountOf(msg.sender);
    }
}
