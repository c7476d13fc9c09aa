// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Shares of a stake pool. Its assets grow by dividends; a delegator's part is the same number of shares all along, so no change of state
/// ever loops over delegators.
///
/// A million virtual shares and one virtual rao stand beside the real ones: whoever wants to make the next delegator lose r rao by
/// rounding (after a tiny first deposit and a large dividend) gives up a million times r himself. Every division rounds in the pool's
/// favour, so what all shares are worth together never exceeds the assets.
library Shares {
    struct Pool {
        bytes32 hotkey;
        uint64 assets; // rao
        uint128 shares;
        uint16 netuid;
    }

    uint256 internal constant VIRTUAL = 1_000_000;

    /// Shares that a deposit buys.
    function bought(Pool storage pool, uint256 rao) internal view returns (uint256) {
        return (rao * (pool.shares + VIRTUAL)) / (uint256(pool.assets) + 1);
    }

    /// Rao that shares are worth.
    function worth(Pool storage pool, uint256 shares) internal view returns (uint256) {
        return (shares * (uint256(pool.assets) + 1)) / (pool.shares + VIRTUAL);
    }

    /// Shares of `held` that a withdrawal costs: all of them where it takes all that they are worth. `rao` is at most that.
    function sold(Pool storage pool, uint256 held, uint256 rao) internal view returns (uint256) {
        if (rao == worth(pool, held)) return held;
        uint256 assets = uint256(pool.assets) + 1;
        return (rao * (pool.shares + VIRTUAL) + assets - 1) / assets;
    }
}
