#include "binding/decode.h"

#include <array>
#include <string>
#include <vector>

namespace hadal {

namespace {

constexpr int kMaxTensors = 1 << 16;
constexpr int kMaxAttributes = 1 << 10;

struct Arity {
  int inputs, outputs, attributes;
  bool inputs_vary, outputs_vary, attributes_vary;
  std::array<bool, Command::kInlineTensors> optional;
};

const Arity& arity_of(Op op) {
  static const auto table = [] {
    std::vector<Arity> arities(static_cast<size_t>(op_count()));
    for (int i = 0; i < op_count(); ++i) {
      const OpInfo& info = op_info(static_cast<Op>(i));
      Arity& arity = arities[static_cast<size_t>(i)];
      arity.inputs = OpInfo::count(info.inputs);
      arity.outputs = OpInfo::count(info.outputs);
      arity.attributes = OpInfo::count(info.attributes);
      arity.inputs_vary = OpInfo::variadic(info.inputs);
      arity.outputs_vary = OpInfo::variadic(info.outputs);
      arity.attributes_vary = OpInfo::variadic(info.attributes);
      int input = 0;
      for (const char* c = info.inputs; *c != '\0'; ++c) {
        if (*c == '?') arity.optional[input] = true;
        if (*c == ',') ++input;
      }
    }
    return arities;
  }();
  return table[static_cast<size_t>(op)];
}

class WordReader {
 public:
  WordReader(double* words, size_t count) : words_(words), count_(count) {}

  double number() {
    if (at_ >= count_) throw Error(ErrorCode::kInternal, "record: longer than its buffer");
    return words_[at_++];
  }
  int64_t integer(int64_t limit) {
    const double word = number();
    const auto value = static_cast<int64_t>(word);  // out of range and NaN become INT64_MIN
    if (static_cast<double>(value) != word || static_cast<uint64_t>(value) > static_cast<uint64_t>(limit)) {
      throw_word(word);
    }
    return value;
  }
  double* position() const { return words_ + at_; }
  void skip(int words) { at_ += words; }

 private:
  [[noreturn]] void throw_word(double word) const {
    throw Error(ErrorCode::kInternal, "record: word " + std::to_string(at_ - 1) + " is " + std::to_string(word));
  }
  double* words_;
  size_t count_;
  size_t at_ = 0;
};

constexpr int64_t kMaxSize = int64_t{1} << 53;

void write_immediate(double* cell, DType dtype, double value) {
  visit_any("immediate", dtype, [&]<class T>() {
    T element;
    if constexpr (std::is_integral_v<T>) {
      const bool fits = value >= -9223372036854775808.0 && value < 9223372036854775808.0;
      element = static_cast<T>(fits ? static_cast<int64_t>(value) : 0);
      if (dtype == DType::kBool) element = value != 0;
    } else {
      element = T(value);
    }
    std::memcpy(cell, &element, sizeof element);
  });
}

// Fills in row-major strides. Answers the number of elements, with empty axes counted as one; INT64_MAX when it overflows.
int64_t set_contiguous(TensorView& view) {
  int64_t stride = 1;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    view.strides[axis] = stride;
    if (__builtin_mul_overflow(stride, std::max<int64_t>(view.shape[axis], 1), &stride)) stride = INT64_MAX;
  }
  return stride;
}

// One past the last element that the view reaches, or a size no storage has.
int64_t extent(const TensorView& view, int64_t offset) {
  int64_t last = offset;
  for (int axis = 0; axis < view.rank; ++axis) {
    if (view.shape[axis] == 0) return 0;
    int64_t span;
    if (__builtin_mul_overflow(view.shape[axis] - 1, view.strides[axis], &span) ||
        __builtin_add_overflow(last, span, &last)) {
      return INT64_MAX;
    }
  }
  return last == INT64_MAX ? last : last + 1;
}

int words_of(double* tensor, int rank) {
  const auto kind = static_cast<TensorKind>(static_cast<int>(*tensor) & 15);
  return kind == TensorKind::kFresh ? 3 + rank : kind == TensorKind::kContiguous ? 4 + rank : 4 + 2 * rank;
}

bool is_fresh(const double* tensor) {
  return static_cast<TensorKind>(static_cast<int>(*tensor) & 15) == TensorKind::kFresh;
}

// Gives memory to the fresh outputs and writes their names back into the record; all of them or none.
void allocate_outputs(Environment& environment, Backend& backend, Command& command, double* const words) {
  StorageTable& storages = environment.storages();
  double* word = words;
  try {
    for (int i = 0; i < command.output_count; ++i) {
      TensorView& view = command.tensors[command.input_count + i];
      if (is_fresh(word)) {
        const size_t bytes = static_cast<size_t>(view.numel()) * size_of(view.dtype);
        const Block block = environment.allocate(backend, bytes);
        const auto name = storages.insert(&backend, block, bytes);
        view.data = block.data;
        word[1] = name.slot;
        word[2] = name.generation;
      }
      word += words_of(word, view.rank);
    }
  } catch (const Error& error) {
    double* undo = words;
    for (int i = 0; undo != word; ++i) {
      if (is_fresh(undo)) storages.erase(static_cast<uint32_t>(undo[1]));
      undo += words_of(undo, command.output(i).rank);
    }
    throw Error(error.code(), std::string(command.name()) + ": " + error.what());
  }
}

}  // namespace

void decode_and_submit(Environment& environment) {
  WordReader reader(environment.words(), environment.word_count());
  const Op op = static_cast<Op>(reader.integer(op_count() - 1));
  Backend& backend = environment.backend(static_cast<int>(reader.integer(1 << 10)));
  const OpInfo& info = op_info(op);
  const Arity& arity = arity_of(op);
  const int inputs = static_cast<int>(reader.integer(kMaxTensors));
  const int outputs = static_cast<int>(reader.integer(kMaxTensors));
  const int attributes = static_cast<int>(reader.integer(kMaxAttributes));
  if ((inputs != arity.inputs && !arity.inputs_vary) || (outputs != arity.outputs && !arity.outputs_vary) ||
      (attributes != arity.attributes && !arity.attributes_vary) || attributes < arity.attributes - 1) {
    throw Error(ErrorCode::kInternal, std::string(info.name) + ": wrong number of tensors or attributes in the record");
  }
  if (!backend.supports(op)) {
    throw Error(ErrorCode::kDevice, std::string(info.name) + ": not implemented on this device");
  }

  Command& command = backend.next_command();
  command.op = op;
  command.input_count = inputs;
  command.output_count = outputs;
  command.attribute_count = attributes;
  command.reserve(inputs + outputs, attributes);

  bool any_fresh = false;
  double* outputs_at = nullptr;
  for (int i = 0; i < inputs + outputs; ++i) {
    if (i == inputs) outputs_at = reader.position();
    const int64_t header = reader.integer(1 << 16);
    const auto kind = static_cast<TensorKind>(header & 15);
    const int dtype = static_cast<int>((header >> 4) & 15);
    const int rank = static_cast<int>(header >> 8);
    if (dtype >= kDTypeCount) throw Error(ErrorCode::kInternal, "record: no such dtype");
    if (rank > kMaxRank) throw Error(ErrorCode::kShape, std::string(info.name) + ": more than 8 axes");
    TensorView& view = command.tensors[i];
    view.dtype = static_cast<DType>(dtype);
    view.rank = rank;
    switch (kind) {
      case TensorKind::kStored:
      case TensorKind::kContiguous: {
        const auto slot = static_cast<uint32_t>(reader.integer(UINT32_MAX));
        const auto generation = static_cast<uint32_t>(reader.integer(UINT32_MAX));
        Storage* storage = environment.storages().find(slot, generation);
        if (storage == nullptr) throw Error(ErrorCode::kDisposed, std::string(info.name) + ": a tensor was released");
        if (storage->backend != &backend) {
          throw Error(ErrorCode::kDevice, std::string(info.name) + ": tensors on different devices");
        }
        const int64_t offset = reader.integer(kMaxSize);
        for (int axis = 0; axis < rank; ++axis) view.shape[axis] = reader.integer(kMaxSize);
        if (kind == TensorKind::kContiguous) {
          set_contiguous(view);
        } else {
          for (int axis = 0; axis < rank; ++axis) view.strides[axis] = reader.integer(kMaxSize);
        }
        const size_t element = size_of(view.dtype);
        if (extent(view, offset) > static_cast<int64_t>(storage->bytes / element)) {
          throw Error(ErrorCode::kInternal, std::string(info.name) + ": a view reaches past its storage");
        }
        // An empty view may start anywhere; it must still not point outside.
        const bool inside = offset <= static_cast<int64_t>(storage->bytes / element);
        view.data = storage->block.data + (inside ? offset : 0) * static_cast<int64_t>(element);
        break;
      }
      case TensorKind::kFresh: {
        if (i < inputs) throw Error(ErrorCode::kInternal, "record: a fresh input");
        any_fresh = true;
        reader.skip(2);
        view.data = reinterpret_cast<std::byte*>(&view);  // present; the memory comes after the checks
        for (int axis = 0; axis < rank; ++axis) view.shape[axis] = reader.integer(kMaxSize);
        if (set_contiguous(view) > kMaxSize) {
          throw Error(ErrorCode::kOutOfMemory,
                      std::string(info.name) + ": the result would hold more than 2^53 elements");
        }
        break;
      }
      case TensorKind::kImmediate: {
        if (i >= inputs) throw Error(ErrorCode::kInternal, "record: an immediate output");
        const double value = reader.number();
        write_immediate(&command.immediates[i], view.dtype, value);
        view.data = reinterpret_cast<std::byte*>(&command.immediates[i]);
        for (int axis = 0; axis < rank; ++axis) {
          view.shape[axis] = reader.integer(kMaxSize);
          view.strides[axis] = 0;
        }
        break;
      }
      case TensorKind::kAbsent:
        if (i >= inputs || i >= Command::kInlineTensors || !arity.optional[i]) {
          throw Error(ErrorCode::kInternal, "record: a missing tensor");
        }
        view.data = nullptr;
        break;
      default: throw Error(ErrorCode::kInternal, "record: no such kind of tensor");
    }
  }
  for (int i = 0; i < attributes; ++i) command.attributes[i] = reader.number();
  info.check(command);

  if (any_fresh) allocate_outputs(environment, backend, command, outputs_at);
  backend.commit();
}

}  // namespace hadal
