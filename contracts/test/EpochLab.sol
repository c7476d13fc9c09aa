// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Epochs} from "../src/Epochs.sol";
import {IEpochs} from "../src/interfaces/IEpochs.sol";
import {INeurons} from "../src/interfaces/INeurons.sol";
import {ISubnets} from "../src/interfaces/ISubnets.sol";
import {State} from "../src/yuma/State.sol";
import {EpochNeuronsStub, EpochStakingStub, EpochSubnetsStub} from "./EpochStubs.sol";

/// Epochs at any block, always due, and with a past that a test may give them.
contract EpochsOfTest is Epochs {
    uint256 private _now;

    function setBlock(uint256 current) external {
        _now = current;
    }

    function setPast(uint16 netuid, uint64 lastBlock, uint256 permits, uint256 bonded) external {
        State storage s = _states[netuid];
        (s.lastBlock, s.permits, s.bonded) = (lastBlock, permits, bonded);
    }

    function setBonds(uint16 netuid, uint256 uid, uint256[] calldata words) external {
        for (uint256 w; w < words.length; ++w) {
            _states[netuid].bonds[16 * uid + w] = words[w];
        }
    }

    function _block() internal view override returns (uint256) {
        return _now;
    }

    function _due(uint256, uint256) internal pure override returns (bool) {
        return true;
    }
}

/// Plays epochs given as words and returns what came of them as words, many in one call.
contract EpochLab {
    EpochSubnetsStub public subnets;
    EpochNeuronsStub public neurons;
    EpochStakingStub public staking;
    EpochsOfTest public epochs;

    function setUp(EpochSubnetsStub s, EpochNeuronsStub n, EpochStakingStub k, EpochsOfTest e) external {
        (subnets, neurons, staking, epochs) = (s, n, k, e);
    }

    /// A tape of words, read in order.
    struct Tape {
        uint256[] words;
        uint256 place;
    }

    /// `script` has the epochs one after the other, as test/helpers/epoch-lab.ts writes them. The result has for each, by uid: outcomes
    /// (8 words), paid for incentive, paid for dividends, 16 words of bonds; then paid to the owner, and burned.
    function play(uint256[] calldata script) external returns (uint256[] memory results) {
        Tape memory input = Tape(script, 0);
        Tape memory output = Tape(new uint256[](_next(input)), 0);
        while (input.place < input.words.length) {
            _set(input);
            _put(output);
        }
        return output.words;
    }

    uint16 private _netuid;
    bytes32 private _owner;

    function _set(Tape memory t) private {
        uint16 netuid = uint16(_next(t));
        _netuid = netuid;
        epochs.setBlock(_next(t));
        _owner = bytes32(_next(t));
        bytes32 ownerHotkey = bytes32(_next(t));
        ISubnets.Params memory params = _params(t);
        subnets.set(netuid, params, _owner, ownerHotkey);
        staking.setPending(netuid, _next(t));
        _setNeurons(t, netuid);
        if (_next(t) != 0) {
            epochs.setPast(netuid, uint64(_next(t)), _next(t), _next(t));
            for (uint256 rows = _next(t); rows > 0; --rows) {
                epochs.setBonds(netuid, _next(t), _list(t));
            }
        }
        uint256[] memory cleared = _list(t);
        for (uint256 i; i < cleared.length; ++i) {
            neurons.clear(epochs, netuid, uint16(cleared[i]));
        }
        uint256[] memory pages = _list(t);
        uint256[] memory advice = _list(t);
        _push(netuid, pages, advice);
    }

    function _params(Tape memory t) private pure returns (ISubnets.Params memory p) {
        p.registrationBlock = uint64(_next(t));
        p.tempo = uint32(_next(t));
        p.activityCutoffFactor = uint32(_next(t));
        p.kappa = uint16(_next(t));
        p.bondsPenalty = uint16(_next(t));
        p.bondsMovingAverage = uint64(_next(t));
        p.alphaLow = uint16(_next(t));
        p.alphaHigh = uint16(_next(t));
        p.alphaSteepness = uint16(_next(t));
        p.maxValidators = uint16(_next(t));
        p.stakeThreshold = uint64(_next(t));
        p.ownerCut = uint16(_next(t));
        uint256 switches = _next(t);
        (p.yuma3, p.liquidAlpha) = (switches & 1 != 0, switches & 2 != 0);
    }

    function _setNeurons(Tape memory t, uint16 netuid) private {
        uint256 n = _next(t);
        INeurons.Slot[] memory slots = new INeurons.Slot[](n);
        bytes32[] memory hotkeys = new bytes32[](n);
        uint256[] memory stake = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            hotkeys[i] = slots[i].hotkey = bytes32(_next(t));
            stake[i] = _next(t);
            slots[i].registeredAt = uint64(_next(t));
            slots[i].lastUpdate = uint64(_next(t));
            slots[i].oldestCommit = uint64(_next(t));
        }
        neurons.setSlots(netuid, slots);
        staking.setStake(hotkeys, stake);
        for (uint256 rows = _next(t); rows > 0; --rows) {
            neurons.setRow(netuid, uint16(_next(t)), _list(t));
        }
    }

    /// Steps of the sizes in `pages`, over and over, until the epoch is done.
    function _push(uint16 netuid, uint256[] memory pages, uint256[] memory advice) private {
        uint64 index = epochs.epochIndex(netuid);
        for (uint256 k; epochs.epochIndex(netuid) == index; ++k) {
            (uint8 stage,,,) = epochs.progress(netuid);
            if (stage == 1 && advice.length != 0) epochs.stepWithMedians(netuid, advice);
            else epochs.step(netuid, pages[k % pages.length]);
        }
    }

    function _put(Tape memory t) private view {
        IEpochs.Outcome[] memory list = epochs.outcomes(_netuid);
        uint16[] memory uids = new uint16[](list.length);
        for (uint256 i; i < list.length; ++i) {
            uids[i] = uint16(i);
            _write(t, list[i].consensus);
            _write(t, list[i].incentive);
            _write(t, list[i].dividends);
            _write(t, list[i].vtrust);
            _write(t, list[i].stakeWeight);
            _write(t, list[i].emission);
            _write(t, list[i].permit ? 1 : 0);
            _write(t, list[i].active ? 1 : 0);
            _write(t, staking.paid(neurons.coldkeyOf(_netuid, uint16(i))));
            _write(t, staking.paid(neurons.hotkeyOf(_netuid, uint16(i))));
        }
        uint256[] memory words = epochs.bonds(_netuid, uids);
        for (uint256 i; i < words.length; ++i) {
            _write(t, words[i]);
        }
        _write(t, staking.paid(_owner));
        _write(t, staking.burned());
    }

    function _next(Tape memory t) private pure returns (uint256) {
        return t.words[t.place++];
    }

    /// A list with its length in front.
    function _list(Tape memory t) private pure returns (uint256[] memory list) {
        list = new uint256[](_next(t));
        for (uint256 i; i < list.length; ++i) {
            list[i] = _next(t);
        }
    }

    function _write(Tape memory t, uint256 word) private pure {
        t.words[t.place++] = word;
    }
}
