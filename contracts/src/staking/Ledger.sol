// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Issuance} from "../libraries/Issuance.sol";

/// The ledger's rao: balances, what was earned, and what each block mints until a subnet's epoch pays it.
///
/// Emission goes to subnets by their stake (subtensor: by the price of their own tokens, which our chain does not have), through an index of
/// rao per staked rao in 64 fractional bits. Settlement is lazy and exact: what a division leaves is carried on in units of 2^-64 rao, the
/// index's `rest` and each subnet's `fraction`. Nothing is minted while nothing is staked.
///
/// Always, to the unit:
///   issuance == Σ balances + Σ pool assets + Σ earned + Σ pending + undistributed
///   undistributed·2^64 == dust·2^64 + rest + Σ over subnets of (fraction + stake·(index − its index))
abstract contract Ledger {
    struct Totals {
        uint64 issuance;
        uint64 undistributed; // minted, and not yet pending for any subnet
        uint64 stake; // of all subnets
        uint64 settledBlock;
        uint128 index; // 2^-64 rao per staked rao
        uint64 rest; // 2^-64 rao that the index's last division left
        uint64 dust; // rao that empty pools left: part of `undistributed`, shared out with the next settlement
    }

    struct Accrual {
        uint64 stake;
        uint64 pending; // rao that wait for the next epoch
        uint64 fraction; // 2^-64 rao
        uint128 index; // the totals' when it was settled
    }

    event Transfer(bytes32 indexed from, bytes32 indexed to, uint256 rao);
    event Burned(bytes32 indexed account, uint256 rao);
    event Claimed(bytes32 indexed account, uint256 rao);
    event Minted(uint256 rao, uint256 issuance);

    error NotEnoughBalanceToStake(uint256 balance, uint256 needed);

    Totals internal totals;
    mapping(uint256 netuid => Accrual) internal accruals;
    mapping(bytes32 account => uint256) internal balances;
    mapping(bytes32 account => uint256) internal earnings;

    /// The totals as they are once all blocks up to this one are minted.
    function accrued() internal view returns (Totals memory now_, uint256 minted) {
        now_ = totals;
        uint256 stake = now_.stake;
        if (stake > 0) {
            minted = Issuance.over(now_.issuance, block.number - now_.settledBlock);
            uint256 share = ((minted + now_.dust) << 64) + now_.rest;
            now_.issuance += uint64(minted);
            now_.undistributed += uint64(minted);
            now_.index += uint128(share / stake);
            now_.rest = uint64(share % stake);
            now_.dust = 0;
        }
        now_.settledBlock = uint64(block.number);
    }

    /// A subnet's accrual under those totals, and the rao that become pending by it.
    function accruedOf(uint256 netuid, uint128 index) internal view returns (Accrual memory now_, uint64 credit) {
        now_ = accruals[netuid];
        uint256 share = uint256(now_.stake) * (index - now_.index) + now_.fraction;
        credit = uint64(share >> 64);
        now_.pending += credit;
        now_.fraction = uint64(share);
        now_.index = index;
    }

    /// Mints up to this block.
    function mint() internal {
        (Totals memory now_, uint256 minted) = accrued();
        totals = now_;
        if (minted > 0) emit Minted(minted, now_.issuance);
    }

    /// Mints up to this block and gives a subnet its part.
    function settleSubnet(uint256 netuid) internal {
        (Totals memory now_, uint256 minted) = accrued();
        (Accrual memory accrual, uint64 credit) = accruedOf(netuid, now_.index);
        now_.undistributed -= credit;
        totals = now_;
        accruals[netuid] = accrual;
        if (minted > 0) emit Minted(minted, now_.issuance);
    }

    function debit(bytes32 account, uint256 rao) internal {
        uint256 balance = balances[account];
        if (balance < rao) revert NotEnoughBalanceToStake(balance, rao);
        balances[account] = balance - rao;
    }

    function earn(bytes32 account, uint256 rao) internal {
        if (rao > 0) earnings[account] += rao;
    }

    function claimOf(bytes32 account) internal returns (uint256 rao) {
        rao = earnings[account];
        if (rao == 0) return 0;
        earnings[account] = 0;
        balances[account] += rao;
        emit Claimed(account, rao);
    }
}
