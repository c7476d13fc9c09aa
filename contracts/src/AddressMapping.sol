// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Identity} from "./libraries/Identity.sol";

/// The address mapping precompile's ABI (0x80c): the account of an EVM address.
contract AddressMapping {
    function addressMapping(address holder) external view returns (bytes32) {
        return Identity.accountOf(holder);
    }
}
