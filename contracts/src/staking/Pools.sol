// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {Ledger} from "./Ledger.sol";
import {Shares} from "./Shares.sol";

/// Stake pools by hotkey and subnet, and who holds shares of them. The sets are for those who look; no change of state reads through them.
abstract contract Pools is Ledger {
    using EnumerableSet for EnumerableSet.UintSet;
    using EnumerableSet for EnumerableSet.Bytes32Set;
    using Shares for Shares.Pool;

    event StakeAdded(uint16 indexed netuid, bytes32 indexed hotkey, bytes32 indexed coldkey, uint256 rao, uint256 shares);
    event StakeRemoved(uint16 indexed netuid, bytes32 indexed hotkey, bytes32 indexed coldkey, uint256 rao, uint256 shares);

    /// The amount buys no share, or is 0.
    error AmountTooLow();
    error NotEnoughStakeToWithdraw(uint256 staked);

    mapping(uint256 poolId => Shares.Pool) internal pools;
    mapping(uint256 poolId => mapping(bytes32 coldkey => uint256)) internal sharesOf;
    mapping(uint256 poolId => EnumerableSet.Bytes32Set) internal holders;
    mapping(bytes32 coldkey => EnumerableSet.UintSet) internal positions;

    function poolId(bytes32 hotkey, uint256 netuid) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(hotkey, netuid)));
    }

    /// Rao that a coldkey could withdraw.
    function positionOf(uint256 id, bytes32 coldkey) internal view returns (uint256) {
        return pools[id].worth(sharesOf[id][coldkey]);
    }

    /// Puts rao, which the caller has taken from elsewhere, into a pool. The subnet is settled.
    function deposit(bytes32 hotkey, uint16 netuid, bytes32 coldkey, uint256 rao) internal {
        uint256 id = poolId(hotkey, netuid);
        Shares.Pool storage pool = pools[id];
        uint256 shares = pool.bought(rao);
        if (shares == 0) revert AmountTooLow();
        if (pool.hotkey == 0) (pool.hotkey, pool.netuid) = (hotkey, netuid);
        pool.shares += uint128(shares);
        uint256 held = sharesOf[id][coldkey];
        sharesOf[id][coldkey] = held + shares;
        if (held == 0) list(id, coldkey);
        grow(pool, rao);
        emit StakeAdded(netuid, hotkey, coldkey, rao, shares);
    }

    /// Takes rao out of a pool, for the caller to put elsewhere. The subnet is settled.
    function withdraw(bytes32 hotkey, uint16 netuid, bytes32 coldkey, uint256 rao) internal {
        uint256 id = poolId(hotkey, netuid);
        uint256 position = positionOf(id, coldkey);
        if (rao == 0) revert AmountTooLow();
        if (position < rao) revert NotEnoughStakeToWithdraw(position);
        Shares.Pool storage pool = pools[id];
        uint256 held = sharesOf[id][coldkey];
        uint256 shares = pool.sold(held, rao);
        pool.shares -= uint128(shares);
        sharesOf[id][coldkey] = held - shares;
        if (held == shares) unlist(id, coldkey);
        shrink(pool, rao);
        if (pool.shares == 0) sweep(pool);
        emit StakeRemoved(netuid, hotkey, coldkey, rao, shares);
    }

    function grow(Shares.Pool storage pool, uint256 rao) internal {
        pool.assets += uint64(rao);
        accruals[pool.netuid].stake += uint64(rao);
        totals.stake += uint64(rao);
    }

    function shrink(Shares.Pool storage pool, uint256 rao) private {
        pool.assets -= uint64(rao);
        accruals[pool.netuid].stake -= uint64(rao);
        totals.stake -= uint64(rao);
    }

    /// An empty pool is exactly empty: what rounding left in it is shared out anew.
    function sweep(Shares.Pool storage pool) private {
        uint64 left = pool.assets;
        if (left == 0) return;
        shrink(pool, left);
        totals.undistributed += left;
        totals.dust += left;
    }

    function list(uint256 id, bytes32 coldkey) private {
        holders[id].add(coldkey);
        positions[coldkey].add(id);
    }

    function unlist(uint256 id, bytes32 coldkey) private {
        holders[id].remove(coldkey);
        positions[coldkey].remove(id);
    }
}
