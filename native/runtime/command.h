// A command: one op with its tensors and attributes, checked and ready to run on a stream.
#pragma once

#include <cstdint>
#include <memory>

#include "runtime/op_info.h"
#include "runtime/tensor_view.h"

namespace hadal {

struct Command {
  // Inline room serves nearly every op; a command with more (cat, multi-tensor optimizers) spills to the heap.
  static constexpr int kInlineTensors = 8;
  static constexpr int kInlineAttributes = 24;

  Op op{};
  int input_count = 0;
  int output_count = 0;
  int attribute_count = 0;
  TensorView* tensors = nullptr;  // inputs, then outputs
  double* attributes = nullptr;
  double* immediates = nullptr;  // one 8-byte cell per tensor, behind the views of immediate operands

  const TensorView& input(int i) const { return tensors[i]; }
  const TensorView& output(int i) const { return tensors[input_count + i]; }
  double attribute(int i) const { return attributes[i]; }
  int64_t integer(int i) const { return static_cast<int64_t>(attributes[i]); }
  bool flag(int i) const { return attributes[i] != 0; }
  const char* name() const { return op_info(op).name; }
  // Whether a tensor is a number that came with the command.
  bool is_immediate(int i) const { return tensors[i].data == reinterpret_cast<const std::byte*>(&immediates[i]); }

  // Makes room; called by decode before it fills the fields.
  void reserve(int tensor_count, int attribute_capacity) {
    spilled_tensors_.reset();
    spilled_attributes_.reset();
    if (tensor_count <= kInlineTensors) {
      tensors = inline_tensors_;
      immediates = inline_immediates_;
    } else {
      spilled_tensors_ = std::make_unique<SpilledTensors>(tensor_count);
      tensors = spilled_tensors_->views.get();
      immediates = spilled_tensors_->immediates.get();
    }
    if (attribute_capacity <= kInlineAttributes) {
      attributes = inline_attributes_;
    } else {
      spilled_attributes_ = std::make_unique<double[]>(attribute_capacity);
      attributes = spilled_attributes_.get();
    }
  }

 private:
  struct SpilledTensors {
    explicit SpilledTensors(int count)
        : views(std::make_unique<TensorView[]>(count)), immediates(std::make_unique<double[]>(count)) {}
    std::unique_ptr<TensorView[]> views;
    std::unique_ptr<double[]> immediates;
  };
  TensorView inline_tensors_[kInlineTensors];
  double inline_immediates_[kInlineTensors];
  double inline_attributes_[kInlineAttributes];
  std::unique_ptr<SpilledTensors> spilled_tensors_;
  std::unique_ptr<double[]> spilled_attributes_;
};

}  // namespace hadal
