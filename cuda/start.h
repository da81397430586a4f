#ifndef OPTIN_CUDA_START_H_
#define OPTIN_CUDA_START_H_

// optin_cuda_start loads NVIDIA's driver library and starts it: *status is what its cuInit
// gave. Where there is no library it returns why, and leaves *status alone.
const char *optin_cuda_start(int *status);

#endif
