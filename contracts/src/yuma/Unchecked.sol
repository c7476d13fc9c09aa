// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {INeurons} from "../interfaces/INeurons.sol";

/// Arrays without the check of the index, which costs more than the access. Loops over an array's own length use them.
library Unchecked {
    function get(uint256[] memory list, uint256 i) internal pure returns (uint256 value) {
        // Elements stand behind the length.
        assembly ("memory-safe") {
            value := mload(add(add(list, 0x20), shl(5, i)))
        }
    }

    function set(uint256[] memory list, uint256 i, uint256 value) internal pure {
        // Elements stand behind the length.
        assembly ("memory-safe") {
            mstore(add(add(list, 0x20), shl(5, i)), value)
        }
    }

    function uid(uint16[] memory list, uint256 i) internal pure returns (uint256 value) {
        // Elements stand behind the length, each in a word of its own.
        assembly ("memory-safe") {
            value := mload(add(add(list, 0x20), shl(5, i)))
        }
    }

    function setUid(uint16[] memory list, uint256 i, uint256 value) internal pure {
        // Elements stand behind the length, each in a word of its own.
        assembly ("memory-safe") {
            mstore(add(add(list, 0x20), shl(5, i)), value)
        }
    }

    function hotkey(INeurons.Slot[] memory list, uint256 i) internal pure returns (bytes32) {
        return bytes32(_field(list, i, 0));
    }

    function registeredAt(INeurons.Slot[] memory list, uint256 i) internal pure returns (uint256) {
        return _field(list, i, 0x20);
    }

    function lastUpdate(INeurons.Slot[] memory list, uint256 i) internal pure returns (uint256) {
        return _field(list, i, 0x40);
    }

    function oldestCommit(INeurons.Slot[] memory list, uint256 i) internal pure returns (uint256) {
        return _field(list, i, 0x60);
    }

    function rowSum(INeurons.Slot[] memory list, uint256 i) internal pure returns (uint256) {
        return _field(list, i, 0x80);
    }

    /// A function that returned the struct would also make room for one.
    function _field(INeurons.Slot[] memory list, uint256 i, uint256 offset) private pure returns (uint256 value) {
        // References to the structs stand behind the length; each member has a word of its own.
        assembly ("memory-safe") {
            value := mload(add(mload(add(add(list, 0x20), shl(5, i))), offset))
        }
    }
}
