// Element types: their codes (shared with lib/tensor/dtype.ts), sizes, and the mapping to C++ types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

#include "runtime/error.h"
#include "runtime/half.h"

namespace hadal {

enum class DType : uint8_t {
  kFloat64,
  kFloat32,
  kFloat16,
  kBFloat16,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUInt8,
  kBool,
};
inline constexpr int kDTypeCount = 10;

inline constexpr size_t kDTypeSizes[kDTypeCount] = {8, 4, 2, 2, 8, 4, 2, 1, 1, 1};
inline constexpr const char* kDTypeNames[kDTypeCount] = {"float64", "float32", "float16", "bfloat16", "int64",
                                                         "int32",   "int16",   "int8",    "uint8",    "bool"};

constexpr size_t size_of(DType dtype) { return kDTypeSizes[static_cast<int>(dtype)]; }
constexpr const char* name_of(DType dtype) { return kDTypeNames[static_cast<int>(dtype)]; }
constexpr bool is_floating(DType dtype) { return dtype <= DType::kBFloat16; }
constexpr bool is_index(DType dtype) { return dtype == DType::kInt64 || dtype == DType::kInt32; }

// The C++ element type behind a code. `bool` is stored as one byte that is 0 or 1.
template <DType>
struct ElementOf;
template <> struct ElementOf<DType::kFloat64> {
  using type = double;
};
template <> struct ElementOf<DType::kFloat32> {
  using type = float;
};
template <> struct ElementOf<DType::kFloat16> {
  using type = Float16;
};
template <> struct ElementOf<DType::kBFloat16> {
  using type = BFloat16;
};
template <> struct ElementOf<DType::kInt64> {
  using type = int64_t;
};
template <> struct ElementOf<DType::kInt32> {
  using type = int32_t;
};
template <> struct ElementOf<DType::kInt16> {
  using type = int16_t;
};
template <> struct ElementOf<DType::kInt8> {
  using type = int8_t;
};
template <> struct ElementOf<DType::kUInt8> {
  using type = uint8_t;
};
template <> struct ElementOf<DType::kBool> {
  using type = bool;
};

// The type that arithmetic on T is done in: 16-bit floats compute in float, everything else in itself.
template <class T> struct ComputeOf {
  using type = T;
};
template <> struct ComputeOf<Float16> {
  using type = float;
};
template <> struct ComputeOf<BFloat16> {
  using type = float;
};
template <class T> using Compute = typename ComputeOf<T>::type;

// Out of line: a throw in every instance of visit() would double the size of the kernels.
[[noreturn, gnu::noinline, gnu::cold]] inline void throw_unsupported(const char* op, DType dtype,
                                                                     std::initializer_list<DType> allowed) {
  std::string expected;
  for (DType one : allowed) expected += std::string(expected.empty() ? "" : ", ") + name_of(one);
  throw Error(ErrorCode::kDType, std::string(op) + ": dtype: got " + name_of(dtype) + ", expected " + expected);
}

template <DType... kAllowed, class F>
void visit(const char* op, DType dtype, F&& body) {
  const bool found =
      ((dtype == kAllowed && (body.template operator()<typename ElementOf<kAllowed>::type>(), true)) || ...);
  if (!found) throw_unsupported(op, dtype, {kAllowed...});
}

// Calls body.operator()<T>() with the element type of `dtype`; an unlisted dtype is an error that names the op.
template <class F>
void visit_floating(const char* op, DType dtype, F&& body) {
  visit<DType::kFloat64, DType::kFloat32, DType::kFloat16, DType::kBFloat16>(op, dtype, std::forward<F>(body));
}
template <class F>
void visit_number(const char* op, DType dtype, F&& body) {
  visit<DType::kFloat64, DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt64, DType::kInt32,
        DType::kInt16, DType::kInt8, DType::kUInt8>(op, dtype, std::forward<F>(body));
}
template <class F>
void visit_integer(const char* op, DType dtype, F&& body) {
  visit<DType::kInt64, DType::kInt32, DType::kInt16, DType::kInt8, DType::kUInt8>(op, dtype, std::forward<F>(body));
}
template <class F>
void visit_index(const char* op, DType dtype, F&& body) {
  visit<DType::kInt64, DType::kInt32>(op, dtype, std::forward<F>(body));
}
template <class F>
void visit_any(const char* op, DType dtype, F&& body) {
  visit<DType::kFloat64, DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt64, DType::kInt32,
        DType::kInt16, DType::kInt8, DType::kUInt8, DType::kBool>(op, dtype, std::forward<F>(body));
}
// By width alone, for kernels that only move elements: body.operator()<uintN_t>().
template <class F>
void visit_width(DType dtype, F&& body) {
  switch (size_of(dtype)) {
    case 8: return body.template operator()<uint64_t>();
    case 4: return body.template operator()<uint32_t>();
    case 2: return body.template operator()<uint16_t>();
    default: return body.template operator()<uint8_t>();
  }
}

}  // namespace hadal
