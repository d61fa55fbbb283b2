// The op list of ops.def as a table: names, arities, and each op's shape check.
#pragma once

#include <cstdint>
#include <string_view>

namespace hadal {

struct Command;

// An op by its line in ops.def. The lines are no enumerators: kernels register under a name, so that a new op recompiles the
// tables and its own kernel, and nothing else.
enum class Op : uint16_t {};

struct OpInfo {
  const char* name;
  const char* inputs;      // "(x, weight, bias?)": `?` marks an optional tensor, `...` a variable number
  const char* outputs;     // "(y)"
  const char* attributes;  // "(epsilon)"
  // Throws Error unless the shapes and dtypes are ones for which the kernels stay inside the tensors.
  void (*check)(const Command&);

  static constexpr int count(std::string_view list) {
    int names = 0;
    bool in_name = false;
    for (const char c : list) {
      const bool letter = c != '(' && c != ')' && c != ',' && c != ' ';
      if (letter && !in_name) ++names;
      in_name = letter;
    }
    return names;
  }
  static constexpr bool variadic(std::string_view list) { return list.find("...") != std::string_view::npos; }
};

// Whether element i of every output depends on element i of the inputs alone.
bool is_pointwise(Op op);

int op_count();
const OpInfo& op_info(Op op);
// Of every "name(inputs)(outputs)(attributes)": equal here and in lib/native/opcodes.ts, or the addon refuses to start.
uint32_t ops_fingerprint();

}  // namespace hadal
