#!/usr/bin/env bash
# Everything that wants a GPU, in one command, for a machine that has one: compiles and
# builds, runs the conformance suite and the self-test on the device, the memory and race
# checkers, a pruning from end to end, and the timings beside those of cuBLAS, PyTorch and
# FlashAttention; and writes one report. About half an hour. What fails is in the report and
# the rest still runs; what cannot be run is named, on the terminal and in the report.
#
# usage: scripts/gpu-check.sh [--emulated] [--only REGEX] [REPORT]    default: results/gpu-check.md
#
# --only runs the steps after the builds whose titles match, and names the others.
# --emulated is for a machine without a GPU: the kernels run on the emulator, at tiny shapes.
# It shows that the steps work, and nothing of a GPU's speed; and it adds what only the
# emulator can do: the compiler's sanitizers, and mutants of the kernels.
#
# One device is used, the first, or that of CUDA_VISIBLE_DEVICES. Tools are looked for on the
# path and in CUDA_HOME; PYTHON names the Python that has PyTorch.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

emulated='' only=''
while [ $# -gt 0 ]; do
  case $1 in
    --emulated) emulated=1 ;;
    --only) only=${2:?gpu-check: --only wants a regular expression} && shift ;;
    -*) echo "gpu-check: unknown option $1; there are --emulated and --only REGEX" >&2 && exit 2 ;;
    *) break ;;
  esac
  shift
done
readonly report=${1:-results/gpu-check.md} emulated only python=${PYTHON:-python3}

if [ -z "$emulated" ]; then
  if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
    echo "gpu-check: no GPU that NVIDIA's driver sees (nvidia-smi -L), so nothing was checked; --emulated tries the steps without one" >&2
    exit 1
  fi
  export CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0}
fi

mkdir -p "$(dirname "$report")" bin || exit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
readonly text=$work/report.md
passed=() failed=() missing=()

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
    printf '\n## %s: %s in %d s\n\n```text\n$ %s\n' "$title" "$verdict" $((SECONDS - started)) "$*"
    tail -n 200 "$work/out"
    printf '```\n'
  } >>"$text"
}

check() { # check TITLE COMMAND...: section, unless --only leaves it out
  if [ -n "$only" ] && [[ ! $1 =~ $only ]]; then
    skip "$1" "Left out by --only."
  else
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

device="the emulator, on no GPU: times say nothing"
if [ -z "$emulated" ]; then device=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1); fi
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
check "self-test: each op against its roofline (products are cuBLAS's)" "$program" selftest --device cuda --threads 1 ${size[@]+"${size[@]}"}
for precision in tf32 bf16 fp16; do # products with weights are this project's own, beside cuBLAS's under PyTorch
  check "self-test in $precision" "$program" selftest --device cuda --threads 1 --precision "$precision" --ops Linear ${size[@]+"${size[@]}"}
done

if [ -n "$emulated" ]; then
  check "conformance under the address and undefined-behaviour sanitizers" env SANITIZE=1 scripts/test-cuda
  check "mutants: barriers and guards taken out" bash -o pipefail -c "scripts/mutate | grep -E '^(survived|mutate:)'"
  skip "memory, race and synchronization checkers" "compute-sanitizer looks at code that runs on a GPU."
elif checker=$(find_tool compute-sanitizer); then
  for tool in memcheck racecheck synccheck initcheck; do
    check "$tool" "$checker" --tool "$tool" --error-exitcode 9 "$program" selftest --device cuda --threads 1 --quick --time=false
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
  check "clocks and temperature afterwards" nvidia-smi --query-gpu=clocks.sm,clocks.mem,temperature.gpu,power.draw,clocks_throttle_reasons.active --format=csv
fi

{
  printf '\n## Summary\n\n'
  echo "- passed: $(list ${passed[@]+"${passed[@]}"})"
  echo "- FAILED: $(list ${failed[@]+"${failed[@]}"})"
  echo "- NOT RUN: $(list ${missing[@]+"${missing[@]}"})"
} >>"$text"
cp "$text" "$report.new" && mv "$report.new" "$report" || exit
tail -n 3 "$text" >&2
echo "gpu-check: wrote $report" >&2
[ ${#failed[@]} -eq 0 ]
