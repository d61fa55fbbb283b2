// The names of the ops, for the tables and the errors of kernels; the addon's own copy of this table also holds the checks.
#include <iterator>

#include "runtime/op_info.h"

namespace hadal {

static constexpr OpInfo kNames[] = {
#define HADAL_OP(name, inputs, outputs, attributes, check) {#name, #inputs, #outputs, #attributes, nullptr},
#include "ops.def"
#undef HADAL_OP
};

int op_count() { return static_cast<int>(std::size(kNames)); }
const OpInfo& op_info(Op op) { return kNames[static_cast<int>(op)]; }

}  // namespace hadal
