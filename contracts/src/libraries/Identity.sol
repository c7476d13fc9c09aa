// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// The account of an EVM address: blake2b-256("evm:" ‖ 20 bytes), the 32 bytes that Bittensor knows an EVM caller by.
///
/// The text is 24 bytes, so one call of the compression function (EIP-152, precompile 0x09) hashes it. Its input is the number of rounds
/// (12), the state h (RFC 7693 §3.3: the IV, whose first word is xored with 0x01010020 for a 32-byte digest without a key), the block,
/// the offset (24) and the mark of the last block; words are little-endian. Bittensor's own chain has another precompile at 0x09, and
/// answers `addressMapping` itself.
library Identity {
    error PrecompileFailed();

    bytes32 private constant H_LOW = 0x28c9bdf267e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5;
    bytes32 private constant H_HIGH = 0xd182e6ad7f520e511f6c3e2b8c68059b6bbd41fbabd9831f79217e1319cde05b;

    function accountOf(address holder) internal view returns (bytes32 account) {
        bytes memory input = abi.encodePacked(
            uint32(12), H_LOW, H_HIGH, bytes4("evm:"), holder, new bytes(104), bytes1(0x18), bytes15(0), true
        );
        bool ok;
        assembly ("memory-safe") {
            ok := staticcall(gas(), 0x09, add(input, 32), mload(input), 0, 64)
            ok := and(ok, eq(returndatasize(), 64))
            account := mload(0)
            mstore(0x40, add(input, 288))
        }
        if (!ok) revert PrecompileFailed();
    }
}
