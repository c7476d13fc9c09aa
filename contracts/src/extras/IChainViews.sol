// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Views of the ledger that only Extras needs.
interface ILedgerViews {
    struct Accrual {
        uint64 stake;
        uint64 pending; // rao that wait for the next epoch
        uint64 fraction;
        uint128 index;
    }

    function accrualOf(uint16 netuid) external view returns (Accrual memory);
}

/// Views of the subnet registry that only Extras needs.
interface IRegistryViews {
    /// Netuids are 1 … subnetCount.
    function subnetCount() external view returns (uint16);
}

/// Views of the epochs that only Extras needs.
interface IEpochViews {
    function progress(uint16 netuid) external view returns (uint8 stage, uint16 nextColumn, uint16 columns, uint64 openedAt);

    function bonds(uint16 netuid, uint16[] calldata uids) external view returns (uint256[] memory words);
}
