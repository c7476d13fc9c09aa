// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEpochs} from "./interfaces/IEpochs.sol";
import {INeurons} from "./interfaces/INeurons.sol";
import {IStaking} from "./interfaces/IStaking.sol";
import {ISubnets} from "./interfaces/ISubnets.sol";
import {IEpochViews, ILedgerViews, IRegistryViews} from "./extras/IChainViews.sol";
import {Linked} from "./Linked.sol";
import {Neurons} from "./Neurons.sol";

/// What Bittensor's precompiles do not tell, in one call each: whole metagraphs, subnets with their clocks, weights, bonds, commits, and who is
/// pruned next. For readers off the chain; nothing here is bounded by a block's gas.
contract Extras is Linked {
    struct SubnetView {
        uint16 netuid;
        bytes32 owner;
        bytes32 ownerHotkey;
        uint64 burn; // rao that a registration burns in the next block
        uint16 neurons;
        uint64 stake; // rao on its hotkeys
        uint64 pending; // rao that wait for its next epoch
        uint64 epochIndex; // epochs finished
        uint64 lastBlock; // of the last epoch
        uint64 dueBlock; // of the next one
        bool open; // one is being computed
        ISubnets.Params params;
    }

    struct NeuronView {
        uint16 uid;
        bytes32 hotkey;
        bytes32 coldkey;
        address hotkeyAddress;
        uint64 registeredAt;
        uint64 lastUpdate;
        uint64 stake;
        bool permit;
        bool active;
        uint16 consensus;
        uint16 incentive;
        uint16 dividends;
        uint16 vtrust;
        uint16 stakeWeight;
        uint64 emission;
    }

    struct MetagraphView {
        uint64 blockNumber;
        SubnetView subnet;
        NeuronView[] neurons;
    }

    /// A row of a matrix; zeros are left out.
    struct Row {
        uint16 uid;
        uint16[] uids;
        uint16[] values;
    }

    struct CommitView {
        uint16 uid;
        bytes32 hotkey;
        bytes32 hash;
        uint64 blockNumber;
        uint64 epoch; // in which it was made
        uint64 revealEpoch; // the only one in which it can be revealed
    }

    uint256 private constant ROW_WORDS = 16;

    /// Once.
    function initialize(Addresses calldata peers) external {
        link(peers);
    }

    function getMetagraph(uint16 netuid) external view returns (MetagraphView memory view_) {
        Addresses memory peers = addresses();
        view_.blockNumber = uint64(block.number);
        view_.subnet = subnetView(peers, netuid);
        view_.neurons = neuronViews(peers, netuid);
    }

    function getSubnet(uint16 netuid) external view returns (SubnetView memory) {
        return subnetView(addresses(), netuid);
    }

    function getSubnets() external view returns (SubnetView[] memory all) {
        Addresses memory peers = addresses();
        all = new SubnetView[](IRegistryViews(peers.subnets).subnetCount());
        for (uint256 i = 0; i < all.length; ++i) all[i] = subnetView(peers, uint16(i + 1));
    }

    /// The votes that count in the next epoch, by uid: towards uids that were registered before the vote was made.
    function getWeights(uint16 netuid) external view returns (Row[] memory) {
        Neurons neurons = Neurons(addresses().neurons);
        INeurons.Slot[] memory slots = neurons.slots(netuid);
        uint16[] memory uids = allUids(slots.length);
        uint256[] memory words = neurons.rows(netuid, uids, 0, ROW_WORDS);
        for (uint256 i = 0; i < slots.length; ++i) {
            uint256 votedAt = slots[i].rowSum == 0 ? 0 : neurons.votesOf(netuid, uint16(i)).votedAt;
            for (uint256 j = 0; j < slots.length; ++j) {
                if (votedAt > slots[j].registeredAt) continue;
                words[i * ROW_WORDS + j / 16] &= ~(uint256(0xffff) << (16 * (j % 16)));
            }
        }
        return sparse(words, slots.length);
    }

    /// Bonds by validator's uid.
    function getBonds(uint16 netuid) external view returns (Row[] memory) {
        Addresses memory peers = addresses();
        uint256 count = INeurons(peers.neurons).count(netuid);
        return sparse(IEpochViews(peers.epochs).bonds(netuid, allUids(count)), count);
    }

    /// All commits that can still be revealed, by uid, oldest first.
    function getPendingCommits(uint16 netuid) external view returns (CommitView[] memory commits) {
        Addresses memory peers = addresses();
        Neurons neurons = Neurons(peers.neurons);
        uint64 interval = ISubnets(peers.subnets).params(netuid).revealInterval;
        uint64 epoch = IEpochs(peers.epochs).epochIndex(netuid);
        uint256 found = 0;
        for (uint256 pass = 0; pass < 2; ++pass) {
            if (pass == 1) commits = new CommitView[](found);
            found = 0;
            for (uint256 uid = 0; uid < neurons.count(netuid); ++uid) {
                Neurons.PendingCommit[] memory pending = neurons.votesOf(netuid, uint16(uid)).pending;
                for (uint256 i = 0; i < pending.length; ++i) {
                    uint64 opens = pending[i].epoch + interval;
                    if (opens < epoch) continue;
                    if (pass == 1) {
                        bytes32 hotkey = neurons.hotkeyOf(netuid, uint16(uid));
                        commits[found] =
                            CommitView(uint16(uid), hotkey, pending[i].hash, pending[i].blockNumber, pending[i].epoch, opens);
                    }
                    ++found;
                }
            }
        }
    }

    /// Who would be pruned, first to last, if one newcomer after the other registered in this block (and only they came). Without the owner.
    function getPruneOrder(uint16 netuid) external view returns (uint16[] memory order) {
        Addresses memory peers = addresses();
        ISubnets.Params memory p = ISubnets(peers.subnets).params(netuid);
        (uint256[] memory open, uint256[] memory immune) = candidates(peers, netuid, p.immunityPeriod);
        uint256 free = open.length > p.minNonImmuneUids ? open.length - p.minNonImmuneUids : 0;
        order = new uint16[](open.length + immune.length);
        for (uint256 i = 0; i < order.length; ++i) {
            bool spared = i >= free && i < free + immune.length;
            order[i] = uint16(spared ? immune[i - free] : i < free ? open[i] : open[i - immune.length]);
        }
    }

    /// Sort keys (emission, block, uid) of everybody but the owner, out of and within their immunity, least first.
    function candidates(Addresses memory peers, uint16 netuid, uint256 immunity)
        private
        view
        returns (uint256[] memory open, uint256[] memory immune)
    {
        INeurons.Slot[] memory slots = INeurons(peers.neurons).slots(netuid);
        IEpochs.Outcome[] memory outcomes = IEpochs(peers.epochs).outcomes(netuid);
        (, bytes32 ownerHotkey) = ISubnets(peers.subnets).ownerOf(netuid);
        (open, immune) = (new uint256[](slots.length), new uint256[](slots.length));
        (uint256 opens, uint256 immunes) = (0, 0);
        for (uint256 uid = 0; uid < slots.length; ++uid) {
            if (slots[uid].hotkey == ownerHotkey) continue;
            uint256 emission = uid < outcomes.length ? outcomes[uid].emission : 0;
            uint256 key = (emission << 64) | (uint256(slots[uid].registeredAt) << 16) | uid;
            if (block.number - slots[uid].registeredAt < immunity) insert(immune, immunes++, key);
            else insert(open, opens++, key);
        }
        assembly ("memory-safe") {
            mstore(open, opens)
            mstore(immune, immunes)
        }
    }

    /// Puts `key` in its place among the first `length` of a sorted list.
    function insert(uint256[] memory list, uint256 length, uint256 key) private pure {
        uint256 place = length;
        for (; place > 0 && list[place - 1] > key; --place) list[place] = list[place - 1];
        list[place] = key;
    }

    function subnetView(Addresses memory peers, uint16 netuid) private view returns (SubnetView memory s) {
        s.netuid = netuid;
        s.params = ISubnets(peers.subnets).params(netuid);
        (s.owner, s.ownerHotkey) = ISubnets(peers.subnets).ownerOf(netuid);
        s.burn = Neurons(peers.neurons).nextBurn(netuid);
        s.neurons = INeurons(peers.neurons).count(netuid);
        ILedgerViews.Accrual memory accrual = ILedgerViews(peers.staking).accrualOf(netuid);
        (s.stake, s.pending) = (accrual.stake, accrual.pending);
        s.epochIndex = IEpochs(peers.epochs).epochIndex(netuid);
        s.lastBlock = IEpochs(peers.epochs).lastEpochBlock(netuid);
        s.dueBlock = s.lastBlock + s.params.tempo;
        (uint8 stage,,,) = IEpochViews(peers.epochs).progress(netuid);
        s.open = stage != 0;
    }

    function neuronViews(Addresses memory peers, uint16 netuid) private view returns (NeuronView[] memory all) {
        Neurons neurons = Neurons(peers.neurons);
        INeurons.Slot[] memory slots = neurons.slots(netuid);
        IEpochs.Outcome[] memory outcomes = IEpochs(peers.epochs).outcomes(netuid);
        bytes32[] memory hotkeys = new bytes32[](slots.length);
        for (uint256 uid = 0; uid < slots.length; ++uid) hotkeys[uid] = slots[uid].hotkey;
        uint256[] memory stakes = IStaking(peers.staking).stakeOf(netuid, hotkeys);
        all = new NeuronView[](slots.length);
        for (uint256 uid = 0; uid < slots.length; ++uid) {
            NeuronView memory n = all[uid];
            n.uid = uint16(uid);
            n.hotkey = hotkeys[uid];
            n.coldkey = neurons.ownerOf(hotkeys[uid]);
            n.hotkeyAddress = neurons.hotkeyAddressOf(hotkeys[uid]);
            n.registeredAt = slots[uid].registeredAt;
            n.lastUpdate = slots[uid].lastUpdate;
            n.stake = uint64(stakes[uid]);
            if (uid < outcomes.length) copyOutcome(n, outcomes[uid]);
        }
    }

    function copyOutcome(NeuronView memory n, IEpochs.Outcome memory o) private pure {
        (n.permit, n.active) = (o.permit, o.active);
        (n.consensus, n.incentive, n.dividends, n.vtrust) = (o.consensus, o.incentive, o.dividends, o.vtrust);
        (n.stakeWeight, n.emission) = (o.stakeWeight, o.emission);
    }

    function allUids(uint256 count) private pure returns (uint16[] memory uids) {
        uids = new uint16[](count);
        for (uint256 uid = 0; uid < count; ++uid) uids[uid] = uint16(uid);
    }

    /// Rows of sixteen packed words each to uids and values; rows without any are left out.
    function sparse(uint256[] memory words, uint256 count) private pure returns (Row[] memory rows) {
        uint256 used = 0;
        rows = new Row[](count);
        for (uint256 uid = 0; uid < count; ++uid) {
            uint256 found = 0;
            uint16[] memory uids = new uint16[](count);
            uint16[] memory values = new uint16[](count);
            for (uint256 j = 0; j < count; ++j) {
                uint16 value = uint16(words[uid * ROW_WORDS + j / 16] >> (16 * (j % 16)));
                if (value == 0) continue;
                (uids[found], values[found]) = (uint16(j), value);
                ++found;
            }
            if (found == 0) continue;
            assembly ("memory-safe") {
                mstore(uids, found)
                mstore(values, found)
            }
            rows[used++] = Row(uint16(uid), uids, values);
        }
        assembly ("memory-safe") {
            mstore(rows, used)
        }
    }
}
