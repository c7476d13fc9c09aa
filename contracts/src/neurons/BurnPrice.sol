// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ISubnets} from "../interfaces/ISubnets.sol";

/// The price of a uid, in rao: multiplied at each registration, halving every `burnHalfLife` blocks.
///
/// Source: subtensor's registration price (continuous decay by a Q32 factor f with f^halfLife = 1/2, found by bisection; a bump at each
/// registration; both kept within the subnet's bounds). Departure: subtensor multiplies once a block; here the fall over d blocks is one
/// product with f^d, the power taken by squaring with a floor at each product. src/chain/burn.ts has the same steps.
library BurnPrice {
    uint256 internal constant ONE = 1 << 32;
    uint256 internal constant HALF = 1 << 31;
    /// Rao of a new subnet's first price, before its bounds.
    uint256 internal constant INITIAL = 1e9;
    /// Half-lives after which nothing is left of any price.
    uint256 private constant HALF_LIVES_MAX = 64;

    /// base^exponent of Q32 numbers of at most 1: by squaring, lowest bit first, each product floored.
    function pow(uint256 base, uint256 exponent) internal pure returns (uint256 result) {
        unchecked {
            result = ONE;
            for (; exponent > 0; exponent >>= 1) {
                if (exponent & 1 == 1) result = (result * base) >> 32;
                base = (base * base) >> 32;
            }
        }
    }

    /// The largest Q32 number below 1 whose power `halfLife` is at most 1/2. Of halfLife > 0.
    function decayFactor(uint256 halfLife) internal pure returns (uint256 low) {
        unchecked {
            for (uint256 bit = HALF; bit > 0; bit >>= 1) {
                if (pow(low + bit, halfLife) <= HALF) low += bit;
            }
        }
    }

    /// The price `blocks` blocks after it was `burn`; `factor` is the half-life's.
    function afterBlocks(uint256 burn, uint256 blocks, uint256 factor, ISubnets.Params memory p) internal pure returns (uint256) {
        uint256 halfLife = p.burnHalfLife;
        unchecked {
            if (halfLife > 0) burn = blocks >= halfLife * HALF_LIVES_MAX ? 0 : (burn * pow(factor, blocks)) >> 32;
        }
        return within(burn, p);
    }

    /// The price right after a registration that burned `burn`.
    function bumped(uint256 burn, ISubnets.Params memory p) internal pure returns (uint256) {
        return within((burn * p.burnIncreaseMult) / 1e6, p);
    }

    /// Keeps a price within the subnet's bounds.
    function within(uint256 burn, ISubnets.Params memory p) internal pure returns (uint256) {
        if (burn > p.maxBurn) return p.maxBurn;
        return burn < p.minBurn ? p.minBurn : burn;
    }
}
