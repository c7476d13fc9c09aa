// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Identity} from "./libraries/Identity.sol";
import {Linked} from "./Linked.sol";
import {Neurons} from "./Neurons.sol";

/// From an EVM address to uids, with the function of Bittensor's uid-lookup precompile (0x806).
///
/// Departure: there, hotkeys are linked to addresses on request; here a hotkey is the account of its address, so there is one uid at most.
contract UidLookup is Linked {
    struct LookupItem {
        uint16 uid;
        uint64 block_associated;
    }

    /// Once.
    function initialize(Addresses calldata peers) external {
        link(peers);
    }

    /// At most `limit` uids of an address.
    function uidLookup(uint16 netuid, address evmAddress, uint16 limit) external view returns (LookupItem[] memory items) {
        Neurons neurons = Neurons(addresses().neurons);
        bytes32 hotkey = Identity.accountOf(evmAddress);
        bool found = limit > 0 && neurons.isRegistered(netuid, hotkey);
        items = new LookupItem[](found ? 1 : 0);
        if (!found) return items;
        uint16 uid = neurons.uidOf(netuid, hotkey);
        items[0] = LookupItem(uid, neurons.registeredAt(netuid, uid));
    }
}
