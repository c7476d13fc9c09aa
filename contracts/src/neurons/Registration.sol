// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEpochs} from "../interfaces/IEpochs.sol";
import {INeurons} from "../interfaces/INeurons.sol";
import {ISubnets} from "../interfaces/ISubnets.sol";
import {BurnPrice} from "./BurnPrice.sol";
import {HotkeyProofs} from "./HotkeyProofs.sol";

/// Who gets a uid: registration for a burn, pruning, immunity. Rules and errors: subtensor's `burned_register` and `register_limit`.
///
/// Departures: a hotkey must have proved that it wants this coldkey (HotkeyProofs.sol); nothing is registered while an epoch is due; the
/// price falls in closed form (BurnPrice.sol); only the hotkey that holds the owner's uid is spared from pruning for ever.
abstract contract Registration is HotkeyProofs {
    event NeuronRegistered(uint16 indexed netuid, uint16 indexed uid, bytes32 indexed hotkey, bytes32 coldkey, uint64 burned);
    event NeuronPruned(uint16 indexed netuid, uint16 indexed uid, bytes32 indexed hotkey);

    error SubNetRegistrationDisabled();
    error HotKeyAlreadyRegisteredInSubNet();
    error RegistrationPriceLimitExceeded(uint64 price);
    error NoNeuronIdAvailable();

    /// Registers `hotkey` with the caller as its coldkey, at any price.
    function burnedRegister(uint16 netuid, bytes32 hotkey) external payable noValue {
        bytes32 coldkey = sender();
        adopt(hotkey, coldkey, msg.sender);
        register(netuid, hotkey, coldkey, type(uint64).max);
    }

    /// Registers `hotkey` with the caller as its coldkey for at most `limitPrice` rao.
    function registerLimit(uint16 netuid, bytes32 hotkey, uint64 limitPrice) external payable noValue {
        bytes32 coldkey = sender();
        adopt(hotkey, coldkey, msg.sender);
        register(netuid, hotkey, coldkey, limitPrice);
    }

    /// Registers the account of address `hotkey`, which has signed Register(netuid, coldkey = the caller, nonce, deadline), for at most
    /// `limitPrice` rao. `deadline` is the last block in which the signature holds.
    function registerWithProof(uint16 netuid, address hotkey, uint64 limitPrice, uint64 deadline, bytes calldata signature)
        external
        payable
        noValue
    {
        (bytes32 account, bytes32 coldkey) = adoptBySignature(netuid, hotkey, deadline, signature);
        register(netuid, account, coldkey, limitPrice);
    }

    /// @inheritdoc INeurons
    function registerOwner(uint16 netuid, bytes32 hotkey, bytes32 coldkey, address caller) external {
        if (msg.sender != address(subnets)) revert NotAllowed();
        if (registries[netuid].count != 0) revert NotAllowed();
        adopt(hotkey, coldkey, caller);
        ISubnets.Params memory p = subnets.params(netuid);
        setPrice(netuid, BurnPrice.within(BurnPrice.INITIAL, p), p.burnHalfLife);
        registries[netuid].count = 1;
        seat(netuid, 0, hotkey, coldkey, 0);
    }

    /// Rao that a registration burns in this block.
    function burnOf(uint16 netuid) external view returns (uint64) {
        return priceAt(netuid, subnets.params(netuid), block.number);
    }

    /// Rao that a registration burns in the next block, if nobody registers in this one.
    function nextBurn(uint16 netuid) external view returns (uint64) {
        return priceAt(netuid, subnets.params(netuid), block.number + 1);
    }

    /// The uid that the next registration gets in this block, and whether somebody is pruned for it. NoNeuronIdAvailable where all are spared.
    function nextUid(uint16 netuid) external view returns (uint16 uid, bool prunes) {
        ISubnets.Params memory p = subnets.params(netuid);
        uint256 count = registries[netuid].count;
        if (count < p.maxUids && count < UIDS_MAX) return (uint16(count), false);
        return (uint16(pruned(netuid, p, count)), true);
    }

    function register(uint16 netuid, bytes32 hotkey, bytes32 coldkey, uint64 limitPrice) private {
        ISubnets.Params memory p = subnets.params(netuid);
        if (!p.registrationAllowed) revert SubNetRegistrationDisabled();
        checkThawed(netuid);
        if (seats[netuid][hotkey] != 0) revert HotKeyAlreadyRegisteredInSubNet();
        uint64 price = priceAt(netuid, p, block.number);
        if (price > limitPrice) revert RegistrationPriceLimitExceeded(price);
        staking.burn(coldkey, price);
        setPrice(netuid, BurnPrice.bumped(price, p), p.burnHalfLife);
        seat(netuid, vacate(netuid, p), hotkey, coldkey, price);
    }

    /// A uid for a newcomer: the next one, or that of the neuron which is pruned.
    function vacate(uint16 netuid, ISubnets.Params memory p) private returns (uint256 uid) {
        uint256 count = registries[netuid].count;
        if (count < p.maxUids && count < UIDS_MAX) {
            registries[netuid].count = uint16(count + 1);
            return count;
        }
        uid = pruned(netuid, p, count);
        bytes32 former = hotkeys[netuid][uid];
        delete seats[netuid][former];
        epochs.clear(netuid, uint16(uid));
        emit NeuronPruned(netuid, uint16(uid), former);
    }

    function seat(uint16 netuid, uint256 uid, bytes32 hotkey, bytes32 coldkey, uint64 burned) private {
        Neuron memory neuron;
        neuron.lastUpdate = uint40(block.number);
        neurons[netuid][uid] = neuron;
        hotkeys[netuid][uid] = hotkey;
        seats[netuid][hotkey] = uid + 1;
        stamp(netuid, uid);
        emit NeuronRegistered(netuid, uint16(uid), hotkey, coldkey, burned);
    }

    /// Least emission first, then the oldest, then the lowest uid; those in their immunity only where at most `minNonImmuneUids` others are
    /// left. Emissions are asked for one by one, and only where they can matter: reading all outcomes costs several times as much.
    function pruned(uint16 netuid, ISubnets.Params memory p, uint256 number) private view returns (uint256) {
        uint256[] memory registered = stampsOf(netuid, number);
        (, bytes32 ownerHotkey) = subnets.ownerOf(netuid);
        uint256 ownerUid = seats[netuid][ownerHotkey]; // plus one
        IEpochs source = epochs;
        uint256 best = type(uint256).max; // emission, block and uid in one number
        unchecked {
            uint256 others = 0;
            for (uint256 uid = 0; uid < number; ++uid) {
                if (uid + 1 != ownerUid && block.number - registered[uid] >= p.immunityPeriod) ++others;
            }
            bool spare = others > p.minNonImmuneUids;
            for (uint256 uid = 0; uid < number; ++uid) {
                bool immune = block.number - registered[uid] < p.immunityPeriod;
                if (uid + 1 == ownerUid || immune == spare) continue;
                uint256 key = (registered[uid] << 16) | uid;
                if (key >= best) continue; // worse even if it earned nothing
                key |= uint256(source.emissionOf(netuid, uint16(uid))) << 64;
                if (key < best) best = key;
            }
        }
        if (best == type(uint256).max) revert NoNeuronIdAvailable();
        return uint16(best);
    }

    function priceAt(uint16 netuid, ISubnets.Params memory p, uint256 blockNumber) private view returns (uint64) {
        Registry memory r = registries[netuid];
        uint256 factor = r.factorHalfLife == p.burnHalfLife || p.burnHalfLife == 0 ? r.factor : BurnPrice.decayFactor(p.burnHalfLife);
        return uint64(BurnPrice.afterBlocks(r.burn, blockNumber - r.burnBlock, factor, p));
    }

    function setPrice(uint16 netuid, uint256 burn, uint32 halfLife) private {
        Registry storage r = registries[netuid];
        r.burn = uint64(burn);
        r.burnBlock = uint40(block.number);
        if (r.factorHalfLife == halfLife) return;
        r.factor = halfLife == 0 ? 0 : uint32(BurnPrice.decayFactor(halfLife));
        r.factorHalfLife = halfLife;
    }
}
