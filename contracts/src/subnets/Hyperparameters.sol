// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ISubnets} from "../interfaces/ISubnets.sol";

/// Defaults and ranges of the hyperparameters. Defaults are what subtensor gives a new subnet; ranges are subtensor's where an owner may set
/// the value there, and otherwise what the contracts can work with. What only subtensor's root may set, the owner sets here, but the
/// owner's cut never exceeds subtensor's.
library Hyperparameters {
    error ValueNotInBounds(bytes32 name, uint256 least, uint256 most);

    function defaults() internal view returns (ISubnets.Params memory p) {
        p.registrationBlock = uint64(block.number);
        p.tempo = 360;
        p.maxUids = 256;
        p.maxValidators = 64;
        p.immunityPeriod = 5000;
        p.activityCutoffFactor = 13_889;
        p.weightsSetRateLimit = 100;
        p.servingRateLimit = 50;
        p.minAllowedWeights = 1;
        p.minNonImmuneUids = 10;
        p.registrationAllowed = true;
        p.minBurn = 500_000;
        p.maxBurn = 100_000_000_000;
        p.burnHalfLife = 360;
        p.burnIncreaseMult = 1_260_000;
        p.commitReveal = true;
        p.revealInterval = 1;
        p.kappa = 32_767;
        p.rho = 10;
        p.bondsPenalty = 65_535;
        p.bondsMovingAverage = 900_000;
        p.yuma3 = true;
        p.alphaLow = 45_875;
        p.alphaHigh = 58_982;
        p.alphaSteepness = 1000;
        p.ownerCut = 11_796;
    }

    /// Reverts with the first value that is out of its range.
    function check(ISubnets.Params memory p) internal pure {
        within("tempo", p.tempo, 1, 50_400);
        within("maxUids", p.maxUids, 1, 256);
        within("maxValidators", p.maxValidators, 1, 64);
        within("activityCutoffFactor", p.activityCutoffFactor, 1000, 50_000);
        within("weightsSetRateLimit", p.weightsSetRateLimit, 0, 1_000_000);
        within("servingRateLimit", p.servingRateLimit, 0, 1_000_000);
        within("minAllowedWeights", p.minAllowedWeights, 0, 256);
        within("minNonImmuneUids", p.minNonImmuneUids, 0, 256);
        within("maxBurn", p.maxBurn, 0, 21_000_000_000_000_000);
        within("minBurn", p.minBurn, 0, p.maxBurn);
        within("burnHalfLife", p.burnHalfLife, 0, 1_000_000);
        within("burnIncreaseMult", p.burnIncreaseMult, 1_000_000, 10_000_000);
        within("stakeThreshold", p.stakeThreshold, 0, 21_000_000_000_000_000);
        within("revealInterval", p.revealInterval, 1, 100);
        within("kappa", p.kappa, 1, 65_535);
        within("bondsMovingAverage", p.bondsMovingAverage, 0, 1_000_000);
        within("alphaHigh", p.alphaHigh, 1638, 65_535);
        within("alphaLow", p.alphaLow, 1638, p.alphaHigh);
        within("alphaSteepness", p.alphaSteepness, 0, 32_767);
        within("ownerCut", p.ownerCut, 0, 11_796);
    }

    function within(bytes32 name, uint256 value, uint256 least, uint256 most) internal pure {
        if (value < least || value > most) revert ValueNotInBounds(name, least, most);
    }
}
