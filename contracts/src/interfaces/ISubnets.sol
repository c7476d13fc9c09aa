// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What the other contracts of the chain ask of the subnet registry.
interface ISubnets {
    /// Hyperparameters of a subnet, with subtensor's names and units.
    struct Params {
        uint64 registrationBlock;
        uint64 weightsVersionKey;
        uint64 weightsSetRateLimit; // blocks
        uint64 servingRateLimit; // blocks
        uint64 minBurn; // rao
        uint64 maxBurn; // rao
        uint64 bondsMovingAverage; // millionths
        uint64 revealInterval; // epochs between commit and reveal
        uint64 stakeThreshold; // rao
        uint32 tempo; // blocks
        uint32 activityCutoffFactor; // thousandths of tempo
        uint32 burnHalfLife; // blocks
        uint32 burnIncreaseMult; // millionths: 1260000 = 1.26
        uint16 immunityPeriod; // blocks
        uint16 minAllowedWeights;
        uint16 kappa;
        uint16 rho;
        uint16 alphaSteepness; // int16 in two's complement
        uint16 alphaLow;
        uint16 alphaHigh;
        uint16 bondsPenalty;
        uint16 ownerCut;
        uint16 maxUids;
        uint16 maxValidators;
        uint16 minNonImmuneUids;
        bool registrationAllowed;
        bool commitReveal;
        bool yuma3;
        bool liquidAlpha;
    }

    function exists(uint16 netuid) external view returns (bool);

    /// Reverts with SubnetNotExists.
    function params(uint16 netuid) external view returns (Params memory);

    /// The owner's coldkey account and the hotkey that holds the owner's uid.
    function ownerOf(uint16 netuid) external view returns (bytes32 coldkey, bytes32 hotkey);
}
