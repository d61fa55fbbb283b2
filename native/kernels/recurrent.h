// The cells of recurrent networks. Used by both devices; called by the recurrent kernels.
#pragma once

#include <cstdint>

#include "runtime/half.h"

namespace hadal {

// The codes of the attribute `cell`.
enum class Cell : uint8_t { kTanh, kRelu, kGru, kLstm };

// Gates in the weights (gru: reset, update, new; lstm: input, forget, cell, output), and values per unit and step that the
// gradient reads: the gates and, for gru, the state's part of `new`.
HADAL_HD constexpr int gates_of(Cell cell) { return cell == Cell::kLstm ? 4 : cell == Cell::kGru ? 3 : 1; }
HADAL_HD constexpr int saved_of(Cell cell) { return cell == Cell::kLstm || cell == Cell::kGru ? 4 : 1; }

}  // namespace hadal
