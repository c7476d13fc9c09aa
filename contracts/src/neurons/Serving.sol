// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {NeuronStore} from "./NeuronStore.sol";

/// Where neurons can be reached. Rules and errors: subtensor's `serve_axon`, `serve_axon_tls` and `serve_prometheus`.
///
/// Departures: the hotkey must hold a uid of this very subnet (there: of any); placeholders are not kept, and neither is a certificate
/// (at most 65 bytes): it is in the event.
abstract contract Serving is NeuronStore {
    /// As the metagraph precompile returns it; exactly one word.
    struct AxonInfo {
        uint64 blockNumber;
        uint32 version;
        uint128 ip;
        uint16 port;
        uint8 ipType; // 4 or 6
        uint8 protocol;
    }

    uint256 private constant CERTIFICATE_BYTES_MAX = 65;

    mapping(uint16 netuid => mapping(bytes32 hotkey => AxonInfo)) private axons;
    mapping(uint16 netuid => mapping(bytes32 hotkey => AxonInfo)) private exporters;

    event AxonServed(uint16 indexed netuid, bytes32 indexed hotkey, AxonInfo axon, bytes certificate);
    event PrometheusServed(uint16 indexed netuid, bytes32 indexed hotkey, AxonInfo endpoint);

    error ServingRateLimitExceeded(uint64 blocksLeft);
    error InvalidIpType(uint8 ipType);
    error InvalidIpAddress(uint128 ip);
    error InvalidPort();
    error CertificateTooLong(uint256 bytesMax);

    /// As a hotkey: publishes its endpoint.
    function serveAxon(uint16 netuid, uint32 version, uint128 ip, uint16 port, uint8 ipType, uint8 protocol, uint8, uint8)
        external
        payable
        noValue
    {
        publish(netuid, AxonInfo(uint64(block.number), version, ip, port, ipType, protocol), msg.data[0:0]);
    }

    /// As a hotkey: publishes its endpoint and the certificate that it will show.
    function serveAxonTls(
        uint16 netuid,
        uint32 version,
        uint128 ip,
        uint16 port,
        uint8 ipType,
        uint8 protocol,
        uint8,
        uint8,
        bytes calldata certificate
    ) external payable noValue {
        if (certificate.length > CERTIFICATE_BYTES_MAX) revert CertificateTooLong(CERTIFICATE_BYTES_MAX);
        publish(netuid, AxonInfo(uint64(block.number), version, ip, port, ipType, protocol), certificate);
    }

    /// As a hotkey: publishes where its metrics are.
    function servePrometheus(uint16 netuid, uint32 version, uint128 ip, uint16 port, uint8 ipType) external payable noValue {
        AxonInfo memory endpoint = AxonInfo(uint64(block.number), version, ip, port, ipType, 0);
        bytes32 hotkey = serve(netuid, endpoint, exporters[netuid]);
        emit PrometheusServed(netuid, hotkey, endpoint);
    }

    /// The endpoint of a hotkey; zeros where it has none.
    function axonOf(uint16 netuid, bytes32 hotkey) external view returns (AxonInfo memory) {
        return axons[netuid][hotkey];
    }

    function prometheusOf(uint16 netuid, bytes32 hotkey) external view returns (AxonInfo memory) {
        return exporters[netuid][hotkey];
    }

    function publish(uint16 netuid, AxonInfo memory axon, bytes calldata certificate) private {
        bytes32 hotkey = serve(netuid, axon, axons[netuid]);
        emit AxonServed(netuid, hotkey, axon, certificate);
    }

    function serve(uint16 netuid, AxonInfo memory endpoint, mapping(bytes32 => AxonInfo) storage book) private returns (bytes32 hotkey) {
        uint256 limit = subnets.params(netuid).servingRateLimit;
        hotkey = sender();
        seatOf(netuid, hotkey);
        checkEndpoint(endpoint.ip, endpoint.port, endpoint.ipType);
        uint256 last = book[hotkey].blockNumber;
        if (last != 0 && block.number < last + limit) revert ServingRateLimitExceeded(uint64(last + limit - block.number));
        book[hotkey] = endpoint;
    }

    /// No address at all, this machine itself and the broadcast address are refused.
    function checkEndpoint(uint128 ip, uint16 port, uint8 ipType) private pure {
        if (ipType != 4 && ipType != 6) revert InvalidIpType(ipType);
        bool wrong = ipType == 4 ? ip >= type(uint32).max || ip == 0x7f000001 : ip == type(uint128).max || ip == 1;
        if (ip == 0 || wrong) revert InvalidIpAddress(ip);
        if (port == 0) revert InvalidPort();
    }
}
