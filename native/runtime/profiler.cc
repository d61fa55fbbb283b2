#include "runtime/profiler.h"

#include <chrono>
#include <string_view>
#include <utility>

namespace hadal {

namespace {

Profiler::Recorder own_recorder;

double numel(const TensorView& view) { return static_cast<double>(view.numel()); }

}  // namespace

Profiler::Recorder* Profiler::recorder_ = &own_recorder;
thread_local Op Profiler::current{};

int64_t Profiler::now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Profiler::start() {
  std::lock_guard lock(recorder_->mutex);
  recorder_->spans.clear();
  recorder_->enabled = true;
}

std::vector<Profiler::Span> Profiler::stop() {
  std::lock_guard lock(recorder_->mutex);
  recorder_->enabled = false;
  return std::exchange(recorder_->spans, {});
}

void Profiler::add(const Span& span) {
  std::lock_guard lock(recorder_->mutex);
  if (enabled() && recorder_->spans.size() < kMaxSpans) recorder_->spans.push_back(span);
}

int32_t Profiler::next_stream() { return kFirstStream + recorder_->streams.fetch_add(1); }

double bytes_of(const Command& command) {
  double bytes = 0;
  for (int i = 0; i < command.input_count + command.output_count; ++i) {
    const TensorView& view = command.tensors[i];
    if (!view.present() || command.is_immediate(i)) continue;
    double elements = 1;
    for (int axis = 0; axis < view.rank; ++axis) {
      if (view.strides[axis] != 0 || view.shape[axis] == 0) elements *= static_cast<double>(view.shape[axis]);
    }
    bytes += elements * static_cast<double>(size_of(view.dtype));
  }
  return bytes;
}

double flops_of(const Command& command) {
  const std::string_view name = command.name();
  if (name.starts_with("matmul")) return 2 * numel(command.output(0)) * static_cast<double>(command.input(0).size(-1));
  if (name.starts_with("conv")) {
    // Each element of the side that has the output channels meets one filter.
    const bool to_weight = name.ends_with("WeightGrad");
    const TensorView& channels = name.ends_with("Grad") ? command.input(0) : command.output(0);
    const TensorView& weight = to_weight ? command.output(0) : command.input(1);
    return weight.size(0) == 0 ? 0 : 2 * numel(channels) * numel(weight) / static_cast<double>(weight.size(0));
  }
  if (name == "attention" || name == "attentionBackward") {
    // Two products forward, five backward; half of each behind a causal mask, which is the second attribute.
    const bool backward = name != "attention";
    const double product =
        2 * numel(command.input(backward ? 1 : 0)) * static_cast<double>(command.input(backward ? 2 : 1).size(-2));
    return (backward ? 5 : 2) * product * (command.flag(1) ? 0.5 : 1);
  }
  return 0;
}

}  // namespace hadal
