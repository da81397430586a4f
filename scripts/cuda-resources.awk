# Prints a line for each kernel of one compiled file: what ptxas -v says of it.
#
# usage: awk -v family=NAME -v target=sm_80 -f cuda-resources.awk FILE.ptx FILE.log
#
# columns: family kernel target threads regs shared stack spills warps
#   threads  the most that a block may have (the kernel's launch bound), - if it has none
#   regs     registers a thread
#   shared   bytes of shared memory a block, static and dynamic
#   stack    bytes of local memory a thread
#   spills   bytes of registers stored to and loaded from local memory
#   warps    of the 64 that a multiprocessor can hold, how many do at once, by threads, regs
#            and shared; - without a launch bound

BEGIN {
  # Of A100 and H100: 4 files of 16384 registers, given to a warp in units of 256; 32 blocks;
  # shared memory by capability, of which 1 KiB a block is the system's.
  memory = (target == "sm_80" ? 164 : 228) * 1024
}

function number(pattern,   text) { # number returns the number that pattern starts with
  if (!match($0, "[0-9]+ " pattern)) return 0
  text = substr($0, RSTART, RLENGTH)
  return text + 0
}

function least(a, b) { return a < b ? a : b }

function resident(threads, regs, shared,   wide, warps, blocks) {
  if (threads == "-") return "-"
  wide = int((threads + 31) / 32)
  warps = 4 * int(16384 / (256 * int((regs * 32 + 255) / 256)))
  blocks = least(least(int(least(warps, 64) / wide), 32), int(memory / (shared + 1024)))
  return blocks * wide
}

FILENAME ~ /\.ptx$/ {
  if (match($0, /\.entry +[A-Za-z0-9_]+/)) {
    entry = substr($0, RSTART, RLENGTH)
    sub(/.* /, "", entry)
  }
  if (match($0, /\.maxntid .*/)) {
    split(substr($0, RSTART + 9, RLENGTH - 9), size, ",")
    bound[entry] = (size[1] + 0) * (size[2] == "" ? 1 : size[2] + 0) * (size[3] == "" ? 1 : size[3] + 0)
  }
  if (/dynamic shared memory:/) dynamic[entry] = $NF + 0
  next
}

/Compiling entry function/ { split($0, quoted, "'"); kernel = quoted[2]; stack = spills = 0 }
/bytes stack frame/ { stack += number("bytes stack frame"); spills += number("bytes spill stores") + number("bytes spill loads") }
/Used [0-9]+ registers/ {
  threads = kernel in bound ? bound[kernel] : "-"
  regs = number("registers")
  shared = number("bytes smem") + dynamic[kernel]
  print family, kernel, target, threads, regs, shared, stack, spills, resident(threads, regs, shared)
}
