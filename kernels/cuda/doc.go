// Package cuda holds the CUDA kernels: their sources, and what "make cuda" compiled of
// them for the chips they may run on. It launches nothing; package optin/cuda does.
//
// The sources also compile as C++, under the emulator in emu, which tests them on machines
// without a GPU.
package cuda
