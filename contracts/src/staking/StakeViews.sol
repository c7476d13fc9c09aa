// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {IStaking} from "../interfaces/IStaking.sol";
import {Issuance} from "../libraries/Issuance.sol";
import {Pools} from "./Pools.sol";
import {Shares} from "./Shares.sol";

/// What the ledger tells: the getters of the StakingV2 precompile's ABI, and ours beside them.
abstract contract StakeViews is Pools, IStaking {
    using EnumerableSet for EnumerableSet.UintSet;
    using EnumerableSet for EnumerableSet.Bytes32Set;

    /// What a coldkey has on one hotkey.
    struct Position {
        bytes32 hotkey;
        uint16 netuid;
        uint64 rao;
    }

    /// Rao on all hotkeys, of the coldkey's.
    function getTotalColdkeyStake(bytes32 coldkey) external view returns (uint256 rao) {
        uint256[] memory ids = positions[coldkey].values();
        for (uint256 i = 0; i < ids.length; i++) {
            rao += positionOf(ids[i], coldkey);
        }
    }

    function getTotalColdkeyStakeOnSubnet(bytes32 coldkey, uint256 netuid) external view returns (uint256 rao) {
        uint256[] memory ids = positions[coldkey].values();
        for (uint256 i = 0; i < ids.length; i++) {
            if (pools[ids[i]].netuid == netuid) rao += positionOf(ids[i], coldkey);
        }
    }

    function getStake(bytes32 hotkey, bytes32 coldkey, uint256 netuid) external view returns (uint256) {
        return positionOf(poolId(hotkey, netuid), coldkey);
    }

    /// Coldkeys with stake on a hotkey. (The name is the precompile's.)
    function getAlphaStakedValidators(bytes32 hotkey, uint256 netuid) external view returns (bytes32[] memory) {
        return holders[poolId(hotkey, netuid)].values();
    }

    /// Rao in a hotkey's pool. (The name is the precompile's.)
    function getTotalAlphaStaked(bytes32 hotkey, uint256 netuid) external view returns (uint256) {
        return pools[poolId(hotkey, netuid)].assets;
    }

    /// Any amount that buys a share is enough.
    function getNominatorMinRequiredStake() external pure returns (uint256) {
        return 0;
    }

    function stakeOf(uint16 netuid, bytes32[] calldata hotkeys) external view override returns (uint256[] memory rao) {
        rao = new uint256[](hotkeys.length);
        for (uint256 i = 0; i < hotkeys.length; i++) {
            rao[i] = pools[poolId(hotkeys[i], netuid)].assets;
        }
    }

    function positionsOf(bytes32 coldkey) external view returns (Position[] memory list) {
        uint256[] memory ids = positions[coldkey].values();
        list = new Position[](ids.length);
        for (uint256 i = 0; i < ids.length; i++) {
            Shares.Pool storage pool = pools[ids[i]];
            list[i] = Position(pool.hotkey, pool.netuid, uint64(positionOf(ids[i], coldkey)));
        }
    }

    /// A pool's assets and shares, and a holder's part of the shares.
    function poolOf(bytes32 hotkey, uint16 netuid, bytes32 coldkey)
        external
        view
        returns (uint256 assets, uint256 shares, uint256 held)
    {
        uint256 id = poolId(hotkey, netuid);
        return (pools[id].assets, pools[id].shares, sharesOf[id][coldkey]);
    }

    function balanceOf(bytes32 account) external view returns (uint256) {
        return balances[account];
    }

    /// Rao that an account may claim.
    function earnedOf(bytes32 account) external view returns (uint256) {
        return earnings[account];
    }

    /// Rao in existence, with what this block has minted; and what the next block will mint.
    function issuance() external view returns (uint256 total, uint256 perBlock) {
        (Totals memory now_,) = accrued();
        return (now_.issuance, now_.stake == 0 ? 0 : Issuance.perBlock(now_.issuance));
    }

    /// The ledger's totals up to this block.
    function ledger() external view returns (Totals memory now_) {
        (now_,) = accrued();
    }

    /// A subnet's accrual up to this block: its stake, and the rao that wait for its epoch.
    function accrualOf(uint16 netuid) external view returns (Accrual memory accrual) {
        (Totals memory now_,) = accrued();
        (accrual,) = accruedOf(netuid, now_.index);
    }
}
