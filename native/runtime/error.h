// The one exception of the native core. Its code becomes the JS error class (lib/errors.ts).
#pragma once

#include <stdexcept>
#include <string>

namespace hadal {

enum class ErrorCode : int {
  kInternal,
  kShape,
  kDType,
  kDevice,
  kDisposed,
  kOutOfMemory,
  kIndex,
  kLinAlg,
  kDistributed
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace hadal
