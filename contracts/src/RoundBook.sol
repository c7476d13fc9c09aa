// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAddressMapping} from "./interfaces/IAddressMapping.sol";
import {IMetagraph} from "./interfaces/IMetagraph.sol";

/// Runs and their rounds: which spec a run follows, what every peer committed to, and whose work the validators let in.
///
/// Round r of a run takes the n blocks from start + r·n, n = trainBlocks + revealBlocks + voteBlocks. In the first part hotkeys commit to
/// the hash of their payload, in the second they upload it, in the third validators vote: a bitmap of the uids whose payload they found
/// available and valid, and the state root of the params before the round. From the round's end on anybody decides it, once:
///
/// - Power. A vote counts with its validator's stake when it was cast or when the round is decided, whichever is less, if the validator
///   has a permit at both times and still holds the uid. All stakes of a decision are read in one block, so rao that moved from one
///   validator to another after the first had voted count once, with either; what came after a vote does not count for it.
/// - Majority. A uid is accepted if those who vote for it have more than half of the stake of all permitted validators, voting or not,
///   and something was committed for it. Who is absent counts against: without a majority present nothing is accepted, which is a null
///   round. The state root is decided by the same majority, or left at zero.
///
/// A decision keeps what else decides which of the accepted payloads go into the params, as it is then: the incentive of each accepted uid,
/// and a seed, the hash of the round's last block. Nobody knows it while votes are taken, and who decides cannot choose it; only of a round
/// that has been left undecided for so long that the EVM has forgotten that hash (256 blocks) the seed is the last hash that there is.
///
/// What a replay of the run needs (specs, payload hashes, decisions) is in storage for ever. Votes are in storage until the next round's;
/// that a round with votes is decided before they go is made sure of here. The events tell everything, so that a decision can be
/// recomputed from logs alone.
///
/// Stake, permits, incentives and uids are read through functions of Bittensor's precompiles only, so the book works on Bittensor's EVM too
/// (where getStake is a hotkey's stake on all subnets). Nothing else is called, and those calls cannot change state.
contract RoundBook {
    /// A run's timetable.
    struct Clock {
        uint16 netuid;
        uint64 startBlock;
        uint32 trainBlocks;
        uint32 revealBlocks;
        uint32 voteBlocks;
        uint64 voted; // 1 + the round whose votes are held; 0 before the first vote
    }

    struct Spec {
        uint64 fromRound;
        bytes32 specHash;
    }

    struct Run {
        Clock clock;
        bytes32 owner;
        bytes32 genesisRoot;
        Spec[] specs;
    }

    struct Vote {
        uint64 round; // 1 + the round
        uint64 stake; // rao when it was cast
        uint128 voter; // the hotkey's first 16 bytes
        uint256 bitmap; // bit i: uid i
        bytes32 stateRoot;
    }

    struct Decision {
        uint64 decidedAt; // block; 0 where it is not decided
        uint256 accepted; // bit i: uid i
        bytes32 stateRoot;
        bytes32 seed;
        uint16[] incentives; // of the accepted uids, ascending; sixteen to a word
    }

    /// A vote with the power it has at the decision.
    struct Ballot {
        uint256 uid;
        uint256 power;
        uint256 bitmap;
        bytes32 stateRoot;
    }

    uint256 private constant UIDS_MAX = 256;
    address private constant METAGRAPH = address(0x802);
    address private constant ADDRESS_MAPPING = address(0x80c);

    /// 0 stands for the precompiles' addresses: so in code that was put in place without its constructor.
    address private immutable _otherMetagraph;
    address private immutable _otherAddressMapping;

    mapping(uint256 runId => Run) private _runs;
    mapping(uint256 runId => mapping(uint256 round => mapping(uint256 uid => bytes32))) private _commits;
    mapping(uint256 runId => mapping(uint256 uid => Vote)) private _votes;
    mapping(uint256 runId => mapping(uint256 round => Decision)) private _decisions;

    /// Runs so far; they are numbered from 0.
    uint64 public runCount;

    event RunCreated(
        uint64 indexed runId,
        uint16 indexed netuid,
        bytes32 indexed owner,
        bytes32 specHash,
        bytes32 genesisRoot,
        uint64 startBlock,
        uint32 trainBlocks,
        uint32 revealBlocks,
        uint32 voteBlocks
    );
    /// Specs announced for this round or later ones before hold no more.
    event SpecUpgraded(uint64 indexed runId, uint64 indexed fromRound, bytes32 specHash);
    event Committed(uint64 indexed runId, uint64 indexed round, uint16 indexed uid, bytes32 hotkey, bytes32 payloadHash);
    event Voted(
        uint64 indexed runId, uint64 indexed round, uint16 indexed uid, bytes32 hotkey, uint256 bitmap, bytes32 stateRoot, uint64 stake
    );
    /// `total` is the stake of all permitted validators; `powers` are those of the votes of `voters`.
    event RoundDecided(
        uint64 indexed runId,
        uint64 indexed round,
        uint256 accepted,
        bytes32 stateRoot,
        bytes32 seed,
        uint16[] incentives,
        uint256 total,
        uint16[] voters,
        uint64[] powers
    );

    error SubnetNotExists(uint16 netuid);
    error RunNotExists(uint64 runId);
    error EmptyHash();
    error EmptyPhase();
    error StartInThePast(uint256 blockNumber);
    error NotRunOwner();
    error RoundHasBegun(uint64 round);
    error RoundNotBegun(uint256 blocksLeft);
    error CommitsClosed();
    error VotesNotOpen(uint256 blocksLeft);
    error VotesClosed();
    error VotesStillOpen(uint256 blocksLeft);
    error AlreadyDecided();
    error HotKeyNotRegisteredInSubNet();
    error NeuronNoValidatorPermit();

    /// Where the metagraph and the address mapping are; 0 for the precompiles' addresses.
    constructor(address metagraph, address addressMapping) {
        _otherMetagraph = metagraph;
        _otherAddressMapping = addressMapping;
    }

    /// Registers a run whose owner is the caller. The run's start may not lie in the past.
    function createRun(
        uint16 netuid,
        bytes32 specHash,
        bytes32 genesisRoot,
        uint64 startBlock,
        uint32 trainBlocks,
        uint32 revealBlocks,
        uint32 voteBlocks
    ) external returns (uint64 runId) {
        if (_metagraph().getUidCount(netuid) == 0) revert SubnetNotExists(netuid);
        if (specHash == 0 || genesisRoot == 0) revert EmptyHash();
        if (trainBlocks == 0 || revealBlocks == 0 || voteBlocks == 0) revert EmptyPhase();
        if (startBlock < block.number) revert StartInThePast(block.number);
        runId = runCount++;
        Run storage run = _runs[runId];
        run.clock = Clock(netuid, startBlock, trainBlocks, revealBlocks, voteBlocks, 0);
        run.owner = _callersAccount();
        run.genesisRoot = genesisRoot;
        run.specs.push(Spec(0, specHash));
        emit RunCreated(
            runId, netuid, run.owner, specHash, genesisRoot, startBlock, trainBlocks, revealBlocks, voteBlocks
        );
    }

    /// Sets the spec from a round that has not begun; what was announced for it or for later rounds is taken back. By the run's owner.
    function upgradeRun(uint64 runId, uint64 fromRound, bytes32 specHash) external {
        Clock memory clock = _clockOf(runId);
        if (_runs[runId].owner != _callersAccount()) revert NotRunOwner();
        if (specHash == 0) revert EmptyHash();
        if (_beginOf(clock, fromRound) <= block.number) revert RoundHasBegun(fromRound);
        Spec[] storage specs = _runs[runId].specs;
        while (specs.length > 0 && specs[specs.length - 1].fromRound >= fromRound) specs.pop();
        specs.push(Spec(fromRound, specHash));
        emit SpecUpgraded(runId, fromRound, specHash);
    }

    /// Commits to a payload, as the hotkey of `uid`, in the round's train blocks. A second commit for the uid replaces the first; the
    /// event names the hotkey, since a uid may change hands.
    function commit(uint64 runId, uint64 round, uint16 uid, bytes32 payloadHash) external {
        Clock memory clock = _clockOf(runId);
        uint256 begin = _beginOf(clock, round);
        if (block.number < begin) revert RoundNotBegun(begin - block.number);
        if (block.number >= begin + clock.trainBlocks) revert CommitsClosed();
        if (payloadHash == 0) revert EmptyHash();
        bytes32 hotkey = _callersHotkey(clock.netuid, uid);
        _commits[runId][round][uid] = payloadHash;
        emit Committed(runId, round, uid, hotkey, payloadHash);
    }

    /// Votes, as the hotkey of the permitted validator `uid`, in the round's vote blocks: for the uids in `bitmap` and for `stateRoot` as
    /// the root of the params before the round (0: no statement). The last vote counts. Decides the round voted on before, if nobody has.
    function vote(uint64 runId, uint64 round, uint16 uid, uint256 bitmap, bytes32 stateRoot) external {
        Clock memory clock = _clockOf(runId);
        uint256 open = _beginOf(clock, round) + clock.trainBlocks + clock.revealBlocks;
        if (block.number < open) revert VotesNotOpen(open - block.number);
        if (block.number >= open + clock.voteBlocks) revert VotesClosed();
        bytes32 hotkey = _callersHotkey(clock.netuid, uid);
        if (!_metagraph().getValidatorStatus(clock.netuid, uid)) revert NeuronNoValidatorPermit();
        if (clock.voted != round + 1) {
            if (clock.voted != 0 && _decisions[runId][clock.voted - 1].decidedAt == 0) _decide(runId, clock.voted - 1, clock);
            _runs[runId].clock.voted = round + 1;
        }
        uint64 stake = _metagraph().getStake(clock.netuid, uid);
        _votes[runId][uid] = Vote(round + 1, stake, uint128(bytes16(hotkey)), bitmap, stateRoot);
        emit Voted(runId, round, uid, hotkey, bitmap, stateRoot, stake);
    }

    /// Decides a round that is over, by anybody and for good. Rounds without votes may be left undecided: they are null rounds anyway.
    function decide(uint64 runId, uint64 round) external {
        Clock memory clock = _clockOf(runId);
        uint256 end = _beginOf(clock, round) + _lengthOf(clock);
        if (block.number < end) revert VotesStillOpen(end - block.number);
        if (_decisions[runId][round].decidedAt != 0) revert AlreadyDecided();
        _decide(runId, round, clock);
    }

    /// A run's terms and owner.
    function runOf(uint64 runId) external view returns (Clock memory clock, bytes32 owner, bytes32 genesisRoot, Spec[] memory specs) {
        clock = _clockOf(runId);
        Run storage run = _runs[runId];
        return (clock, run.owner, run.genesisRoot, run.specs);
    }

    /// Payload hashes by uid, 0 where there is none.
    function commitsOf(uint64 runId, uint64 round) external view returns (bytes32[] memory payloadHashes) {
        _clockOf(runId);
        payloadHashes = new bytes32[](UIDS_MAX);
        for (uint256 uid; uid < UIDS_MAX; ++uid) payloadHashes[uid] = _commits[runId][round][uid];
    }

    /// The votes of a round as they were cast, by uid, with stakes for powers; none where a later round has been voted on.
    function votesOf(uint64 runId, uint64 round) external view returns (Ballot[] memory ballots) {
        Clock memory clock = _clockOf(runId);
        ballots = new Ballot[](UIDS_MAX);
        uint256 found;
        for (uint256 uid; uid < UIDS_MAX; ++uid) {
            Vote storage cast = _votes[runId][uid];
            if (cast.round != round + 1 || clock.voted != round + 1) continue;
            ballots[found++] = Ballot(uid, cast.stake, cast.bitmap, cast.stateRoot);
        }
        _truncate(ballots, found);
    }

    /// `decidedAt` is 0 where the round is not decided.
    function decisionOf(uint64 runId, uint64 round) external view returns (Decision memory) {
        _clockOf(runId);
        return _decisions[runId][round];
    }

    function _decide(uint64 runId, uint64 round, Clock memory clock) private {
        Ballot[] memory ballots;
        uint256 total;
        if (clock.voted == round + 1) (ballots, total) = _ballots(runId, clock);
        Decision memory decision;
        decision.decidedAt = uint64(block.number);
        decision.accepted = _acceptedOf(ballots, total, _commits[runId][round]);
        decision.stateRoot = _rootOf(ballots, total);
        decision.seed = _seedOf(_beginOf(clock, round) + _lengthOf(clock) - 1);
        decision.incentives = _incentivesOf(clock.netuid, decision.accepted);
        _decisions[runId][round] = decision;
        uint16[] memory voters = new uint16[](ballots.length);
        uint64[] memory powers = new uint64[](ballots.length);
        for (uint256 i; i < ballots.length; ++i) {
            voters[i] = uint16(ballots[i].uid);
            powers[i] = uint64(ballots[i].power);
        }
        emit RoundDecided(
            runId,
            round,
            decision.accepted,
            decision.stateRoot,
            decision.seed,
            decision.incentives,
            total,
            voters,
            powers
        );
    }

    /// The votes held that count, by uid, and the stake of all permitted validators.
    function _ballots(uint64 runId, Clock memory clock) private view returns (Ballot[] memory ballots, uint256 total) {
        IMetagraph metagraph = _metagraph();
        uint256 count = metagraph.getUidCount(clock.netuid);
        if (count > UIDS_MAX) count = UIDS_MAX;
        ballots = new Ballot[](count);
        uint256 found;
        for (uint16 uid; uid < count; ++uid) {
            if (!metagraph.getValidatorStatus(clock.netuid, uid)) continue;
            uint64 stake = metagraph.getStake(clock.netuid, uid);
            total += stake;
            Vote storage cast = _votes[runId][uid];
            if (cast.round != clock.voted) continue;
            if (cast.voter != uint128(bytes16(metagraph.getHotkey(clock.netuid, uid)))) continue;
            ballots[found++] = Ballot(uid, cast.stake < stake ? cast.stake : stake, cast.bitmap, cast.stateRoot);
        }
        _truncate(ballots, found);
    }

    /// The uids with a commit that more than half of `total` votes for.
    function _acceptedOf(Ballot[] memory ballots, uint256 total, mapping(uint256 uid => bytes32) storage commits)
        private
        view
        returns (uint256 accepted)
    {
        // Validators mostly agree: votes for the same uids are added up first.
        uint256[] memory bitmaps = new uint256[](ballots.length);
        uint256[] memory powers = new uint256[](ballots.length);
        uint256 kinds;
        uint256 named;
        for (uint256 i; i < ballots.length; ++i) {
            uint256 k;
            while (k < kinds && bitmaps[k] != ballots[i].bitmap) ++k;
            if (k == kinds) bitmaps[kinds++] = ballots[i].bitmap;
            powers[k] += ballots[i].power;
            named |= ballots[i].bitmap;
        }
        for (uint256 uid; named >> uid != 0; ++uid) {
            if ((named >> uid) & 1 == 0) continue;
            uint256 power;
            unchecked {
                for (uint256 k; k < kinds; ++k) power += ((bitmaps[k] >> uid) & 1) * powers[k];
            }
            if (2 * power > total && commits[uid] != 0) accepted |= 1 << uid;
        }
    }

    /// The root that more than half of `total` names, or 0.
    function _rootOf(Ballot[] memory ballots, uint256 total) private pure returns (bytes32) {
        for (uint256 i; i < ballots.length; ++i) {
            bytes32 root = ballots[i].stateRoot;
            uint256 power;
            for (uint256 k; k < ballots.length; ++k) if (ballots[k].stateRoot == root) power += ballots[k].power;
            if (2 * power > total) return root;
        }
        return 0;
    }

    /// The hash of a round's last block, or of the newest block that has one where the EVM does not know that any more.
    function _seedOf(uint256 lastBlock) private view returns (bytes32 seed) {
        seed = blockhash(lastBlock);
        if (seed == 0) seed = blockhash(block.number - 1);
    }

    /// The incentives of the uids in a bitmap, ascending; 0 of a uid that the subnet has no more.
    function _incentivesOf(uint16 netuid, uint256 uids) private view returns (uint16[] memory incentives) {
        if (uids == 0) return incentives;
        IMetagraph metagraph = _metagraph();
        uint256 count = metagraph.getUidCount(netuid);
        incentives = new uint16[](UIDS_MAX);
        uint256 found;
        for (uint16 uid; uids >> uid != 0; ++uid) {
            if ((uids >> uid) & 1 == 0) continue;
            incentives[found++] = uid < count ? metagraph.getIncentive(netuid, uid) : 0;
        }
        assembly ("memory-safe") {
            mstore(incentives, found)
        }
    }

    function _truncate(Ballot[] memory ballots, uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(ballots, length)
        }
    }

    function _clockOf(uint64 runId) private view returns (Clock memory clock) {
        clock = _runs[runId].clock;
        if (clock.trainBlocks == 0) revert RunNotExists(runId);
    }

    function _lengthOf(Clock memory clock) private pure returns (uint256) {
        return uint256(clock.trainBlocks) + clock.revealBlocks + clock.voteBlocks;
    }

    function _beginOf(Clock memory clock, uint64 round) private pure returns (uint256) {
        return clock.startBlock + round * _lengthOf(clock);
    }

    /// The caller's account, which must be the hotkey of `uid`.
    function _callersHotkey(uint16 netuid, uint16 uid) private view returns (bytes32 hotkey) {
        hotkey = _callersAccount();
        if (uid >= UIDS_MAX || _metagraph().getHotkey(netuid, uid) != hotkey) revert HotKeyNotRegisteredInSubNet();
    }

    function _callersAccount() private view returns (bytes32) {
        address mapper = _otherAddressMapping == address(0) ? ADDRESS_MAPPING : _otherAddressMapping;
        return IAddressMapping(mapper).addressMapping(msg.sender);
    }

    function _metagraph() private view returns (IMetagraph) {
        return IMetagraph(_otherMetagraph == address(0) ? METAGRAPH : _otherMetagraph);
    }
}
