// Compiles CUDA C++ to PTX with NVIDIA's run-time compiler, which every CUDA toolkit has,
// and which needs no host compiler.
//
// usage: nvrtc LIBRARY
//        nvrtc LIBRARY SOURCE.cu DEST.ptx OPTION...
//
// The first form prints the compiler's version, such as 12.4. The library is opened by
// name when the program runs, so that this builds on a machine without it.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef struct Program *Handle;

static const char *source_name = "nvrtc";

// fail prints what could not be done, to what and why, and ends the program.
static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s: %s\n", source_name, what, why);
  exit(1);
}

static void *library;

// address finds a call of the library. A pointer to an object does not convert to one to
// a function in ISO C, hence the copy.
static void address(void *call, const char *name) {
  void *symbol = dlsym(library, name);
  if (!symbol) fail(name, dlerror());
  memcpy(call, &symbol, sizeof symbol);
}

static void check(const char *what, Result status) {
  const char *(*text)(Result);
  if (!status) return;
  address(&text, "nvrtcGetErrorString");
  fail(what, text(status));
}

static char *allocate(size_t bytes) {
  char *memory = malloc(bytes);
  if (!memory) fail("allocate", "out of memory");
  return memory;
}

static char *read_text(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END)) fail(path, "cannot be read");
  long size = ftell(file);
  if (size < 0) fail(path, "has no size");
  rewind(file);
  char *text = allocate((size_t)size + 1);
  if (fread(text, 1, (size_t)size, file) != (size_t)size) fail(path, "cannot be read in full");
  fclose(file);
  text[size] = 0;
  return text;
}

static void write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "wb");
  if (!file) fail(path, "cannot be written");
  int bad = fputs(text, file) < 0;
  if (fclose(file) || bad) fail(path, "cannot be written in full");
}

// message prints the compiler's warnings and errors, if it has any.
static void message(Handle program) {
  Result (*length)(Handle, size_t *), (*get)(Handle, char *);
  size_t bytes = 0;
  address(&length, "nvrtcGetProgramLogSize");
  address(&get, "nvrtcGetProgramLog");
  check("log", length(program, &bytes));
  char *log = allocate(bytes + 1);
  log[0] = 0;
  check("log", get(program, log));
  fputs(log, stderr);
  free(log);
}

static void compile(const char *source, const char *dest, int options, const char *const *option) {
  Result (*create)(Handle *, const char *, const char *, int, const char *const *,
                   const char *const *);
  Result (*build)(Handle, int, const char *const *);
  Result (*length)(Handle, size_t *), (*get)(Handle, char *);
  address(&create, "nvrtcCreateProgram");
  address(&build, "nvrtcCompileProgram");
  address(&length, "nvrtcGetPTXSize");
  address(&get, "nvrtcGetPTX");

  Handle program;
  char *text = read_text(source);
  check("read", create(&program, text, source, 0, NULL, NULL));
  Result status = build(program, options, option);
  message(program);
  check("compile", status);
  size_t bytes = 0;
  check("result", length(program, &bytes));
  char *ptx = allocate(bytes + 1);
  check("result", get(program, ptx));
  write_text(dest, ptx);
  free(ptx);
  free(text);
}

static void version(void) {
  Result (*get)(int *, int *);
  int major = 0, minor = 0;
  address(&get, "nvrtcVersion");
  check("version", get(&major, &minor));
  printf("%d.%d\n", major, minor);
}

int main(int count, char **word) {
  if (count != 2 && count < 4) fail("usage", "nvrtc LIBRARY [SOURCE.cu DEST.ptx OPTION...]");
  library = dlopen(word[1], RTLD_NOW);
  if (!library) fail(word[1], dlerror());
  if (count == 2) {
    version();
    return 0;
  }
  source_name = word[2];
  compile(word[2], word[3], count - 4, (const char *const *)word + 4);
  return 0;
}
