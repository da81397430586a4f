#!/usr/bin/env bash
# Everything that wants a GPU, in one command, for a machine that has one: compiles and
# builds, runs the conformance suite and the self-test on the device, the memory and race
# checkers, and the timings beside those of PyTorch and FlashAttention where installed; and
# writes one report. About 20 minutes. What fails is in the report, and the rest still runs.
#
# usage: scripts/gpu-check.sh [REPORT]    default: results/gpu-check.md
set -uo pipefail
cd "$(dirname "$0")/.." || exit
readonly report=${1:-results/gpu-check.md}

if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
  echo "gpu-check: no GPU that NVIDIA's driver sees (nvidia-smi -L); nothing was checked" >&2
  exit 1
fi
mkdir -p "$(dirname "$report")" bin
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
failed=()

section() { # section TITLE COMMAND...: runs it, with the end of what it printed in the report
  local title=$1 status started=$SECONDS verdict=passed
  shift
  echo "== $title" >&2
  "$@" >"$log/out" 2>&1
  status=$?
  if [ "$status" -ne 0 ]; then verdict="FAILED (status $status)" && failed+=("$title"); fi
  {
    printf '\n## %s: %s in %d s\n\n```text\n$ %s\n' "$title" "$verdict" $((SECONDS - started)) "$*"
    tail -n 120 "$log/out"
    printf '```\n'
  } >>"$report.new"
}

skip() { # skip TITLE WHY
  echo "== $1: not run: $2" >&2
  printf '\n## %s: not run\n\n%s\n' "$1" "$2" >>"$report.new"
}

find_tool() { # find_tool NAME: on the path or in the toolkit
  command -v "$1" && return
  local file
  for file in "${CUDA_HOME:-/usr/local/cuda}"/{bin,compute-sanitizer}/"$1"; do
    if [ -x "$file" ]; then echo "$file" && return; fi
  done
  return 1
}

{
  echo "# CUDA on $(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)"
  echo
  echo "$(date -u +%Y-%m-%d), revision $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with changes'), by scripts/gpu-check.sh."
} >"$report.new"

section "machine" nvidia-smi --query-gpu=index,name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit,mig.mode.current --format=csv
section "compilers" scripts/cuda-toolkit
section "kernels and program" make cuda
section "conformance" scripts/test-cuda
section "self-test" bin/optin-cuda selftest --device cuda
if checker=$(find_tool compute-sanitizer); then
  for tool in memcheck racecheck synccheck initcheck; do
    section "$tool" "$checker" --tool "$tool" --error-exitcode 9 bin/optin-cuda selftest --device cuda --quick
  done
else
  skip "memory and race checks" "compute-sanitizer is not installed; it comes with NVIDIA's toolkit (set CUDA_HOME)."
fi
if python3 -c 'import torch' 2>/dev/null; then
  section "PyTorch" python3 scripts/gpu_peers.py
else
  skip "PyTorch" "PyTorch is not installed for python3."
fi
section "planned floors" go run ./bench/cmd/roofline
section "clocks and temperature afterwards" nvidia-smi --query-gpu=clocks.sm,clocks.mem,temperature.gpu,power.draw,clocks_throttle_reasons.active --format=csv

{
  echo
  if [ ${#failed[@]} -eq 0 ]; then echo "All that ran passed."; else printf 'Failed: %s.\n' "$(IFS=,; echo "${failed[*]}")"; fi
} >>"$report.new"
mv "$report.new" "$report"
echo "gpu-check: wrote $report" >&2
[ ${#failed[@]} -eq 0 ] || { echo "gpu-check: failed: ${failed[*]}" >&2; exit 1; }
