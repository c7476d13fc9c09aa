// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Bittensor's precompile at 0x80c.
interface IAddressMapping {
    /// The account that an EVM address acts as: blake2b-256("evm:" ‖ address).
    function addressMapping(address target) external view returns (bytes32);
}
