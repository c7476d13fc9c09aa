// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Staking} from "../src/Staking.sol";
import {Ledger} from "../src/staking/Ledger.sol";

/// Counts all the money of a ledger, for tests that know everybody: `accounts` must hold every account that has or had something.
contract Auditor {
    error Broken(string rule, uint256 left, uint256 right);

    struct Sums {
        uint256 issuance;
        uint256 balances;
        uint256 earned;
        uint256 staked;
        uint256 pending;
        uint256 undistributed; // what the rest leaves of the issuance
    }

    /// Reverts with the rule that is broken.
    function audit(Staking staking, bytes32[] calldata accounts, bytes32[] calldata hotkeys, uint16 subnets)
        external
        view
        returns (Sums memory sums)
    {
        Ledger.Totals memory totals = staking.ledger();
        sums.issuance = totals.issuance;
        for (uint256 i = 0; i < accounts.length; i++) {
            sums.balances += staking.balanceOf(accounts[i]);
            sums.earned += staking.earnedOf(accounts[i]);
        }
        uint256 fractions = (uint256(totals.dust) << 64) + totals.rest;
        for (uint16 netuid = 1; netuid <= subnets; netuid++) {
            Ledger.Accrual memory accrual = staking.accrualOf(netuid);
            equal("stake of a subnet", accrual.stake, checkPools(staking, hotkeys, netuid));
            sums.staked += accrual.stake;
            sums.pending += accrual.pending;
            fractions += accrual.fraction;
        }
        equal("stake of all subnets", totals.stake, sums.staked);
        sums.undistributed = sums.issuance - sums.balances - sums.earned - sums.staked - sums.pending;
        equal("conservation, to 2^-64 rao", sums.undistributed << 64, fractions);
        if (totals.undistributed < sums.undistributed) revert Broken("undistributed", totals.undistributed, sums.undistributed);
        if (sums.issuance > 21_000_000_000_000_000) revert Broken("supply", sums.issuance, 21_000_000_000_000_000);
    }

    /// The listed holders have all shares, so nobody is missing from the list; together they are worth no more than the pool has.
    function checkPools(Staking staking, bytes32[] calldata hotkeys, uint16 netuid) private view returns (uint256 staked) {
        for (uint256 h = 0; h < hotkeys.length; h++) {
            (uint256 assets, uint256 shares,) = staking.poolOf(hotkeys[h], netuid, 0);
            bytes32[] memory holders = staking.getAlphaStakedValidators(hotkeys[h], netuid);
            uint256 held = 0;
            uint256 worth = 0;
            for (uint256 i = 0; i < holders.length; i++) {
                (,, uint256 part) = staking.poolOf(hotkeys[h], netuid, holders[i]);
                if (part == 0) revert Broken("a holder without shares", netuid, h);
                held += part;
                worth += staking.getStake(hotkeys[h], holders[i], netuid);
            }
            equal("shares of a pool", shares, held);
            if (worth > assets) revert Broken("solvency", worth, assets);
            if (shares == 0) equal("an empty pool", assets, 0);
            staked += assets;
        }
    }

    function equal(string memory rule, uint256 left, uint256 right) private pure {
        if (left != right) revert Broken(rule, left, right);
    }
}
