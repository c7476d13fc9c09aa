// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What the other contracts of the chain ask of the epochs.
interface IEpochs {
    /// Outcome of the last epoch for one neuron, as subtensor stores it.
    struct Outcome {
        uint16 consensus;
        uint16 incentive;
        uint16 dividends;
        uint16 vtrust;
        uint16 stakeWeight;
        uint64 emission; // rao of the last epoch
        bool permit;
        bool active;
    }

    /// Whether an epoch of `netuid` is being computed, or is due: nothing that it reads may change then.
    function frozen(uint16 netuid) external view returns (bool);

    /// Epochs finished so far; the first one is epoch 0.
    function epochIndex(uint16 netuid) external view returns (uint64);

    /// Block of the last epoch's snapshot (the subnet's registration at first).
    function lastEpochBlock(uint16 netuid) external view returns (uint64);

    function permitOf(uint16 netuid, uint16 uid) external view returns (bool);

    function emissionOf(uint16 netuid, uint16 uid) external view returns (uint64);

    function incentiveOf(uint16 netuid, uint16 uid) external view returns (uint16);

    function outcomes(uint16 netuid) external view returns (Outcome[] memory);

    /// A uid has a new holder: its outcome starts from zero. Only the neurons' contract calls it.
    function clear(uint16 netuid, uint16 uid) external;
}
