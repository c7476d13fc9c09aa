// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// What the round book asks of a metagraph: functions of Bittensor's precompile at 0x802.
interface IMetagraph {
    function getUidCount(uint16 netuid) external view returns (uint16);

    /// Rao.
    function getStake(uint16 netuid, uint16 uid) external view returns (uint64);

    function getValidatorStatus(uint16 netuid, uint16 uid) external view returns (bool);

    function getHotkey(uint16 netuid, uint16 uid) external view returns (bytes32);

    /// 65535ths, of the last epoch.
    function getIncentive(uint16 netuid, uint16 uid) external view returns (uint16);
}
