// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What the other contracts of the chain ask of the ledger. Only they may call what changes state.
interface IStaking {
    /// Takes `rao` from the balance of `account` out of the issuance. Reverts with NotEnoughBalance.
    function burn(bytes32 account, uint256 rao) external;

    /// Assets of the stake pools of `hotkeys` on `netuid`, in rao.
    function stakeOf(uint16 netuid, bytes32[] calldata hotkeys) external view returns (uint256[] memory rao);

    /// Says which coldkey owns a hotkey, at its registration; the take of its pools goes there.
    function setOwner(bytes32 hotkey, bytes32 coldkey) external;

    /// Settles emission up to this block; returns what waits for `netuid`'s epoch, in rao.
    function settle(uint16 netuid) external returns (uint256 pending);

    /// Pays an epoch out of what is pending: `ownerRao` to the earned rao of `owner`; incentive to the earned rao of each
    /// account; dividends to the pool of each hotkey, less the take, which its coldkey earns; `burnRao` leaves the issuance.
    /// The sum must not pass what is pending; the rest stays pending.
    function payEpoch(uint16 netuid, Payments calldata payments) external;

    struct Payments {
        bytes32 owner;
        uint256 ownerRao;
        uint256 burnRao;
        bytes32[] earners;
        uint256[] earnedRao;
        bytes32[] hotkeys;
        uint256[] dividendRao;
    }
}
