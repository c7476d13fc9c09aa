// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

// Numbers side by side in one EVM word. An epoch handles 64 rows × 256 columns of u16 numbers, stored sixteen to a word; one
// operation on a word of four 64-bit *lanes* does the work of four.
//
// A word of sixteen u16 numbers (columns 0 … 15 of a block, lowest bits first) spreads to four words of four lanes: word q holds the
// columns q, q + 4, q + 8 and q + 12, since then a shift and a mask do it. Words of exact (I32F32) numbers are kept in that order
// everywhere: in storage, and in the medians that a caller supplies. A lane holds a number from 0 to 2^32, so bit 63 is free as a
// guard: with it set, `a | guard − b` cannot borrow from the next lane, and the bit that is left says whether a ≥ b.

// 1 in each lane.
uint256 constant ONES = 0x0000000000000001000000000000000100000000000000010000000000000001;
// The guard bit of each lane.
uint256 constant GUARD = 0x8000000000000000800000000000000080000000000000008000000000000000;
// The low 16 bits of each lane.
uint256 constant LOW16 = 0x000000000000ffff000000000000ffff000000000000ffff000000000000ffff;
// The low 32 bits of each lane.
uint256 constant LOW32 = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
// Every second lane, the lowest among them.
uint256 constant EVEN = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
// The low 16 bits of every second lane.
uint256 constant EVEN16 = 0x0000000000000000000000000000ffff0000000000000000000000000000ffff;
// The other lanes.
uint256 constant ODD = 0xffffffffffffffff0000000000000000ffffffffffffffff0000000000000000;
// The low 33 bits of every second lane.
uint256 constant EVEN33 = 0x000000000000000000000001ffffffff000000000000000000000001ffffffff;
// The low 33 bits of the other lanes.
uint256 constant ODD33 = 0x00000001ffffffff000000000000000000000001ffffffff0000000000000000;
// One lane.
uint256 constant LANE = 0xffffffffffffffff;
// 1 in I32F32.
uint256 constant ONE = 0x100000000;
