// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Identity} from "../libraries/Identity.sol";
import {IHotkeyOwners} from "./IHotkeyOwners.sol";
import {NeuronStore} from "./NeuronStore.sol";

/// Whose hotkey is whose. A hotkey belongs to the first coldkey that registers it with the hotkey's consent, in all subnets and for good, so
/// nobody can squat on a stranger's hotkey. Consent is one of: hotkey and coldkey are the same account; the hotkey has called `authorize`;
/// it has signed (EIP-712) what the coldkey then brings.
///
/// subtensor asks for no consent (whoever registers a hotkey first owns it); this is stricter. OpenZeppelin's EIP712 and Nonces cannot be
/// inherited here, as EIP712 keeps its domain in immutables (NeuronStore.sol): the domain is hashed at each use instead, which also makes it
/// follow the chain id, and nonces share a word with the address.
abstract contract HotkeyProofs is NeuronStore {
    struct Holder {
        address self;
        uint64 nonce; // signatures used
    }

    bytes32 private constant DOMAIN_TYPE = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant DOMAIN_NAME = keccak256("Skein neurons");
    bytes32 private constant DOMAIN_VERSION = keccak256("1");
    bytes32 private constant REGISTER_TYPE = keccak256("Register(uint16 netuid,address coldkey,uint64 nonce,uint64 deadline)");
    bytes32 private constant AUTHORIZE_TYPE = keccak256("Authorize(address coldkey,uint64 nonce,uint64 deadline)");

    mapping(bytes32 hotkey => Holder) private holders;
    mapping(bytes32 hotkey => bytes32 coldkey) private authorized;

    event HotkeyAuthorized(bytes32 indexed hotkey, bytes32 indexed coldkey);
    event HotkeyAdopted(bytes32 indexed hotkey, bytes32 indexed coldkey);

    /// The hotkey belongs to another coldkey.
    error NonAssociatedColdKey();
    /// The hotkey has not consented to this coldkey.
    error HotKeyNotAuthorized();
    error SignatureExpired(uint64 deadline);
    /// The signature is another key's, or over another claim (subnet, coldkey, nonce, deadline, chain or contract).
    error InvalidProof();

    /// As a hotkey: lets `coldkey` register it. Holds until it is replaced; 0 withdraws it.
    function authorize(bytes32 coldkey) external {
        bytes32 hotkey = sender();
        holders[hotkey].self = msg.sender;
        authorized[hotkey] = coldkey;
        emit HotkeyAuthorized(hotkey, coldkey);
    }

    /// The same by a signature of the hotkey over Authorize(coldkey = the caller, nonce, deadline): the hotkey needs no coin for gas.
    function authorizeWithProof(address hotkey, uint64 deadline, bytes calldata signature) external {
        bytes32 account = Identity.accountOf(hotkey);
        uint64 nonce = useNonce(account, hotkey);
        checkSignature(keccak256(abi.encode(AUTHORIZE_TYPE, msg.sender, nonce, deadline)), hotkey, deadline, signature);
        bytes32 coldkey = sender();
        authorized[account] = coldkey;
        emit HotkeyAuthorized(account, coldkey);
    }

    /// The number that the next signature of an address must name.
    function nonces(address hotkey) external view returns (uint64) {
        return holders[Identity.accountOf(hotkey)].nonce;
    }

    /// The address behind a hotkey; 0 where it was never seen here.
    function hotkeyAddressOf(bytes32 hotkey) public view returns (address) {
        return holders[hotkey].self;
    }

    /// The coldkey that a hotkey belongs to; 0 where it was never registered. The ledger keeps it, as it pays takes by it.
    function ownerOf(bytes32 hotkey) public view returns (bytes32) {
        return IHotkeyOwners(address(staking)).ownerOf(hotkey);
    }

    /// The coldkey that a hotkey has authorized.
    function authorizedOf(bytes32 hotkey) external view returns (bytes32) {
        return authorized[hotkey];
    }

    /// Makes `coldkey` (the account of `caller`) the owner of `hotkey`, or finds that it already is.
    function adopt(bytes32 hotkey, bytes32 coldkey, address caller) internal {
        bytes32 owner = ownerOf(hotkey);
        if (owner == coldkey) return;
        if (owner != 0) revert NonAssociatedColdKey();
        if (hotkey == coldkey) holders[hotkey].self = caller;
        else if (authorized[hotkey] != coldkey) revert HotKeyNotAuthorized();
        own(hotkey, coldkey);
    }

    function adoptBySignature(uint16 netuid, address hotkey, uint64 deadline, bytes calldata signature)
        internal
        returns (bytes32 account, bytes32 coldkey)
    {
        account = Identity.accountOf(hotkey);
        coldkey = sender();
        uint64 nonce = useNonce(account, hotkey);
        checkSignature(keccak256(abi.encode(REGISTER_TYPE, netuid, msg.sender, nonce, deadline)), hotkey, deadline, signature);
        bytes32 owner = ownerOf(account);
        if (owner == coldkey) return (account, coldkey);
        if (owner != 0) revert NonAssociatedColdKey();
        own(account, coldkey);
    }

    function own(bytes32 hotkey, bytes32 coldkey) private {
        staking.setOwner(hotkey, coldkey);
        emit HotkeyAdopted(hotkey, coldkey);
    }

    function useNonce(bytes32 account, address hotkey) private returns (uint64 nonce) {
        nonce = holders[account].nonce;
        holders[account] = Holder({self: hotkey, nonce: nonce + 1});
    }

    function checkSignature(bytes32 structHash, address signer, uint64 deadline, bytes calldata signature) private view {
        if (block.number > deadline) revert SignatureExpired(deadline);
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE, DOMAIN_NAME, DOMAIN_VERSION, block.chainid, address(this)));
        bytes32 digest = MessageHashUtils.toTypedDataHash(domain, structHash);
        (address recovered, ECDSA.RecoverError fault, ) = ECDSA.tryRecover(digest, signature);
        if (fault != ECDSA.RecoverError.NoError || recovered != signer) revert InvalidProof();
    }
}
