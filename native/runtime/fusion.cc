#include "runtime/fusion.h"

#include <algorithm>

namespace hadal {

namespace {

// Fewer elements lie in the caches anyway.
constexpr int64_t kLeastElements = 32 << 10;

}  // namespace

bool is_uniform(const Command& command, int tensor) {
  const TensorView& view = command.tensors[tensor];
  if (command.is_immediate(tensor)) return true;
  for (int axis = 0; axis < view.rank; ++axis) {
    if (view.shape[axis] != 1 && view.strides[axis] != 0) return false;
  }
  return true;
}

RowValues row_values(const TensorView& view) {
  RowValues values;
  int axis = view.rank;
  const auto repeats = [&] { return view.shape[axis - 1] == 1 || view.strides[axis - 1] == 0; };
  int64_t row = 1;
  for (; axis > 0 && repeats(); --axis) row *= view.shape[axis - 1];
  if (axis == 0 || row == 1) return {};
  values.stride = view.strides[axis - 1];
  for (; axis > 0 && (view.shape[axis - 1] == 1 || view.strides[axis - 1] == values.stride * values.period); --axis) {
    values.period *= view.shape[axis - 1];
  }
  for (; axis > 0; --axis) {
    if (!repeats()) return {};
  }
  if (values.stride > 0) values.row = row;
  return values;
}

void FusionFinder::add(const Command& command, size_t word, const std::vector<size_t>& temporaries) {
  const size_t at = entries_.size();
  Entry entry{word, 0, 0, 1, {}};
  const int tensors = command.input_count + command.output_count;
  bool fuses = is_pointwise(command.op) && tensors <= Command::kInlineTensors;
  for (int i = 0; i < tensors; ++i) {
    const TensorView& view = command.tensors[i];
    const size_t temporary = temporaries[static_cast<size_t>(i)];
    if (temporary != kNone) {
      if (temporary >= lives_.size()) lives_.resize(temporary + 1, {SIZE_MAX, 0});
      lives_[temporary] = {std::min(lives_[temporary].first, at), at};
    }
    if (!view.present()) {
      entry.tensors.push_back({nullptr, nullptr, kNone, true, false});
      continue;
    }
    const bool repeats = is_uniform(command, i) || !view.is_contiguous();
    int64_t values = is_uniform(command, i) ? 1 : view.numel();
    if (repeats && values > 1) {
      const RowValues rows = row_values(view);
      fuses = fuses && i < command.input_count && rows.row != 0 && (entry.row == 0 || entry.row == rows.row);
      entry.period = entry.row == 0 ? rows.period : std::min(entry.period, rows.period);
      entry.row = rows.row;
      values = (rows.period - 1) * rows.stride + 1;
    }
    const bool immediate = command.is_immediate(i);
    const int64_t bytes = values * static_cast<int64_t>(size_of(view.dtype));
    entry.tensors.push_back({immediate ? nullptr : view.data, immediate ? nullptr : view.data + bytes, temporary,
                             repeats, i >= command.input_count});
  }
  if (fuses) {
    const int64_t elements = command.output(0).numel();
    if (elements >= kLeastElements) entry.elements = elements;
  }
  entries_.push_back(std::move(entry));
}

std::vector<FusedGroup> FusionFinder::groups() const {
  std::vector<FusedGroup> found;
  for (size_t begin = 0; begin < entries_.size();) {
    size_t end = begin + 1;
    const int64_t elements = entries_[begin].elements;
    int64_t row = entries_[begin].row, period = entries_[begin].period;
    // The shortest period is to divide all others: those of two shapes need not.
    const auto joins = [&](const Entry& next) {
      if (next.elements != elements) return false;
      if (row != 0 && next.row != 0) {
        if (next.row != row || std::max(period, next.period) % std::min(period, next.period) != 0) return false;
        period = std::min(period, next.period);
      } else if (next.row != 0) {
        row = next.row;
        period = next.period;
      }
      return true;
    };
    while (elements != 0 && end < entries_.size() && joins(entries_[end])) ++end;
    // The longest part that is safe goes together, then the rest is looked at again.
    FusedGroup fused;
    size_t part = end;
    while (part > begin + 1 && (fused = group(begin, part)).commands == 0) --part;
    if (fused.commands > 0) found.push_back(std::move(fused));
    begin = part;
  }
  return found;
}

FusedGroup FusionFinder::group(size_t begin, size_t end) const {
  FusedGroup fused{entries_[begin].word, 0, entries_[begin].elements, entries_[begin].elements, 1, {}, 0};
  std::vector<size_t> inner;     // temporaries that only the group sees, element by element
  std::vector<size_t> repeated;  // those that it reads otherwise
  std::vector<const Tensor*> outside;
  for (size_t at = begin; at < end; ++at) {
    if (const Entry& entry = entries_[at]; entry.row != 0) {
      fused.period = fused.row == entry.row ? std::min(fused.period, entry.period) : entry.period;
      fused.row = entry.row;
    }
    for (const Tensor& tensor : entries_[at].tensors) {
      if (tensor.repeats) repeated.push_back(tensor.temporary);
    }
  }
  for (size_t at = begin; at < end; ++at) {
    for (const Tensor& tensor : entries_[at].tensors) {
      const bool seen_inside = tensor.temporary != kNone && lives_[tensor.temporary].first >= begin &&
                               lives_[tensor.temporary].last < end &&
                               std::find(repeated.begin(), repeated.end(), tensor.temporary) == repeated.end();
      if (!seen_inside) {
        fused.scratch.push_back(-1);
        if (tensor.begin != nullptr) outside.push_back(&tensor);
        continue;
      }
      auto place = std::find(inner.begin(), inner.end(), tensor.temporary);
      if (place == inner.end()) place = inner.insert(inner.end(), tensor.temporary);
      fused.scratch.push_back(static_cast<int>(place - inner.begin()));
    }
  }
  // Piece by piece is the same as one after another only if what is written is read at the same element.
  for (const Tensor* one : outside) {
    for (const Tensor* other : outside) {
      if (!one->output || one->begin >= other->end || other->begin >= one->end) continue;
      if (one->begin != other->begin || one->end != other->end) return {};
    }
  }
  fused.commands = static_cast<int>(end - begin);
  fused.scratch_count = static_cast<int>(inner.size());
  return fused;
}

}  // namespace hadal
