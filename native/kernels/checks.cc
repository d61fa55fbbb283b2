// How a check fails: with what is wrong and what the command came with.
#include "kernels/checks.h"

#include <cstdio>
#include <string>

#include "runtime/shape_text.h"

namespace hadal::checks {
namespace {

std::string shown(const TensorView& view) { return std::string(name_of(view.dtype)) + " " + shape_text(view); }

}  // namespace

void fail(const Command& cmd, ErrorCode code, const char* what) {
  std::string got;
  for (int i = 0; i < cmd.input_count + cmd.output_count; ++i) {
    if (i > 0) got += i == cmd.input_count ? " → " : ", ";
    got += cmd.tensors[i].data == nullptr ? "none" : shown(cmd.tensors[i]);
  }
  throw Error(code, std::string(cmd.name()) + ": " + what + ": got " + got);
}

void fail_integer(const Command& cmd, int attribute, int64_t low, int64_t high, const char* what) {
  char got[32];
  std::snprintf(got, sizeof got, "%.17g", cmd.attribute(attribute));
  throw Error(ErrorCode::kIndex, std::string(cmd.name()) + ": " + what + ": got " + got +
                                     ", expected a whole number from " + std::to_string(low) + " to " +
                                     std::to_string(high));
}

}  // namespace hadal::checks
