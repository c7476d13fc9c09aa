// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What the other contracts of the chain ask of the neurons' contract.
interface INeurons {
    /// What an epoch needs to know of one neuron.
    struct Slot {
        bytes32 hotkey;
        uint64 registeredAt; // block
        uint64 lastUpdate; // block of the last accepted weights or commit
        uint64 oldestCommit; // newcomers from this block on get no vote of this row: the block before the row's vote, or of its oldest commit; 0: no bound
        uint32 rowSum; // of the stored u16 weights
    }

    function count(uint16 netuid) external view returns (uint16);

    /// All slots in the order of uids.
    function slots(uint16 netuid) external view returns (Slot[] memory);

    /// Words [from, to) of the weight rows of `uids`, row by row: word w holds the weights towards uids 16·w … 16·w + 15, lowest bits
    /// first. Rows of former holders of a uid are zeros.
    function rows(uint16 netuid, uint16[] calldata uids, uint256 from, uint256 to) external view returns (uint256[] memory);

    function hotkeyOf(uint16 netuid, uint16 uid) external view returns (bytes32);

    function coldkeyOf(uint16 netuid, uint16 uid) external view returns (bytes32);

    /// Gives uid 0 of a new subnet to its owner. Only the subnet registry calls it.
    function registerOwner(uint16 netuid, bytes32 hotkey, bytes32 coldkey, address caller) external;
}
