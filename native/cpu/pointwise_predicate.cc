// Pointwise ops with a bool in them: predicates, comparisons, logic and where.
#include "cpu/pointwise.h"
#include "runtime/registry.h"

namespace hadal {

using namespace cpu;
namespace fn = functors;

namespace {

// Of bools, whose bytes are 0 and 1, by B.
template <class F, class B>
void run_logic(KernelContext& ctx, const Command& cmd) {
  if (cmd.input(0).dtype != DType::kBool) return run_predicate<F, 2>(ctx, cmd);
  const B functor{};
  run_pointwise(ctx, {vector_block<B, uint8_t, 2>, &functor}, cmd);
}

}  // namespace

HADAL_CPU_KERNEL(isNaN) { run_predicate<fn::IsNaN, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(isInf) { run_predicate<fn::IsInf, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(isFinite) { run_predicate<fn::IsFinite, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(logicalNot) { run_predicate<fn::LogicalNot, 1>(ctx, cmd); }
HADAL_CPU_KERNEL(equalTo) { run_predicate<fn::EqualTo, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(notEqual) { run_predicate<fn::NotEqual, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(less) { run_predicate<fn::Less, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(lessEqual) { run_predicate<fn::LessEqual, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(greater) { run_predicate<fn::Greater, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(greaterEqual) { run_predicate<fn::GreaterEqual, 2>(ctx, cmd); }
HADAL_CPU_KERNEL(logicalAnd) { run_logic<fn::LogicalAnd, fn::BitwiseAnd>(ctx, cmd); }
HADAL_CPU_KERNEL(logicalOr) { run_logic<fn::LogicalOr, fn::BitwiseOr>(ctx, cmd); }
HADAL_CPU_KERNEL(logicalXor) { run_logic<fn::LogicalXor, fn::BitwiseXor>(ctx, cmd); }

namespace {

// y = condition ? a : b on elements of one width, whatever they mean.
template <class T>
void where_block(const void*, const BlockArguments& block) {
  constexpr int kWidth = kLanes<T>;
  T* y = static_cast<T*>(block.y);
  const auto* condition = static_cast<const uint8_t*>(block.inputs[0]);
  const T* a = static_cast<const T*>(block.inputs[1]);
  const T* b = static_cast<const T*>(block.inputs[2]);
  const int64_t condition_step = block.scalar[0] ? 0 : kWidth;
  const int64_t a_step = block.scalar[1] ? 0 : kWidth, b_step = block.scalar[2] ? 0 : kWidth;
  const auto choose = [](Bytes<T> bytes, Vec<T> yes, Vec<T> no) {
    const auto mask = widen_lanes<T>(bytes) != 0;
    return mask ? yes : no;
  };
  int64_t left = block.count;
  for (; left >= kWidth; left -= kWidth, y += kWidth, condition += condition_step, a += a_step, b += b_step) {
    Bytes<T> bytes;
    std::memcpy(&bytes, condition, sizeof bytes);
    store(y, choose(bytes, load(a), load(b)));
  }
  if (left > 0) {
    const int lanes = static_cast<int>(left);
    Bytes<T> bytes{};
    std::memcpy(&bytes, condition, condition_step == 0 ? sizeof bytes : static_cast<size_t>(lanes));
    const Vec<T> yes = a_step == 0 ? load(a) : load_partial(a, lanes);
    const Vec<T> no = b_step == 0 ? load(b) : load_partial(b, lanes);
    store_partial(y, choose(bytes, yes, no), lanes);
  }
}

}  // namespace

HADAL_CPU_KERNEL(where) {
  visit_width(cmd.output(0).dtype, [&]<class T>() { run_pointwise(ctx, {where_block<T>}, cmd); });
}

}  // namespace hadal
