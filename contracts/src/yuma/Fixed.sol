// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ONE} from "./Lanes.sol";

/// I32F32 numbers one at a time, as subtensor reckons them (epoch/math.rs over substrate-fixed): products floored, quotients truncated,
/// x / 0 = 0.
library Fixed {
    int256 private constant SIGNED_ONE = 1 << 32;
    int256 private constant EXP_MAX = 20 << 32;
    /// e, truncated.
    uint256 private constant E = 11_674_931_554;

    /// Bounds and slope of the weight of a new bond under liquid alpha.
    struct Curve {
        int256 low;
        int256 high;
        int256 slope;
        uint256 atZero;
    }

    /// n / 65535.
    function share(uint256 n) internal pure returns (uint256) {
        return (n << 32) / 65_535;
    }

    /// x · 65535, truncated; x is at most 1.
    function toU16(uint256 x) internal pure returns (uint256) {
        return (x * 65_535) >> 32;
    }

    /// a / b, 0 where b is 0.
    function div(uint256 a, uint256 b) internal pure returns (uint256) {
        return b == 0 ? 0 : (a << 32) / b;
    }

    function curve(uint16 low, uint16 high, int16 steepness) internal pure returns (Curve memory c) {
        c.low = int256(share(low));
        c.high = int256(share(high));
        c.slope = (int256(steepness) << 32) / -100;
        c.atZero = alpha(c, 0);
    }

    /// The weight of the new bond at `distance` between vote and consensus, or vote and old bond: a sigmoid between the bounds.
    function alpha(Curve memory c, uint256 distance) internal pure returns (uint256) {
        unchecked {
            int256 power = (c.slope * (int256(distance) - SIGNED_ONE / 2)) >> 32;
            int256 sigmoid = int256((ONE << 32) / (ONE + exp(power)));
            int256 a = c.low + ((sigmoid * (c.high - c.low)) >> 32);
            return uint256(a < c.low ? c.low : a > c.high ? c.high : a);
        }
    }

    /// e^x by the first 31 terms of its series, |x| held to 20; a negative power is the reciprocal of the positive one.
    function exp(int256 x) internal pure returns (uint256 result) {
        unchecked {
            x = x > EXP_MAX ? EXP_MAX : x < -EXP_MAX ? -EXP_MAX : x;
            if (x == SIGNED_ONE) return E;
            uint256 size = uint256(x < 0 ? -x : x);
            uint256 term = size;
            result = ONE + size;
            // Once a term is 0 all further ones are.
            for (uint256 i = 2; i < 32 && term != 0; ++i) {
                term = ((term * size) >> 32) / i;
                result += term;
            }
            if (x < 0) result = (ONE << 32) / result;
        }
    }
}
