// The table behind op_info(): one row per line of ops.def.
#include "runtime/op_info.h"

#include <iterator>

#include "runtime/command.h"

namespace hadal {

#define HADAL_OP(name, inputs, outputs, attributes, check) void check_##check(const Command&);
#include "ops.def"
#undef HADAL_OP

static constexpr OpInfo kOps[] = {
#define HADAL_OP(name, inputs, outputs, attributes, check) {#name, #inputs, #outputs, #attributes, check_##check},
#include "ops.def"
#undef HADAL_OP
};

bool is_pointwise(Op op) {
  const OpInfo& info = op_info(op);
  const bool draws = std::string_view(info.attributes).find("seedLow") != std::string_view::npos;  // by position
  return !draws && (info.check == check_pointwise || info.check == check_predicate || info.check == check_where ||
                    info.check == check_same_shape);
}

int op_count() { return static_cast<int>(std::size(kOps)); }
const OpInfo& op_info(Op op) { return kOps[static_cast<int>(op)]; }

uint32_t ops_fingerprint() {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const OpInfo& op : kOps) {
    for (const char* part : {op.name, op.inputs, op.outputs, op.attributes}) {
      for (; *part != '\0'; ++part) hash = (hash ^ static_cast<uint8_t>(*part)) * 16777619u;
    }
  }
  return hash;
}

}  // namespace hadal
