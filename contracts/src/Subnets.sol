// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Hyperparameters} from "./subnets/Hyperparameters.sol";
import {Registry} from "./subnets/Registry.sol";

/// The subnet registry, at the address and with the ABI of the subnet precompile (0x803), as far as it has a meaning here: registration,
/// and a getter and setter for each hyperparameter. `params` and `setParams` read and write them all at once.
///
/// Only the owner's coldkey sets, only within ranges (Hyperparameters.sol), and not while an epoch is due. `getMaxWeightLimit` is the
/// constant that it is in subtensor. What belongs to proof of work, difficulties and transfers of subnets' own tokens is left out.
contract Subnets is Registry {
    /// What the long forms of registerNetwork say about a subnet; kept in the log only.
    event SubnetIdentity(
        uint16 indexed netuid,
        string name,
        string repository,
        string contact,
        string url,
        string discord,
        string description,
        string additional,
        string logo
    );

    /// `lockMin`: rao of the first subnet and the least of any. `lockInterval`: blocks in which a doubled cost falls to nothing, twice over.
    function initialize(Addresses calldata peers, uint64 lockMin, uint64 lockInterval) external {
        link(peers);
        Hyperparameters.within("lockMin", lockMin, 0, 21_000_000_000_000_000);
        Hyperparameters.within("lockInterval", lockInterval, 1, type(uint64).max);
        (lock.least, lock.interval) = (lockMin, lockInterval);
    }

    // Registration

    function registerNetwork(bytes32 hotkey) external payable noValue {
        create(hotkey, type(uint256).max, Hyperparameters.defaults());
    }

    function registerNetwork(
        bytes32 hotkey,
        string calldata name,
        string calldata repository,
        string calldata contact,
        string calldata url,
        string calldata discord,
        string calldata description,
        string calldata additional
    ) external payable noValue {
        uint16 netuid = create(hotkey, type(uint256).max, Hyperparameters.defaults());
        emit SubnetIdentity(netuid, name, repository, contact, url, discord, description, additional, "");
    }

    function registerNetwork(
        bytes32 hotkey,
        string calldata name,
        string calldata repository,
        string calldata contact,
        string calldata url,
        string calldata logo,
        string calldata discord,
        string calldata description,
        string calldata additional
    ) external payable noValue {
        uint16 netuid = create(hotkey, type(uint256).max, Hyperparameters.defaults());
        emit SubnetIdentity(netuid, name, repository, contact, url, discord, description, additional, logo);
    }

    /// Ours: for at most `costMax` rao, with these hyperparameters.
    function createSubnet(bytes32 hotkey, uint256 costMax, Params calldata p) external returns (uint16) {
        return create(hotkey, costMax, p);
    }

    /// Ours: all hyperparameters at once. The registration's block is not one of them.
    function setParams(uint16 netuid, Params calldata p) external {
        owned(netuid);
        store(netuid, p);
    }

    // Getters of the precompile

    function getNetworkRegistrationBlock(uint16 netuid) external view returns (uint64) {
        return params(netuid).registrationBlock;
    }

    function getMaxWeightLimit(uint16 netuid) external view returns (uint16) {
        params(netuid);
        return type(uint16).max;
    }

    /// Blocks without an update after which a validator is inactive.
    function getActivityCutoff(uint16 netuid) external view returns (uint16) {
        Params memory p = params(netuid);
        uint256 blocks = (uint256(p.activityCutoffFactor) * p.tempo) / 1000;
        return blocks == 0 ? 1 : blocks > type(uint16).max ? type(uint16).max : uint16(blocks);
    }

    function getAlphaValues(uint16 netuid) external view returns (uint16 low, uint16 high) {
        Params memory p = params(netuid);
        return (p.alphaLow, p.alphaHigh);
    }

    function getServingRateLimit(uint16 netuid) external view returns (uint64) {
        return params(netuid).servingRateLimit;
    }

    function getWeightsVersionKey(uint16 netuid) external view returns (uint64) {
        return params(netuid).weightsVersionKey;
    }

    function getWeightsSetRateLimit(uint16 netuid) external view returns (uint64) {
        return params(netuid).weightsSetRateLimit;
    }

    function getImmunityPeriod(uint16 netuid) external view returns (uint16) {
        return params(netuid).immunityPeriod;
    }

    function getMinAllowedWeights(uint16 netuid) external view returns (uint16) {
        return params(netuid).minAllowedWeights;
    }

    function getKappa(uint16 netuid) external view returns (uint16) {
        return params(netuid).kappa;
    }

    function getRho(uint16 netuid) external view returns (uint16) {
        return params(netuid).rho;
    }

    function getAlphaSigmoidSteepness(uint16 netuid) external view returns (uint16) {
        return params(netuid).alphaSteepness;
    }

    function getActivityCutoffFactor(uint16 netuid) external view returns (uint32) {
        return params(netuid).activityCutoffFactor;
    }

    function getNetworkRegistrationAllowed(uint16 netuid) external view returns (bool) {
        return params(netuid).registrationAllowed;
    }

    function getMinBurn(uint16 netuid) external view returns (uint64) {
        return params(netuid).minBurn;
    }

    function getMaxBurn(uint16 netuid) external view returns (uint64) {
        return params(netuid).maxBurn;
    }

    function getBondsMovingAverage(uint16 netuid) external view returns (uint64) {
        return params(netuid).bondsMovingAverage;
    }

    function getCommitRevealWeightsEnabled(uint16 netuid) external view returns (bool) {
        return params(netuid).commitReveal;
    }

    function getLiquidAlphaEnabled(uint16 netuid) external view returns (bool) {
        return params(netuid).liquidAlpha;
    }

    function getYuma3Enabled(uint16 netuid) external view returns (bool) {
        return params(netuid).yuma3;
    }

    function getCommitRevealWeightsInterval(uint16 netuid) external view returns (uint64) {
        return params(netuid).revealInterval;
    }

    // Setters of the precompile

    /// The least factor of the tempo that gives as many blocks.
    function setActivityCutoff(uint16 netuid, uint16 blocks) external payable noValue {
        Params memory p = owned(netuid);
        p.activityCutoffFactor = uint32((uint256(blocks) * 1000 + p.tempo - 1) / p.tempo);
        store(netuid, p);
    }

    function setAlphaValues(uint16 netuid, uint16 low, uint16 high) external payable noValue {
        Params memory p = owned(netuid);
        (p.alphaLow, p.alphaHigh) = (low, high);
        store(netuid, p);
    }

    function setServingRateLimit(uint16 netuid, uint64 value) external payable noValue {
        Params memory p = owned(netuid);
        p.servingRateLimit = value;
        store(netuid, p);
    }

    function setWeightsVersionKey(uint16 netuid, uint64 value) external payable noValue {
        Params memory p = owned(netuid);
        p.weightsVersionKey = value;
        store(netuid, p);
    }

    function setWeightsSetRateLimit(uint16 netuid, uint64 value) external payable noValue {
        Params memory p = owned(netuid);
        p.weightsSetRateLimit = value;
        store(netuid, p);
    }

    function setImmunityPeriod(uint16 netuid, uint16 value) external payable noValue {
        Params memory p = owned(netuid);
        p.immunityPeriod = value;
        store(netuid, p);
    }

    function setMinAllowedWeights(uint16 netuid, uint16 value) external payable noValue {
        Params memory p = owned(netuid);
        p.minAllowedWeights = value;
        store(netuid, p);
    }

    function setKappa(uint16 netuid, uint16 value) external payable noValue {
        Params memory p = owned(netuid);
        p.kappa = value;
        store(netuid, p);
    }

    function setRho(uint16 netuid, uint16 value) external payable noValue {
        Params memory p = owned(netuid);
        p.rho = value;
        store(netuid, p);
    }

    function setAlphaSigmoidSteepness(uint16 netuid, uint16 value) external payable noValue {
        Params memory p = owned(netuid);
        p.alphaSteepness = value;
        store(netuid, p);
    }

    function setActivityCutoffFactor(uint16 netuid, uint32 value) external payable noValue {
        Params memory p = owned(netuid);
        p.activityCutoffFactor = value;
        store(netuid, p);
    }

    function setNetworkRegistrationAllowed(uint16 netuid, bool value) external payable noValue {
        Params memory p = owned(netuid);
        p.registrationAllowed = value;
        store(netuid, p);
    }

    function setMinBurn(uint16 netuid, uint64 value) external payable noValue {
        Params memory p = owned(netuid);
        p.minBurn = value;
        store(netuid, p);
    }

    function setMaxBurn(uint16 netuid, uint64 value) external payable noValue {
        Params memory p = owned(netuid);
        p.maxBurn = value;
        store(netuid, p);
    }

    function setBondsMovingAverage(uint16 netuid, uint64 value) external payable noValue {
        Params memory p = owned(netuid);
        p.bondsMovingAverage = value;
        store(netuid, p);
    }

    function setCommitRevealWeightsEnabled(uint16 netuid, bool value) external payable noValue {
        Params memory p = owned(netuid);
        p.commitReveal = value;
        store(netuid, p);
    }

    function setLiquidAlphaEnabled(uint16 netuid, bool value) external payable noValue {
        Params memory p = owned(netuid);
        p.liquidAlpha = value;
        store(netuid, p);
    }

    function setYuma3Enabled(uint16 netuid, bool value) external payable noValue {
        Params memory p = owned(netuid);
        p.yuma3 = value;
        store(netuid, p);
    }

    function setCommitRevealWeightsInterval(uint16 netuid, uint64 value) external payable noValue {
        Params memory p = owned(netuid);
        p.revealInterval = value;
        store(netuid, p);
    }
}
