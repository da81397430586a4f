// All kernels of one instruction set, whose simd_*.h comes first, and their table.
#include <math.h>
#include <omp.h>
#include <string.h>

#include "kernels.h"

#include "math.inc.h"
#include "elementwise.inc.h"
#include "norm.inc.h"
#include "product.inc.h"
#include "rows.inc.h"
#include "loss.inc.h"
#include "attention.inc.h"
#include "derivative.inc.h"
#include "sums.inc.h"
#include "norm_backward.inc.h"
#include "loss_backward.inc.h"
#include "attention_backward.inc.h"
#include "train.inc.h"

#define KERNEL(name, parameters, arguments) .name = name,
#define TABLE(isa)                                                                \
  {                                                                               \
    .name = isa, OPTIN_CPU_KERNELS(KERNEL).attention_scratch = attention_scratch, \
    .attention_backward_scratch = attention_backward_scratch                      \
  }
