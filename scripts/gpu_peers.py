"""Times what optin's CUDA kernels compute as PyTorch does it (cuBLAS, its own kernels, and
FlashAttention where that is installed), in BERT-base shapes: for scripts/gpu-check.sh.

A line is: operation, library, milliseconds (the median of 50 runs by CUDA events, each after
a write over the second-level cache), then the share of bytes a second that a copy reaches or
the rate of operations.
"""

import statistics
import sys

import torch
import torch.nn.functional as F

ROWS, HIDDEN, NEURONS, HEADS, LENGTH = 8192, 768, 3072, 12, 128


def milliseconds(call, flush):
    for _ in range(5):
        call()
    times = []
    for _ in range(50):
        flush.zero_()
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        stop.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(stop))
    return statistics.median(times)


def operations(dev):
    """Yields operation, library, call, bytes moved at least, operations."""
    x = torch.randn(ROWS, HIDDEN, device=dev)
    w = torch.randn(NEURONS, HIDDEN, device=dev)
    b = torch.randn(NEURONS, device=dev)
    gamma, beta = torch.ones(HIDDEN, device=dev), torch.zeros(HIDDEN, device=dev)
    y = torch.empty_like(x)
    wide = torch.randn(ROWS, NEURONS, device=dev)
    product = 2 * ROWS * HIDDEN * NEURONS
    plain = 4 * (x.numel() + w.numel() + wide.numel())

    yield "copy", "torch", lambda: y.copy_(x), 8 * x.numel(), 0
    torch.backends.cuda.matmul.allow_tf32 = False
    yield "linear+bias float32", "cuBLAS", lambda: F.linear(x, w, b), plain, product
    torch.backends.cuda.matmul.allow_tf32 = True
    yield "linear+bias tf32", "cuBLAS", lambda: F.linear(x, w, b), plain, product
    torch.backends.cuda.matmul.allow_tf32 = False
    for kind in (torch.bfloat16, torch.float16):
        xh, wh, bh = x.to(kind), w.to(kind), b.to(kind)
        yield f"linear+bias {kind}", "cuBLAS", lambda: F.linear(xh, wh, bh), plain // 2, product
    yield "gelu", "torch", lambda: F.gelu(wide), 8 * wide.numel(), 0
    yield "layer norm + residual", "torch", lambda: F.layer_norm(x + y, (HIDDEN,), gamma, beta), 12 * x.numel(), 0
    yield "softmax", "torch", lambda: torch.softmax(wide, 1), 8 * wide.numel(), 0

    shape = (ROWS // LENGTH, HEADS, LENGTH, HIDDEN // HEADS)
    attention = 4 * ROWS * LENGTH * HIDDEN
    for kind in (torch.float32, torch.bfloat16):
        q, k, v = (torch.randn(shape, device=dev, dtype=kind) for _ in range(3))
        moved = 4 * q.numel() * q.element_size()
        yield f"attention {kind}", "torch SDPA", lambda: F.scaled_dot_product_attention(q, k, v), moved, attention
    try:
        from flash_attn import flash_attn_func
    except ImportError:
        print("flash_attn is not installed: not timed")
        return
    q, k, v = (t.transpose(1, 2).contiguous() for t in (q, k, v))
    yield "attention bf16", "FlashAttention", lambda: flash_attn_func(q, k, v), moved, attention


def main():
    if not torch.cuda.is_available():
        sys.exit("gpu_peers: PyTorch sees no CUDA device")
    dev = torch.device("cuda", 0)
    print(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {torch.cuda.get_device_name(dev)}")
    flush = torch.empty(64 << 20, device=dev)  # 256 MB, more than any cache
    copy = None
    for name, library, call, moved, done in operations(dev):
        ms = milliseconds(call, flush)
        copy = copy or moved / ms  # the first is the copy
        line = f"{name:28} {library:15} {ms:9.4f} ms  {100 * moved / ms / copy:5.1f} % of the copy's bytes"
        print(line + (f"  {done / ms / 1e9:8.1f} TFLOP/s" if done else ""))


if __name__ == "__main__":
    main()
