// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// The part of the ledger that knows whose hotkey is whose.
interface IHotkeyOwners {
    /// The coldkey of a hotkey that was ever registered; 0 otherwise.
    function ownerOf(bytes32 hotkey) external view returns (bytes32);
}
