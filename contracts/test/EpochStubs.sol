// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEpochs} from "../src/interfaces/IEpochs.sol";
import {INeurons} from "../src/interfaces/INeurons.sol";
import {IStaking} from "../src/interfaces/IStaking.sol";
import {ISubnets} from "../src/interfaces/ISubnets.sol";

// What epochs read and write elsewhere, as plain storage that a test fills. Laid out like the real contracts' storage, so that gas is
// about the same.

contract EpochSubnetsStub is ISubnets {
    mapping(uint16 => Params) private _params;
    mapping(uint16 => bytes32[2]) private _owners;

    function set(uint16 netuid, Params calldata p, bytes32 coldkey, bytes32 hotkey) external {
        _params[netuid] = p;
        _owners[netuid] = [coldkey, hotkey];
    }

    function exists(uint16) external pure returns (bool) {
        return true;
    }

    function params(uint16 netuid) external view returns (Params memory) {
        return _params[netuid];
    }

    function ownerOf(uint16 netuid) external view returns (bytes32 coldkey, bytes32 hotkey) {
        return (_owners[netuid][0], _owners[netuid][1]);
    }
}

contract EpochNeuronsStub is INeurons {
    mapping(uint16 => Slot[]) private _slots;
    mapping(uint16 => mapping(uint256 => uint256[16])) private _rows;

    function setSlots(uint16 netuid, Slot[] calldata list) external {
        delete _slots[netuid];
        for (uint256 i; i < list.length; ++i) {
            _slots[netuid].push(list[i]);
        }
    }

    function setLastUpdate(uint16 netuid, uint64 lastUpdate) external {
        for (uint256 i; i < _slots[netuid].length; ++i) {
            _slots[netuid][i].lastUpdate = lastUpdate;
        }
    }

    /// Words of the row of `uid`; its sum goes to the slot.
    function setRow(uint16 netuid, uint16 uid, uint256[] calldata words) external {
        uint256 sum;
        for (uint256 w; w < words.length; ++w) {
            _rows[netuid][uid][w] = words[w];
            for (uint256 x = words[w]; x != 0; x >>= 16) {
                sum += x & 0xffff;
            }
        }
        _slots[netuid][uid].rowSum = uint32(sum);
    }

    function clear(IEpochs epochs, uint16 netuid, uint16 uid) external {
        epochs.clear(netuid, uid);
    }

    function count(uint16 netuid) external view returns (uint16) {
        return uint16(_slots[netuid].length);
    }

    function slots(uint16 netuid) external view returns (Slot[] memory) {
        return _slots[netuid];
    }

    function rows(uint16 netuid, uint16[] calldata uids, uint256 from, uint256 to)
        external
        view
        returns (uint256[] memory words)
    {
        words = new uint256[](uids.length * (to - from));
        uint256 k;
        for (uint256 v; v < uids.length; ++v) {
            uint256[16] storage row = _rows[netuid][uids[v]];
            for (uint256 w = from; w < to; ++w) {
                words[k++] = row[w];
            }
        }
    }

    function hotkeyOf(uint16 netuid, uint16 uid) external view returns (bytes32) {
        return _slots[netuid][uid].hotkey;
    }

    /// A coldkey is its hotkey plus 1.
    function coldkeyOf(uint16 netuid, uint16 uid) external view returns (bytes32) {
        return bytes32(uint256(_slots[netuid][uid].hotkey) + 1);
    }

    function registerOwner(uint16, bytes32, bytes32, address) external pure {}
}

contract EpochStakingStub is IStaking {
    error MoreThanPending();

    mapping(bytes32 => uint256) private _stake;
    mapping(uint16 => uint256) private _pending;
    mapping(uint256 => mapping(bytes32 => uint256)) private _paid;
    uint256 private _round;
    uint256 public burned;

    function setPending(uint16 netuid, uint256 rao) external {
        _pending[netuid] = rao;
        _round++;
        burned = 0;
    }

    /// More rao for the next epoch, without forgetting what was paid before.
    function fund(uint16 netuid, uint256 rao) external {
        _pending[netuid] += rao;
    }

    function setStake(bytes32[] calldata hotkeys, uint256[] calldata rao) external {
        for (uint256 i; i < hotkeys.length; ++i) {
            _stake[hotkeys[i]] = rao[i];
        }
    }

    /// Rao to an account or a hotkey's pool since the pending rao were set.
    function paid(bytes32 to) external view returns (uint256) {
        return _paid[_round][to];
    }

    function burn(bytes32, uint256) external pure {}

    function setOwner(bytes32, bytes32) external pure {}

    function stakeOf(uint16, bytes32[] calldata hotkeys) external view returns (uint256[] memory rao) {
        rao = new uint256[](hotkeys.length);
        for (uint256 i; i < hotkeys.length; ++i) {
            rao[i] = _stake[hotkeys[i]];
        }
    }

    function settle(uint16 netuid) external view returns (uint256) {
        return _pending[netuid];
    }

    function payEpoch(uint16 netuid, Payments calldata p) public virtual {
        uint256 total = p.ownerRao + p.burnRao;
        mapping(bytes32 => uint256) storage ledger = _paid[_round];
        ledger[p.owner] += p.ownerRao;
        burned = p.burnRao;
        for (uint256 i; i < p.earners.length; ++i) {
            ledger[p.earners[i]] += p.earnedRao[i];
            total += p.earnedRao[i];
        }
        for (uint256 i; i < p.hotkeys.length; ++i) {
            ledger[p.hotkeys[i]] += p.dividendRao[i];
            total += p.dividendRao[i];
        }
        if (total > _pending[netuid]) revert MoreThanPending();
        _pending[netuid] -= total;
    }
}

interface IStep {
    function step(uint16 netuid, uint256 maxColumns) external;
}

/// A ledger that goes for another epoch while it is to pay one.
contract EpochReentrantStub is EpochStakingStub {
    function payEpoch(uint16 netuid, Payments calldata) public override {
        IStep(msg.sender).step(netuid, 16);
    }
}
