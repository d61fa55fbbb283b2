// Takes the place of the driver for cudnn_check.cc, as libcuda.so.1: cuDNN asks for it when it compiles a kernel, loads that, and asks what it
// needs. Nothing happens here.
#define DOES_NOTHING(name) \
  int name(void) { return 0; }

DOES_NOTHING(cuGetErrorName)
DOES_NOTHING(cuGetErrorString)
DOES_NOTHING(cuCtxGetCurrent)
DOES_NOTHING(cuCtxGetLimit)
DOES_NOTHING(cuCtxPopCurrent)
DOES_NOTHING(cuCtxPushCurrent)
DOES_NOTHING(cuStreamGetCtx)
DOES_NOTHING(cuDeviceGet)
DOES_NOTHING(cuLinkCreate)
DOES_NOTHING(cuLinkAddData)
DOES_NOTHING(cuLinkComplete)
DOES_NOTHING(cuLinkDestroy)
DOES_NOTHING(cuLaunchKernel)
DOES_NOTHING(cuLaunchKernelEx)
DOES_NOTHING(cuLaunchCooperativeKernel)
DOES_NOTHING(cuLibraryUnload)
DOES_NOTHING(cuKernelSetAttribute)

static int answer(int* result, int value) {
  *result = value;
  return 0;
}
int cuDriverGetVersion(int* version) { return answer(version, 13000); }
int cuDeviceGetCount(int* count) { return answer(count, 1); }
int cuKernelGetAttribute(int* value) { return answer(value, 128); }
int cuOccupancyMaxPotentialClusterSize(int* size) { return answer(size, 8); }

static int nothing;
static int hand_out(void** handle) {
  *handle = &nothing;
  return 0;
}
int cuLibraryLoadData(void** library) { return hand_out(library); }
int cuLibraryLoadFromFile(void** library) { return hand_out(library); }
int cuLibraryGetKernel(void** kernel) { return hand_out(kernel); }
