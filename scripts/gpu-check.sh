#!/usr/bin/env bash
# Everything that wants a GPU, in one command, for a machine that has one: compiles and
# builds, runs the conformance suite and the self-test on the device, the memory and race
# checkers, a pruning from end to end, and the timings beside those of cuBLAS, PyTorch and
# FlashAttention; and writes one report. What fails is in the report and
# the rest still runs; what cannot be run is named, on the terminal and in the report.
#
# usage: scripts/gpu-check.sh [--emulated] [--only REGEX] [REPORT]    default: results/gpu-check.md
#
# --only runs the steps after the builds whose titles match, and names the others.
# --emulated is for a machine without a GPU: the kernels run on the emulator, at tiny shapes.
# It shows that the steps work, and nothing of a GPU's speed; and it adds what only the
# emulator can do: the compiler's sanitizers, and mutants of the kernels.
#
# One device is used, the first, or that of CUDA_VISIBLE_DEVICES (numbers are nvidia-smi's; where
# it has several, or there are several, tests for several run on all of them). Tools are looked
# for on the path and in CUDA_HOME; PYTHON names the Python that has PyTorch.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

refuse() {
  echo "gpu-check: $1; usage: scripts/gpu-check.sh [--emulated] [--only REGEX] [REPORT]" >&2
  exit 2
}

emulated='' only='' report=''
while [ $# -gt 0 ]; do
  case $1 in
    --emulated) emulated=1 ;;
    --only)
      only=${2:-}
      [ -n "$only" ] || refuse "--only wants a regular expression"
      shift
      ;;
    -*) refuse "unknown option $1" ;;
    *)
      [ -z "$report" ] || refuse "two reports, $report and $1"
      report=$1
      ;;
  esac
  shift
done
[[ '' =~ $only ]] || [ $? -eq 1 ] || refuse "--only: $only is no regular expression"
readonly report=${report:-results/gpu-check.md} emulated only python=${PYTHON:-python3}

if [ -z "$emulated" ]; then
  if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L 2>/dev/null | grep '^GPU' >/dev/null; then
    echo "gpu-check: no GPU that NVIDIA's driver sees (nvidia-smi -L), so nothing was checked; --emulated tries the steps without one" >&2
    exit 1
  fi
  export CUDA_DEVICE_ORDER=PCI_BUS_ID # as nvidia-smi counts
  every=${CUDA_VISIBLE_DEVICES:-$(nvidia-smi --query-gpu=index --format=csv,noheader | paste -sd , | tr -d ' ')}
  export CUDA_VISIBLE_DEVICES=${every%%,*}
  readonly every
fi

mkdir -p "$(dirname "$report")" bin || exit
[ ! -d "$report" ] || refuse "$report is a folder, and a report is a file"
: >"$report.new" || { echo "gpu-check: the report could not be written there: nothing was checked" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work" "$report.new"' EXIT
trap 'echo "gpu-check: stopped" >&2; finish; exit 130' INT TERM
readonly text=$work/report.md
passed=() failed=() missing=() matched=''

section() { # section TITLE COMMAND...: runs it, with the end of what it printed in the report
  local title=$1 status started=$SECONDS verdict=passed
  shift
  echo "== $title" >&2
  "$@" >"$work/out" 2>&1
  status=$?
  if [ "$status" -eq 0 ]; then
    passed+=("$title")
  else
    verdict="FAILED (status $status)"
    failed+=("$title")
    echo "   $verdict: $(tail -n 1 "$work/out")" >&2
  fi
  {
    printf '\n## %s: %s in %d s\n\n```text\n$ %s\n' "$title" "$verdict" $((SECONDS - started)) "${*//"$work"/WORK}"
    tail -n 200 "$work/out" | sed "s#$work#WORK#g; s#$PWD/##g"
    printf '```\n'
  } >>"$text"
}

check() { # check TITLE COMMAND...: section, unless --only leaves it out
  if [ -n "$only" ] && [[ ! $1 =~ $only ]]; then
    skip "$1" "Left out by --only."
  else
    matched=1
    section "$@"
  fi
}

skip() { # skip TITLE WHY
  echo "== $1: NOT RUN: $2" >&2
  printf '\n## %s: NOT RUN\n\n%s\n' "$1" "$2" >>"$text"
  missing+=("$1")
}

find_tool() { # find_tool NAME: on the path or in the toolkit
  command -v "$1" && return
  local file
  for file in "${CUDA_HOME:-/usr/local/cuda}"/{bin,compute-sanitizer}/"$1"; do
    if [ -x "$file" ]; then echo "$file" && return; fi
  done
  return 1
}

list() { # list TITLE...: with semicolons between them
  local IFS=';'
  echo "${*:-none}" | sed 's/;/; /g'
}

# finish writes the report, of what has been done until now.
finish() {
  {
    printf '\n## Summary\n\n'
    echo "- passed: $(list ${passed[@]+"${passed[@]}"})"
    echo "- FAILED: $(list ${failed[@]+"${failed[@]}"})"
    echo "- NOT RUN: $(list ${missing[@]+"${missing[@]}"})"
  } >>"$text"
  tail -n 3 "$text" >&2
  if cp "$text" "$report.new" && mv "$report.new" "$report"; then
    echo "gpu-check: wrote $report" >&2
    return
  fi
  trap 'rm -f "$report.new"' EXIT
  echo "gpu-check: $report cannot be written: the report is in $text" >&2
  exit 1
}

# ask FIELDS [FORMAT]: of the device that is used, by its number or its UUID.
ask() { nvidia-smi -i "$CUDA_VISIBLE_DEVICES" --query-gpu="$1" --format="csv${2:-}"; }

# The newer name of what slows a GPU down came with driver 535.
afterwards() {
  local rest=clocks.sm,clocks.mem,temperature.gpu,power.draw
  ask "$rest,clocks_event_reasons.active" || ask "$rest,clocks_throttle_reasons.active"
}

# without_cublas lists the ops whose checks make no call of cuBLAS.
without_cublas() {
  "$program" selftest --device cuda --threads 1 --quick --time=false |
    awk '$2 ~ /^[0-9]+$/ && $1 !~ /^(Linear.*|MatMul|GramAdd|ManifoldLoss|ManifoldLoss.*Backward|Memory|Weight|all)$/ { print $1 }' | paste -sd ,
}

# try_without_cublas lets the emulator's cuBLAS fail, so that the list is known to be right.
try_without_cublas() {
  local ops
  ops=$(without_cublas) || return
  CUEMU_BLAS_NEEDS=1000000000000000 "$program" selftest --device cuda --threads 1 --quick --time=false --ops "$ops"
}

# sanitize TOOL: this project's kernels alone where that is asked of the tool; of those of
# cuBLAS there is nothing to mend. To leave them out of initcheck would leave what they write
# uninitialized in its eyes, so there all ops are left out that call cuBLAS.
sanitize() {
  local how=(--tool "$1" --report-api-errors no --error-exitcode 9) what=() help ops command
  case $1 in
    racecheck)
      help=$("$checker" --help)
      case $help in
        *--kernel-name*) how+=(--kernel-name kernel_substring=optin_) ;;
        *) how+=(--kernel-regex kernel_substring=optin_) ;; # before 2023
      esac
      ;;
    initcheck)
      ops=$(without_cublas) || return
      what=(--ops "$ops")
      ;;
  esac
  command=(timeout 20m "$checker" "${how[@]}" "$program" selftest --device cuda --threads 1 --quick --time=false ${what[@]+"${what[@]}"})
  echo "\$ ${command[*]}"
  "${command[@]}"
}

device="the emulator, on no GPU: times say nothing"
if [ -z "$emulated" ]; then device=$(ask name ,noheader) || device="device $CUDA_VISIBLE_DEVICES"; fi
{
  echo "# CUDA on $device"
  echo
  echo "$(date -u +%Y-%m-%d), revision $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with changes'), by scripts/gpu-check.sh."
} >"$text"

if [ -z "$emulated" ]; then
  section "machine" nvidia-smi --query-gpu=index,name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit,mig.mode.current --format=csv
else
  skip "machine" "The emulator has no clocks, no power limit, and no other programs on it."
fi
section "set-up" scripts/setup
section "compilers" scripts/cuda-toolkit
if [ -z "$emulated" ]; then
  section "cuBLAS" scripts/cublas
  folder=$(scripts/cublas 2>/dev/null)
  [ -z "$folder" ] || export LD_LIBRARY_PATH="$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
else
  skip "cuBLAS" "The emulator has its own."
fi
program=bin/optin-cuda size=()
if [ -z "$emulated" ]; then
  section "kernels and programs" make build cuda
else
  skip "kernels and programs" "The emulator runs the kernels' source. scripts/cuda-compile compiles them for real chips, without a GPU too, which takes a while."
  size=(--quick)
  program=$work/optin-cuda
  section "emulator" bash -c 'scripts/cuda-emulator >"$1"' - "$work/settings"
  # shellcheck disable=SC1091
  . "$work/settings"
  section "program for the emulator" scripts/cuda-build go build -tags cuda -o "$program" ./bench/cmd/optin
fi
check "registers, shared memory and spills" cat kernels/cuda/resources.txt
check "conformance" scripts/test-cuda
if [ -n "$emulated" ]; then
  skip "several devices" "The emulator's several devices are in the conformance section."
elif [[ $every == *,* ]]; then
  check "several devices ($every)" env CUDA_VISIBLE_DEVICES="$every" scripts/test-cuda -run 'TwoDevices|NumberOfDevices|SharedMemory|GPUs'
else
  skip "several devices" "There is one: $every."
fi
check "self-test: each op against its roofline (products are cuBLAS's)" "$program" selftest --device cuda --threads 1 ${size[@]+"${size[@]}"}
for precision in tf32 bf16 fp16; do # products with weights are this project's own, beside cuBLAS's under PyTorch
  check "self-test in $precision" "$program" selftest --device cuda --threads 1 --precision "$precision" --ops Linear ${size[@]+"${size[@]}"}
done

if [ -n "$emulated" ]; then
  check "conformance under the address and undefined-behaviour sanitizers" env SANITIZE=1 scripts/test-cuda
  check "mutants: barriers and guards taken out" bash -o pipefail -c "scripts/mutate | grep -E '^(survived|mutate:)'"
  skip "memory, race and synchronization checkers" "compute-sanitizer looks at code that runs on a GPU."
  check "ops for initcheck, with a cuBLAS that fails" try_without_cublas
elif checker=$(find_tool compute-sanitizer); then
  for tool in memcheck racecheck synccheck initcheck; do
    check "$tool" sanitize "$tool"
  done
else
  skip "memory, race and synchronization checkers" "compute-sanitizer is not installed; it comes with NVIDIA's toolkit (set CUDA_HOME)."
fi

# A pruning from end to end, proved by the program itself, and its speed with telemetry.
job=(--model experiments/models/bert-wordnet --task wordnet --device cuda --output "$work/results")
scoring=(--set score.samples=64) timing=(--set 'measure.batch=[1, 32]')
if [ -n "$emulated" ]; then
  scoring=(--method magnitude --set score.samples=2)
  timing=(--set measure.batch=1 --set measure.samples=6 --set measure.min_time=0 --set measure.end_to_end=false)
fi
for workers in 1 2; do # which of them is faster on one GPU, the first lines tell
  check "score with $workers at once on one device" "$program" score "${job[@]}" "${scoring[@]}" --threads "$workers" --output "$work/workers-$workers"
done
check "prune" "$program" prune "${job[@]}" --keep 0.5 "${scoring[@]}" --out "$work/pruned"
check "time, dense against pruned" "$program" time "${job[@]}" --pruned "$work/pruned" "${timing[@]}"

if ! "$python" -c 'import torch' 2>/dev/null; then
  skip "PyTorch and FlashAttention" "PyTorch is not installed for $python (set PYTHON)."
elif [ -n "$emulated" ]; then
  check "PyTorch, on the CPU at tiny shapes" "$python" scripts/gpu_peers.py --device cpu --quick
else
  check "PyTorch and FlashAttention" "$python" scripts/gpu_peers.py
  "$python" -c 'import flash_attn' 2>/dev/null || skip "FlashAttention" "flash_attn is not installed for $python."
fi
check "planned floors" go run ./bench/cmd/roofline
if [ -z "$emulated" ]; then
  check "clocks and temperature afterwards" afterwards
fi

finish
if [ -n "$only" ] && [ -z "$matched" ]; then
  echo "gpu-check: no step's title matches --only $only: see \"NOT RUN\" for them" >&2
  exit 2
fi
[ ${#failed[@]} -eq 0 ]
