// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Epochs} from "../src/Epochs.sol";
import {Linked} from "../src/Linked.sol";
import {Neurons} from "../src/Neurons.sol";
import {Staking} from "../src/Staking.sol";
import {Subnets} from "../src/Subnets.sol";
import {IStaking} from "../src/interfaces/IStaking.sol";
import {ISubnets} from "../src/interfaces/ISubnets.sol";
import {Identity} from "../src/libraries/Identity.sol";

/// An account that does what its stage says.
contract Puppet {
    address private immutable stage = msg.sender;

    function run(address target, bytes calldata data) external returns (bool ok) {
        require(msg.sender == stage);
        (ok,) = target.call(data);
    }
}

/// Random operations on the real contracts by many accounts, many a transaction, each checked for what it must never do. What an operation
/// does follows from one word: kind (8 bits), who, other (8 each), netuid (16), seed (64). Refusals are a normal outcome; what counts is
/// that nothing forbidden is ever accepted (`Broken`), and that the books are right afterwards (Auditor.sol, `check`).
contract Stage {
    error Broken(string rule, uint256 kind, uint256 detail);

    struct Op {
        uint256 kind;
        uint256 who;
        uint256 other;
        uint16 netuid;
        uint256 seed;
    }

    struct Secret {
        uint256 who;
        uint16 netuid;
        uint256 seed;
        uint256 neurons;
        uint256 epoch;
        bool revealed;
    }

    uint256 public constant KINDS = 18;
    uint256 private constant SUBNETS_MAX = 5;

    Staking private staking;
    Subnets private subnets;
    Neurons private neurons;
    Epochs private epochs;
    Puppet[] private puppets;
    bytes32[] private accounts;
    Secret[] private secrets;
    mapping(uint16 netuid => uint256) private ownerOf;
    mapping(uint256 kind => uint256) private tried;
    mapping(uint256 kind => uint256) private accepted;

    function setUp(Linked.Addresses calldata peers, uint256 count) external {
        staking = Staking(peers.staking);
        subnets = Subnets(peers.subnets);
        neurons = Neurons(peers.neurons);
        epochs = Epochs(peers.epochs);
        for (uint256 i = 0; i < count; i++) {
            puppets.push(new Puppet());
            accounts.push(Identity.accountOf(address(puppets[i])));
        }
    }

    function everybody() external view returns (bytes32[] memory) {
        return accounts;
    }

    /// Operations of each kind, and how many were accepted.
    function tally() external view returns (uint256[] memory all, uint256[] memory good) {
        (all, good) = (new uint256[](KINDS), new uint256[](KINDS));
        for (uint256 i = 0; i < KINDS; i++) {
            (all[i], good[i]) = (tried[i], accepted[i]);
        }
    }

    function act(uint256[] calldata words) external {
        for (uint256 i = 0; i < words.length; i++) {
            uint256 w = words[i];
            Op memory op = Op(
                uint8(w) % KINDS,
                uint8(w >> 8) % accounts.length,
                uint8(w >> 16) % accounts.length,
                uint16(w >> 24) % uint16(SUBNETS_MAX + 2),
                uint64(w >> 40)
            );
            if (op.seed % 4 != 3) thaw(op);
            tried[op.kind]++;
            if (perform(op)) accepted[op.kind]++;
        }
    }

    function perform(Op memory op) private returns (bool) {
        if (op.kind == 0) return moveMoney(op);
        if (op.kind == 1) return addStake(op);
        if (op.kind == 2) return removeStake(op);
        if (op.kind == 3) return moveStake(op);
        if (op.kind == 4) return claim(op);
        if (op.kind == 5) return by(op.who, address(staking), abi.encodeCall(Staking.setTake, (accounts[op.other], uint16(op.seed % 13_000))));
        if (op.kind == 6 || op.kind == 7) return register(op);
        if (op.kind == 8) return createSubnet(op);
        if (op.kind == 9) return setWeights(op);
        if (op.kind == 10) return commit(op);
        if (op.kind == 11 || op.kind == 12) return reveal(op);
        if (op.kind == 13 || op.kind == 14) return step(op);
        if (op.kind == 15) return setParams(op);
        if (op.kind == 16) return transferStake(op);
        return trespass(op);
    }

    function by(uint256 who, address target, bytes memory data) private returns (bool) {
        return puppets[who].run(target, data);
    }

    /// Pushes an epoch that is due to its end, or nearly, so that others get their turn.
    function thaw(Op memory op) private {
        if (op.kind == 13 || op.kind == 14) return;
        for (uint256 i = 0; i < 8 && frozenNow(op.netuid); i++) {
            step(Op(13, op.who, op.other, op.netuid, op.seed + i));
        }
    }

    function frozenNow(uint16 netuid) private view returns (bool) {
        return subnets.exists(netuid) && epochs.frozen(netuid);
    }

    // Money

    function part(uint256 whole, uint256 seed) private pure returns (uint256) {
        return seed % 5 == 0 ? seed % 1000 : (whole * (seed % 1024)) / 2048;
    }

    function moveMoney(Op memory op) private returns (bool ok) {
        uint256 balance = staking.balanceOf(accounts[op.who]);
        uint256 rao = op.seed % 16 == 1 ? balance + 1 : part(balance, op.seed >> 8);
        ok = by(op.who, address(staking), abi.encodeCall(Staking.transfer, (accounts[op.other], rao)));
        if (ok != (rao <= balance)) revert Broken("transfer", op.kind, rao);
    }

    function addStake(Op memory op) private returns (bool) {
        uint256 rao = part(staking.balanceOf(accounts[op.who]), op.seed);
        return by(op.who, address(staking), abi.encodeCall(Staking.addStake, (accounts[op.other], rao, op.netuid)));
    }

    /// Takes out at most what is there, and gets exactly that.
    function removeStake(Op memory op) private returns (bool ok) {
        (bytes32 hotkey, uint16 netuid) = place(op.who, op.seed);
        uint256 held = staking.getStake(hotkey, accounts[op.who], netuid);
        uint256 before = staking.balanceOf(accounts[op.who]);
        uint256 rao = op.seed % 4 == 0 ? held : op.seed % 13 == 0 ? held + 1 : part(2 * held, op.seed >> 8);
        bytes memory data = rao == held && op.seed % 3 == 0
            ? abi.encodeCall(Staking.removeStakeFull, (hotkey, netuid))
            : abi.encodeCall(Staking.removeStake, (hotkey, rao, netuid));
        ok = by(op.who, address(staking), data);
        if (ok && rao > held) revert Broken("more than was staked", op.kind, rao);
        if (staking.balanceOf(accounts[op.who]) - before != (ok ? rao : 0)) revert Broken("amount", op.kind, rao);
    }

    /// One of the places where a coldkey has stake.
    function place(uint256 who, uint256 seed) private view returns (bytes32 hotkey, uint16 netuid) {
        Staking.Position[] memory list = staking.positionsOf(accounts[who]);
        if (list.length == 0) return (accounts[seed % accounts.length], 1);
        Staking.Position memory position = list[(seed >> 16) % list.length];
        return (position.hotkey, position.netuid);
    }

    function moveStake(Op memory op) private returns (bool) {
        (bytes32 hotkey, uint16 netuid) = place(op.who, op.seed);
        uint256 rao = part(2 * staking.getStake(hotkey, accounts[op.who], netuid), op.seed >> 8);
        return by(op.who, address(staking), abi.encodeCall(Staking.moveStake, (hotkey, accounts[op.other], netuid, op.netuid, rao)));
    }

    function transferStake(Op memory op) private returns (bool) {
        (bytes32 hotkey, uint16 netuid) = place(op.who, op.seed);
        uint256 rao = part(2 * staking.getStake(hotkey, accounts[op.who], netuid), op.seed >> 8);
        return by(op.who, address(staking), abi.encodeCall(Staking.transferStake, (accounts[op.other], hotkey, netuid, op.netuid, rao)));
    }

    /// Pays what was earned, once.
    function claim(Op memory op) private returns (bool ok) {
        bytes32 earner = accounts[op.other];
        uint256 earned = staking.earnedOf(earner);
        uint256 before = staking.balanceOf(earner);
        for (uint256 i = 0; i < 2; i++) {
            ok = by(op.who, address(staking), abi.encodeCall(Staking.claimFor, (earner)));
            if (!ok || staking.earnedOf(earner) != 0) revert Broken("claim", op.kind, i);
            if (staking.balanceOf(earner) != before + earned) revert Broken("paid twice", op.kind, earned);
        }
        return earned > 0;
    }

    // Neurons

    function register(Op memory op) private returns (bool ok) {
        bytes32 hotkey = accounts[op.other];
        if (op.seed % 4 < 3 && staking.ownerOf(hotkey) != 0) op.who = indexOf(staking.ownerOf(hotkey), op.who);
        if (op.kind == 7) by(op.other, address(neurons), abi.encodeCall(neurons.authorize, (accounts[op.who])));
        bool mine = op.who == op.other || neurons.authorizedOf(hotkey) == accounts[op.who];
        if (staking.ownerOf(hotkey) != 0) mine = staking.ownerOf(hotkey) == accounts[op.who];
        bool exists = subnets.exists(op.netuid);
        uint256 price = exists ? neurons.burnOf(op.netuid) : 0;
        uint64 limit = uint64(op.seed % 4 == 0 ? (price == 0 ? 0 : price - 1) : price);
        uint256 before = staking.balanceOf(accounts[op.who]);
        bool frozen = frozenNow(op.netuid);
        ok = by(op.who, address(neurons), abi.encodeCall(neurons.registerLimit, (op.netuid, hotkey, limit)));
        if (!ok) return false;
        if (!exists || !mine || limit < price || frozen) revert Broken("registered", op.kind, op.netuid);
        if (staking.balanceOf(accounts[op.who]) != before - price) revert Broken("burn", op.kind, price);
        if (neurons.hotkeyOf(op.netuid, neurons.uidOf(op.netuid, hotkey)) != hotkey) revert Broken("seat", op.kind, op.netuid);
    }

    function createSubnet(Op memory op) private returns (bool ok) {
        if (subnets.subnetCount() >= SUBNETS_MAX) return false;
        uint256 cost = subnets.lockCost();
        uint256 before = staking.balanceOf(accounts[op.who]);
        by(op.other, address(neurons), abi.encodeCall(neurons.authorize, (accounts[op.who])));
        ISubnets.Params memory p = subnets.defaultParams();
        p.tempo = uint32(5 + op.seed % 40);
        p.weightsSetRateLimit = uint64(op.seed % 10);
        p.commitReveal = op.seed % 2 == 0;
        p.maxUids = uint16(6 + op.seed % 10);
        p.immunityPeriod = uint16(op.seed % 300);
        ok = by(op.who, address(subnets), abi.encodeCall(Subnets.createSubnet, (accounts[op.other], cost, p)));
        if (!ok) return false;
        ownerOf[subnets.subnetCount()] = op.who;
        if (staking.balanceOf(accounts[op.who]) != before - cost) revert Broken("lock", op.kind, cost);
    }

    function setParams(Op memory op) private returns (bool ok) {
        if (!subnets.exists(op.netuid)) return false;
        ISubnets.Params memory p = subnets.params(op.netuid);
        uint256 kind = (op.seed >> 8) % 12;
        if (kind == 0) p.commitReveal = !p.commitReveal;
        if (kind == 1) p.tempo = uint32(1 + op.seed % 50);
        if (kind == 2) p.maxUids = uint16(4 + op.seed % 20);
        if (kind == 3) p.yuma3 = !p.yuma3;
        if (kind == 4) p.liquidAlpha = !p.liquidAlpha;
        if (kind == 5) p.revealInterval = uint64(1 + op.seed % 3);
        if (kind == 6) p.ownerCut = uint16(op.seed % 12_500);
        if (kind == 7) p.kappa = uint16(op.seed % 65_536);
        if (kind == 8) p.immunityPeriod = uint16(op.seed % 200);
        if (kind == 9) p.maxValidators = uint16(op.seed % 12);
        if (kind == 10) p.stakeThreshold = uint64(op.seed % 1e12);
        if (kind == 11) p.bondsPenalty = uint16(op.seed % 65_536);
        uint256 who = op.seed % 8 == 0 ? op.who : ownerOf[op.netuid];
        bool frozen = frozenNow(op.netuid);
        ok = by(who, address(subnets), abi.encodeCall(Subnets.setParams, (op.netuid, p)));
        if (ok && (frozen || who != ownerOf[op.netuid])) revert Broken("set", op.kind, op.netuid);
        if (ok && p.maxUids < neurons.count(op.netuid)) revert Broken("fewer uids than neurons", op.kind, op.netuid);
    }

    // Weights

    function vote(uint256 seed, uint256 count) private pure returns (uint16[] memory uids, uint16[] memory values) {
        uint256 length = count == 0 ? 0 : 1 + seed % count;
        (uids, values) = (new uint16[](length), new uint16[](length));
        for (uint256 i = 0; i < length; i++) {
            uids[i] = uint16(((seed >> 8) + i) % count);
            values[i] = uint16(uint256(keccak256(abi.encode(seed, i))));
        }
    }

    function salt(uint256 seed) private pure returns (uint16[] memory words) {
        words = new uint16[](1 + seed % 3);
        for (uint256 i = 0; i < words.length; i++) {
            words[i] = uint16(seed >> (8 * i));
        }
    }

    /// A hotkey of the subnet, most of the time.
    function voter(Op memory op) private view returns (uint256) {
        uint256 count = neurons.count(op.netuid);
        if (count == 0 || op.seed % 8 == 0) return op.who;
        return indexOf(neurons.hotkeyOf(op.netuid, uint16((op.seed >> 3) % count)), op.who);
    }

    function indexOf(bytes32 account, uint256 otherwise) private view returns (uint256) {
        for (uint256 i = 0; i < accounts.length; i++) {
            if (accounts[i] == account) return i;
        }
        return otherwise;
    }

    function setWeights(Op memory op) private returns (bool ok) {
        (uint16[] memory uids, uint16[] memory values) = vote(op.seed, neurons.count(op.netuid));
        bool forbidden = frozenNow(op.netuid) || (subnets.exists(op.netuid) && subnets.params(op.netuid).commitReveal);
        ok = by(voter(op), address(neurons), abi.encodeCall(neurons.setWeights, (op.netuid, uids, values, 0)));
        if (ok && forbidden) revert Broken("weights set", op.kind, op.netuid);
    }

    function commit(Op memory op) private returns (bool ok) {
        if (!subnets.exists(op.netuid)) return false;
        Secret memory secret =
            Secret(voter(op), op.netuid, op.seed, neurons.count(op.netuid), epochs.epochIndex(op.netuid), false);
        (uint16[] memory uids, uint16[] memory values) = vote(secret.seed, secret.neurons);
        bytes32 hash =
            neurons.commitHashOf(op.netuid, accounts[secret.who], uids, values, salt(secret.seed), 0);
        bool forbidden = frozenNow(op.netuid) || !subnets.params(op.netuid).commitReveal;
        ok = by(secret.who, address(neurons), abi.encodeCall(neurons.commitWeights, (op.netuid, hash)));
        if (ok && forbidden) revert Broken("committed", op.kind, op.netuid);
        if (ok) secrets.push(secret);
    }

    /// Only in its epoch, only once, only by who committed, only what was committed.
    function reveal(Op memory op) private returns (bool ok) {
        if (secrets.length == 0) return false;
        Secret storage secret = secrets[secrets.length - 1 - choose(op)];
        op.netuid = secret.netuid;
        if (op.seed % 4 != 3) thaw(op);
        (uint16[] memory uids, uint16[] memory values) = vote(secret.seed, secret.neurons);
        uint256 cheat = (op.seed >> 40) % 8;
        if (cheat == 0) values[0] ^= 1;
        uint256 who = cheat == 1 ? (secret.who + 1) % accounts.length : secret.who;
        uint16[] memory salted = salt(cheat == 2 ? secret.seed ^ 0xff : secret.seed);
        bool due = epochs.epochIndex(secret.netuid) == secret.epoch + subnets.params(secret.netuid).revealInterval;
        bool frozen = frozenNow(secret.netuid);
        ok = by(who, address(neurons), abi.encodeCall(neurons.revealWeights, (secret.netuid, uids, values, salted, 0)));
        if (!ok) return false;
        if (!due || frozen) revert Broken("revealed outside its window", op.kind, secret.epoch);
        if (cheat < 3) revert Broken("revealed something else", op.kind, cheat);
        if (secret.revealed) revert Broken("revealed twice", op.kind, secret.epoch);
        secret.revealed = true;
    }

    /// How far back the secret is that is tried: mostly a late one whose time has come.
    function choose(Op memory op) private view returns (uint256) {
        uint256 from = (op.seed >> 8) % 16;
        for (uint256 i = from; i < secrets.length && i < from + 32 && op.seed % 8 != 0; i++) {
            Secret storage secret = secrets[secrets.length - 1 - i];
            uint256 due = secret.epoch + subnets.params(secret.netuid).revealInterval;
            if (!secret.revealed && epochs.epochIndex(secret.netuid) == due) return i;
        }
        return (op.seed >> 16) % secrets.length;
    }

    // Epochs

    /// At most one epoch ends, only where it was due, only once a block; pending rao are paid then and at no other time.
    function step(Op memory op) private returns (bool ok) {
        uint256 index = epochs.epochIndex(op.netuid);
        uint256 pending = staking.accrualOf(op.netuid).pending;
        bool frozen = frozenNow(op.netuid);
        ok = push(op);
        if (ok && !frozen) revert Broken("an epoch before its time", op.kind, op.netuid);
        uint256 paid = pending - staking.accrualOf(op.netuid).pending;
        uint256 ended = epochs.epochIndex(op.netuid) - index;
        if (ended > (ok ? 1 : 0) || (ended == 0 && paid != 0)) revert Broken("payment", op.kind, paid);
        if (ended == 1 && !frozenNow(op.netuid) && push(op)) revert Broken("paid twice", op.kind, op.netuid);
    }

    function push(Op memory op) private returns (bool) {
        if (op.seed % 3 == 0) {
            try epochs.medians(op.netuid) returns (uint256[] memory words) {
                // blocks of columns that are done are not looked at again, so the last word is the one to falsify
                if (op.seed % 15 == 0 && words.length > 0) {
                    words[words.length - 1] ^= 1;
                    if (by(op.who, address(epochs), abi.encodeWithSignature("stepWithMedians(uint16,uint256[])", op.netuid, words))) {
                        revert Broken("a wrong median", op.kind, op.netuid);
                    }
                    words[words.length - 1] ^= 1;
                }
                return by(op.who, address(epochs), abi.encodeWithSignature("stepWithMedians(uint16,uint256[])", op.netuid, words));
            } catch {}
        }
        return by(op.who, address(epochs), abi.encodeCall(Epochs.step, (op.netuid, op.seed % 64)));
    }

    /// What only the contracts may do to each other.
    function trespass(Op memory op) private returns (bool ok) {
        bytes32 self = accounts[op.who];
        IStaking.Payments memory payments;
        (payments.owner, payments.ownerRao) = (self, 1);
        uint256 kind = op.seed % 10;
        address target = kind < 5 ? address(staking) : kind < 7 ? address(neurons) : kind < 8 ? address(subnets) : address(epochs);
        bytes memory data = abi.encodeCall(Staking.burn, (accounts[op.other], 1));
        Linked.Addresses memory peers = Linked.Addresses(address(this), address(this), address(this), address(this));
        if (kind == 1) data = abi.encodeCall(Staking.setOwner, (accounts[op.other], self));
        if (kind == 2) data = abi.encodeCall(Staking.settle, (op.netuid));
        if (kind == 3) data = abi.encodeCall(Staking.payEpoch, (op.netuid, payments));
        if (kind == 4) data = abi.encodeCall(Staking.initialize, (peers, new bytes32[](0), new uint256[](0)));
        if (kind == 5) data = abi.encodeCall(neurons.registerOwner, (op.netuid, self, self, address(puppets[op.who])));
        if (kind == 6) data = abi.encodeCall(Neurons.initialize, (peers));
        if (kind == 7) data = abi.encodeCall(Subnets.initialize, (peers, 1, 1));
        if (kind == 8) data = abi.encodeCall(Epochs.clear, (op.netuid, uint16(op.seed >> 8) % 8));
        if (kind == 9) data = abi.encodeCall(Epochs.initialize, (peers, address(this)));
        ok = by(op.who, target, data);
        if (ok) revert Broken("trespass", op.kind, kind);
    }

    // Books

    /// Every uid has one hotkey and every hotkey one uid; coldkeys are the ledger's.
    function check() external view {
        for (uint16 netuid = 1; netuid <= subnets.subnetCount(); netuid++) {
            uint256 count = neurons.count(netuid);
            for (uint16 uid = 0; uid < count; uid++) {
                bytes32 hotkey = neurons.hotkeyOf(netuid, uid);
                if (neurons.uidOf(netuid, hotkey) != uid) revert Broken("uid to hotkey", netuid, uid);
                if (neurons.coldkeyOf(netuid, uid) != staking.ownerOf(hotkey)) revert Broken("coldkey", netuid, uid);
            }
            uint256 seen = 0;
            for (uint256 i = 0; i < accounts.length; i++) {
                if (!neurons.isRegistered(netuid, accounts[i])) continue;
                uint16 uid = neurons.uidOf(netuid, accounts[i]);
                if (uid >= count || neurons.hotkeyOf(netuid, uid) != accounts[i]) revert Broken("hotkey to uid", netuid, uid);
                seen++;
            }
            if (seen != count) revert Broken("uids", netuid, seen);
        }
    }
}
