// The real cuDNN without a GPU: since 9.8 it makes plans for a device that is described to it. Has it make some for an H100 of what
// cuda/cudnn.h is asked for, whose calls pass through functions here. Built and run by cudnn.test.ts, with `convolutions` or `attention`; prints
// the first that it has no engine for, or how many plans there were.
#define open_library open_real_library
#include "cuda/library_search.cc"
#undef open_library

namespace hadal::cuda {
void* open_library(std::initializer_list<const char*> names);
}

#include <cstdio>
#include <deque>

#include "cuda/cudnn.h"
#include "cuda/cudnn_api.h"

using namespace hadal;
using namespace hadal::cuda;
using namespace hadal::cuda::dnn;

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

constexpr const char* kH100 =
    R"({"deviceVer":900,"deviceName":"NVIDIA H100 80GB HBM3","driverVer":13000,"cudaDeviceId":0,"smCountOrigin":0,)"
    R"("maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,"multiProcessorCount":132,)"
    R"("smClockRateKHz":1980000,"memClockRateKHz":2619000,"l2CacheSize":52428800,"warpSize":32,"isTccDriver":0,)"
    R"("maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,"reservedSharedMemoryPerBlock":1024,)"
    R"("maxRegistersPerSM":65536,"pciDeviceId":0,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,)"
    R"("supportCoopLaunch":1,"totalGlobalMem":85000000000})";

constexpr auto kDeviceProperties = static_cast<DescriptorType>(38);
constexpr auto kDeviceJson = static_cast<Attribute>(2702), kHeuristicDevice = static_cast<Attribute>(204),
               kPlanDevice = static_cast<Attribute>(407);
constexpr auto kTypeChar = static_cast<AttributeType>(24);

dnn::Library real;
Descriptor device;
int handle, executed = 0, copying = 0;

bool open_real() {
  void* file = open_real_library({"libcudnn.so.9"});
  const auto find = [&](const char* name, auto*& function) { return find_function(file, name, function); };
  return file != nullptr && find("cudnnGetVersion", real.version) && find("cudnnGetErrorString", real.status_string) &&
         find("cudnnGetLastErrorString", real.last_error) &&
         find("cudnnBackendCreateDescriptor", real.create_descriptor) &&
         find("cudnnBackendDestroyDescriptor", real.destroy_descriptor) &&
         find("cudnnBackendSetAttribute", real.set_attribute) && find("cudnnBackendGetAttribute", real.get_attribute) &&
         find("cudnnBackendFinalize", real.finalize) && find("cudnnCreate", real.create) &&
         find("cudnnDestroy", real.destroy) && find("cudnnSetStream", real.set_stream) &&
         find("cudnnBackendExecute", real.execute);
}

class NoDevice final : public CudaContext {
 public:
  NoDevice() { device_.capability = 90; }
  BlasLt* blas() override { return nullptr; }
  Cudnn* cudnn() override { return nullptr; }
  Nccl* nccl() override { return nullptr; }

  size_t asked = 0;  // of scratch memory, at last

 private:
  void* scratch_bytes(size_t bytes) override {
    asked = bytes;
    return reinterpret_cast<void*>(uintptr_t{256});
  }
};

TensorView tensor(DType dtype, const std::vector<int64_t>& shape, bool inside) {
  TensorView view;
  view.data = reinterpret_cast<std::byte*>(uintptr_t{256});
  view.dtype = dtype;
  view.rank = static_cast<int>(shape.size());
  std::copy(shape.begin(), shape.end(), view.shape);
  int64_t count = 1;
  const auto add = [&](int axis) {
    view.strides[axis] = count;
    count *= view.shape[axis];
  };
  if (inside) add(1);
  for (int axis = view.rank - 1; axis >= 2; --axis) add(axis);
  if (!inside) add(1);
  add(0);
  return view;
}

}  // namespace

// --- Between cuda/cudnn.cc and the library: no handle, but a device that is described. --------------------------------------

EXPORT size_t cudnnGetVersion() { return real.version(); }
EXPORT int cudnnCreate(Handle* made) {
  *made = &handle;
  return kSuccess;
}
EXPORT int cudnnDestroy(Handle) { return kSuccess; }
EXPORT int cudnnSetStream(Handle, void*) { return kSuccess; }
EXPORT const char* cudnnGetErrorString(int status) { return real.status_string(status); }
EXPORT void cudnnGetLastErrorString(char* message, size_t bytes) { real.last_error(message, bytes); }
EXPORT int cudnnBackendCreateDescriptor(DescriptorType type, Descriptor* made) {
  return real.create_descriptor(type, made);
}
EXPORT int cudnnBackendDestroyDescriptor(Descriptor descriptor) { return real.destroy_descriptor(descriptor); }
EXPORT int cudnnBackendSetAttribute(Descriptor descriptor, Attribute attribute, AttributeType type, int64_t count,
                                    const void* values) {
  if (attribute == kGraphHandle) return kSuccess;
  if (attribute == kPlanHandle) return real.set_attribute(descriptor, kPlanDevice, kTypeDescriptor, 1, &device);
  if (attribute == kHeuristicGraph) real.set_attribute(descriptor, kHeuristicDevice, kTypeDescriptor, 1, &device);
  return real.set_attribute(descriptor, attribute, type, count, values);
}
EXPORT int cudnnBackendGetAttribute(Descriptor descriptor, Attribute attribute, AttributeType type, int64_t wanted,
                                    int64_t* count, void* values) {
  return real.get_attribute(descriptor, attribute, type, wanted, count, values);
}
EXPORT int cudnnBackendFinalize(Descriptor descriptor) { return real.finalize(descriptor); }
EXPORT int cudnnBackendExecute(Handle, Descriptor, Descriptor) {
  ++executed;
  return kSuccess;
}

void* hadal::cuda::open_library(std::initializer_list<const char*>) { return dlopen(nullptr, RTLD_NOW); }

// --- The runtime, of which nothing happens. ----------------------------------------------------------------------------------

cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t) { return ""; }
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* status) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) { return cudaSuccess; }
cudaError_t cudaEventCreate(cudaEvent_t*) { return cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;
  return cudaSuccess;
}

namespace {

// Counts those for which the library wants room for a copy of x, of images of 16-bit floats whose channels are whole pieces of 16 bytes.
bool plan_convolutions(Cudnn& cudnn, NoDevice& context, const Command& command) {
  struct Case {
    const char* name;
    std::vector<int64_t> x, weight, y, stride, pad, dilation;
  };
  const Case cases[] = {
      {"3 × 3", {64, 256, 28, 28}, {256, 256, 3, 3}, {64, 256, 28, 28}, {1, 1}, {1, 1}, {1, 1}},
      {"three channels", {8, 3, 64, 64}, {64, 3, 7, 7}, {8, 64, 32, 32}, {2, 2}, {3, 3}, {1, 1}},
      {"odd", {2, 9, 15, 16}, {11, 9, 3, 2}, {2, 11, 9, 5}, {2, 3}, {2, 1}, {1, 3}},
      {"one channel per group", {8, 32, 28, 28}, {32, 1, 3, 3}, {8, 32, 28, 28}, {1, 1}, {1, 1}, {1, 1}},
      {"groups", {8, 64, 28, 28}, {64, 16, 3, 3}, {8, 64, 28, 28}, {1, 1}, {1, 1}, {1, 1}},
      {"more padding behind", {2, 32, 9, 9}, {32, 32, 4, 3}, {2, 32, 9, 9}, {1, 1}, {1, 1}, {1, 1}},
      {"a row", {2, 64, 1, 700}, {64, 64, 1, 3}, {2, 64, 1, 700}, {1, 1}, {0, 1}, {1, 1}},
      {"a stem", {64, 3, 224, 224}, {64, 3, 7, 7}, {64, 64, 112, 112}, {2, 2}, {3, 3}, {1, 1}},
      {"3 × 3, every second", {64, 128, 56, 56}, {128, 128, 3, 3}, {64, 128, 28, 28}, {2, 2}, {1, 1}, {1, 1}},
      {"1 × 1", {64, 256, 56, 56}, {64, 256, 1, 1}, {64, 64, 56, 56}, {1, 1}, {0, 0}, {1, 1}},
      {"1 × 1, every second", {64, 256, 56, 56}, {512, 256, 1, 1}, {64, 512, 28, 28}, {2, 2}, {0, 0}, {1, 1}},
      {"a volume", {2, 32, 9, 9, 9}, {32, 32, 3, 3, 3}, {2, 32, 9, 9, 9}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
  };
  for (const Case& each : cases) {
    for (const DType dtype : {DType::kFloat32, DType::kFloat16, DType::kBFloat16}) {
      const bool narrow = size_of(dtype) == 2;
      const bool in_pieces = narrow && each.x.size() == 4 && each.x[1] % 8 == 0 && each.weight[1] == each.x[1];
      for (const bool inside : {false, true}) {
        if (narrow && !inside) continue;
        for (const auto result : {DnnConvolution::kY, DnnConvolution::kGradX, DnnConvolution::kGradWeight}) {
          for (const bool accumulate : {false, true}) {
            if (accumulate && result != DnnConvolution::kY) continue;
            DnnConvolution c{result, tensor(dtype, each.x, inside), tensor(dtype, each.weight, narrow),
                             tensor(dtype, each.y, narrow)};
            std::copy(each.stride.begin(), each.stride.end(), c.stride);
            std::copy(each.pad.begin(), each.pad.end(), c.pad);
            std::copy(each.dilation.begin(), each.dilation.end(), c.dilation);
            c.accumulate = accumulate;
            if (!cudnn.convolve(context, command, c)) {
              std::printf("%s in %s, result %d, channels %s: no engine\n", each.name, name_of(dtype),
                          static_cast<int>(result), inside ? "inside" : "outside");
              return false;
            }
            copying += in_pieces && context.asked >= static_cast<size_t>(c.x.numel()) * size_of(dtype);
          }
        }
      }
    }
  }
  return true;
}

// [b, h, t, d] as a part of [b, t, parts, h, d]; of 0 parts, side by side.
TensorView heads(DType dtype, int64_t b, int64_t h, int64_t t, int64_t d, int64_t parts) {
  TensorView view = tensor(dtype, {b, h, t, d}, false);
  if (parts == 0) return view;
  view.strides[1] = d;
  view.strides[2] = parts * h * d;
  view.strides[0] = t * view.strides[2];
  return view;
}

bool plan_attention(Cudnn& cudnn, NoDevice& context, const Command& command) {
  struct Case {
    int64_t b, h, hk, t, s, d, dv;
    bool causal;
    int64_t parts;
    int64_t runs;  // of the gradient
  };
  const Case cases[] = {
      {4, 16, 16, 1024, 1024, 64, 64, true, 3, 1}, {4, 16, 16, 1024, 1024, 128, 128, true, 1, 1},
      {4, 16, 16, 512, 512, 64, 64, false, 0, 1},  {2, 12, 12, 1000, 1000, 96, 96, true, 3, 1},
      {2, 8, 2, 100, 333, 128, 128, false, 1, 1},  {2, 8, 2, 333, 100, 64, 64, true, 1, 1},
      {2, 4, 4, 256, 256, 32, 32, true, 3, 1},     {2, 4, 4, 256, 256, 256, 256, true, 1, 1},
      {2, 4, 4, 77, 77, 40, 40, false, 0, 1},      {1, 2, 1, 2, 3, 8, 8, true, 0, 1},
      {2, 4, 4, 200, 200, 64, 128, true, 0, 1},    {4, 16, 16, 4096, 4096, 64, 64, true, 0, 4},
  };
  for (const Case& c : cases) {
    for (const DType dtype : {DType::kFloat16, DType::kBFloat16}) {
      DnnAttention a;
      a.q = heads(dtype, c.b, c.h, c.t, c.d, c.parts);
      a.k = heads(dtype, c.b, c.hk, c.s, c.d, c.parts);
      a.v = heads(dtype, c.b, c.hk, c.s, c.dv, c.parts);
      a.y = a.g = heads(dtype, c.b, c.h, c.t, c.dv, c.parts != 0);
      a.gq = heads(dtype, c.b, c.h, c.t, c.d, 0);
      a.gk = heads(dtype, c.b, c.hk, c.s, c.d, 0);
      a.gv = heads(dtype, c.b, c.hk, c.s, c.dv, 0);
      a.lse = tensor(DType::kFloat32, {c.b, c.h, c.t}, false);
      a.causal = c.causal;
      const int before = executed;
      const bool forward = cudnn.attend(context, command, a);
      if (!forward || !cudnn.attend_backward(context, command, a) || executed != before + 1 + c.runs) {
        std::printf("%s, t %d, s %d, d %d in %s: %s\n", c.causal ? "causal" : "plain", static_cast<int>(c.t),
                    static_cast<int>(c.s), static_cast<int>(c.d), name_of(dtype),
                    !forward                 ? "no engine"
                    : executed == before + 1 ? "no engine for the gradient"
                                             : "in other parts");
        return false;
      }
    }
  }
  return true;
}

}  // namespace

int main(int, char** arguments) {
  if (!open_real()) {
    std::printf("cuDNN was not found\n");
    return 1;
  }
  int status = real.create_descriptor(kDeviceProperties, &device);
  if (status == kSuccess) {
    status = real.set_attribute(device, kDeviceJson, kTypeChar, static_cast<int64_t>(std::strlen(kH100) + 1), kH100);
  }
  if (status == kSuccess) status = real.finalize(device);
  if (status != kSuccess) {
    std::printf("no device can be described: %s\n", real.status_string(status));
    return 1;
  }
  const auto cudnn = Cudnn::open(nullptr);
  NoDevice context;
  const bool of_attention = std::string_view(arguments[1]) == "attention";
  if (!(of_attention ? plan_attention : plan_convolutions)(*cudnn, context, Command())) return 1;
  std::printf("%d plans", executed);
  std::printf(of_attention ? "\n" : ", %d with copies\n", copying);
  return 0;
}
