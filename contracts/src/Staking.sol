// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Linked} from "./Linked.sol";
import {ISubnets} from "./interfaces/ISubnets.sol";
import {Issuance} from "./libraries/Issuance.sol";
import {Shares} from "./staking/Shares.sol";
import {StakeViews} from "./staking/StakeViews.sol";

interface ISubnetCount {
    function subnetCount() external view returns (uint16);
}

/// Money, at the address and with the ABI of the StakingV2 precompile (0x805): a ledger of rao by account, stake, and what is earned.
///
/// Departures from subtensor: one currency, so stake is rao and its price is 1 everywhere (a limit price is compared with 1e9); no root
/// subnet, no child keys, no proxies, no allowances. Dividends go to the hotkey's pool, less the take; everything else is credited and
/// then claimed (pull payments). No foreign code is ever called, so there is nothing to re-enter.
contract Staking is Linked, StakeViews {
    using Shares for Shares.Pool;

    event TakeSet(bytes32 indexed hotkey, uint16 take);
    event OwnerSet(bytes32 indexed hotkey, bytes32 indexed coldkey);
    event EpochPaid(uint16 indexed netuid, uint256 rao, uint256 burned);

    error SubnetNotExists(uint256 netuid);
    error HotKeyAccountNotExists();
    error NonAssociatedColdKey();
    error DelegateTakeTooHigh(uint16 most);
    error SlippageTooHigh();
    error SameStake();
    error SupplyTooLarge(uint256 most);
    error PaymentExceedsPending(uint256 pending);
    error UnequalLengths();

    /// Largest and usual take, in 65535ths: 18%.
    uint16 public constant TAKE_MAX = 11_796;
    /// Rao per staked rao, with 9 decimals.
    uint256 private constant PRICE = 1_000_000_000;

    struct Take {
        bool set;
        uint16 value;
    }

    mapping(bytes32 hotkey => bytes32) private owners;
    mapping(bytes32 hotkey => Take) private takes;

    /// The genesis supply goes to the given accounts.
    function initialize(Addresses calldata peers, bytes32[] calldata accounts, uint256[] calldata rao) external {
        link(peers);
        if (accounts.length != rao.length) revert UnequalLengths();
        uint256 supply = 0;
        for (uint256 i = 0; i < accounts.length; i++) {
            supply += rao[i];
            if (supply > Issuance.SUPPLY_MAX) revert SupplyTooLarge(Issuance.SUPPLY_MAX);
            balances[accounts[i]] += rao[i];
            emit Transfer(0, accounts[i], rao[i]);
        }
        totals.issuance = uint64(supply);
        totals.settledBlock = uint64(block.number);
    }

    // Balances

    function transfer(bytes32 to, uint256 rao) external {
        bytes32 from = sender();
        debit(from, rao);
        balances[to] += rao;
        emit Transfer(from, to, rao);
    }

    /// Moves what the caller has earned to its balance.
    function claim() external returns (uint256) {
        return claimOf(sender());
    }

    /// The same for anybody, by anybody.
    function claimFor(bytes32 account) external returns (uint256) {
        return claimOf(account);
    }

    // Stake

    function addStake(bytes32 hotkey, uint256 rao, uint256 netuid) external payable noValue {
        add(hotkey, rao, netuid);
    }

    /// The price is 1e9 always, so either all is staked or nothing.
    function addStakeLimit(bytes32 hotkey, uint256 rao, uint256 limitPrice, bool, uint256 netuid) external payable noValue {
        if (limitPrice < PRICE) revert SlippageTooHigh();
        add(hotkey, rao, netuid);
    }

    function removeStake(bytes32 hotkey, uint256 rao, uint256 netuid) external payable noValue {
        remove(hotkey, rao, netuid);
    }

    function removeStakeLimit(bytes32 hotkey, uint256 rao, uint256 limitPrice, bool, uint256 netuid)
        external
        payable
        noValue
    {
        if (limitPrice > PRICE) revert SlippageTooHigh();
        remove(hotkey, rao, netuid);
    }

    function removeStakeFull(bytes32 hotkey, uint256 netuid) external payable noValue {
        remove(hotkey, positionOf(poolId(hotkey, netuid), sender()), netuid);
    }

    function removeStakeFullLimit(bytes32 hotkey, uint256 netuid, uint256 limitPrice) external payable noValue {
        if (limitPrice > PRICE) revert SlippageTooHigh();
        remove(hotkey, positionOf(poolId(hotkey, netuid), sender()), netuid);
    }

    /// Moves the caller's stake to another hotkey, subnet or both.
    function moveStake(bytes32 fromHotkey, bytes32 toHotkey, uint256 fromNetuid, uint256 toNetuid, uint256 rao)
        external
        payable
        noValue
    {
        bytes32 coldkey = sender();
        move(Place(fromHotkey, fromNetuid, coldkey), Place(toHotkey, toNetuid, coldkey), rao);
    }

    /// Gives the caller's stake on a hotkey to another coldkey, in the same subnet or another.
    function transferStake(bytes32 coldkey, bytes32 hotkey, uint256 fromNetuid, uint256 toNetuid, uint256 rao)
        external
        payable
        noValue
    {
        move(Place(hotkey, fromNetuid, sender()), Place(hotkey, toNetuid, coldkey), rao);
    }

    // Takes

    function setTake(bytes32 hotkey, uint16 take) external {
        if (owners[hotkey] != sender()) revert NonAssociatedColdKey();
        if (take > TAKE_MAX) revert DelegateTakeTooHigh(TAKE_MAX);
        takes[hotkey] = Take(true, take);
        emit TakeSet(hotkey, take);
    }

    function takeOf(bytes32 hotkey) public view returns (uint16) {
        Take memory take = takes[hotkey];
        return take.set ? take.value : TAKE_MAX;
    }

    /// The coldkey of a hotkey that was ever registered; 0 otherwise.
    function ownerOf(bytes32 hotkey) external view returns (bytes32) {
        return owners[hotkey];
    }

    // Views that need the registry

    /// Rao in a hotkey's pools on all subnets. For those who look: its cost grows with the number of subnets.
    function getTotalHotkeyStake(bytes32 hotkey) external view returns (uint256 rao) {
        uint256 count = ISubnetCount(addresses().subnets).subnetCount();
        for (uint256 netuid = 1; netuid <= count; netuid++) {
            rao += pools[poolId(hotkey, netuid)].assets;
        }
    }

    // For the other contracts

    function burn(bytes32 account, uint256 rao) external {
        Addresses memory peers = addresses();
        if (msg.sender != peers.subnets && msg.sender != peers.neurons) revert NotAllowed();
        mint();
        debit(account, rao);
        totals.issuance -= uint64(rao);
        emit Burned(account, rao);
    }

    function setOwner(bytes32 hotkey, bytes32 coldkey) external onlyFrom(addresses().neurons) {
        bytes32 owner = owners[hotkey];
        if (owner == coldkey) return;
        if (owner != 0) revert NonAssociatedColdKey();
        owners[hotkey] = coldkey;
        emit OwnerSet(hotkey, coldkey);
    }

    function settle(uint16 netuid) external onlyFrom(addresses().epochs) returns (uint256) {
        settleSubnet(netuid);
        return accruals[netuid].pending;
    }

    function payEpoch(uint16 netuid, Payments calldata payments) external onlyFrom(addresses().epochs) {
        settleSubnet(netuid);
        uint256 paid = payments.ownerRao + payments.burnRao;
        earn(payments.owner, payments.ownerRao);
        paid += payEarners(payments.earners, payments.earnedRao);
        paid += payDividends(netuid, payments.hotkeys, payments.dividendRao);
        uint256 pending = accruals[netuid].pending;
        if (paid > pending) revert PaymentExceedsPending(pending);
        accruals[netuid].pending = uint64(pending - paid);
        totals.issuance -= uint64(payments.burnRao);
        emit EpochPaid(netuid, paid - payments.burnRao, payments.burnRao);
    }

    function payEarners(bytes32[] calldata accounts, uint256[] calldata rao) private returns (uint256 paid) {
        if (accounts.length != rao.length) revert UnequalLengths();
        for (uint256 i = 0; i < accounts.length; i++) {
            earn(accounts[i], rao[i]);
            paid += rao[i];
        }
    }

    function payDividends(uint16 netuid, bytes32[] calldata hotkeys, uint256[] calldata rao) private returns (uint256 paid) {
        if (hotkeys.length != rao.length) revert UnequalLengths();
        for (uint256 i = 0; i < hotkeys.length; i++) {
            payDividend(netuid, hotkeys[i], rao[i]);
            paid += rao[i];
        }
    }

    /// The take goes to the hotkey's coldkey, the rest to the pool; where nobody holds shares, all of it to the coldkey.
    function payDividend(uint16 netuid, bytes32 hotkey, uint256 rao) private {
        Shares.Pool storage pool = pools[poolId(hotkey, netuid)];
        bytes32 coldkey = owners[hotkey];
        uint256 shared = pool.shares == 0 ? 0 : rao - (rao * takeOf(hotkey)) / 65_535;
        earn(coldkey == 0 ? hotkey : coldkey, rao - shared);
        if (shared > 0) grow(pool, shared);
    }

    // Stake, checked

    struct Place {
        bytes32 hotkey;
        uint256 netuid;
        bytes32 coldkey;
    }

    function add(bytes32 hotkey, uint256 rao, uint256 netuid) private {
        uint16 subnet = checked(hotkey, netuid);
        if (rao == 0) revert AmountTooLow();
        bytes32 coldkey = sender();
        debit(coldkey, rao);
        settleSubnet(subnet);
        deposit(hotkey, subnet, coldkey, rao);
    }

    function remove(bytes32 hotkey, uint256 rao, uint256 netuid) private {
        uint16 subnet = checked(hotkey, netuid);
        bytes32 coldkey = sender();
        settleSubnet(subnet);
        withdraw(hotkey, subnet, coldkey, rao);
        balances[coldkey] += rao;
    }

    function move(Place memory from, Place memory to, uint256 rao) private {
        uint16 fromSubnet = checked(from.hotkey, from.netuid);
        uint16 toSubnet = checked(to.hotkey, to.netuid);
        if (from.hotkey == to.hotkey && fromSubnet == toSubnet && from.coldkey == to.coldkey) revert SameStake();
        settleSubnet(fromSubnet);
        if (toSubnet != fromSubnet) settleSubnet(toSubnet);
        withdraw(from.hotkey, fromSubnet, from.coldkey, rao);
        deposit(to.hotkey, toSubnet, to.coldkey, rao);
    }

    function checked(bytes32 hotkey, uint256 netuid) private view returns (uint16) {
        if (netuid > type(uint16).max || !ISubnets(addresses().subnets).exists(uint16(netuid))) revert SubnetNotExists(netuid);
        if (owners[hotkey] == 0) revert HotKeyAccountNotExists();
        return uint16(netuid);
    }
}
