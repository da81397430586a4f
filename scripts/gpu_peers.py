"""Times the ops of `optin selftest` as PyTorch computes them (cuBLAS, its own kernels, and
FlashAttention where that is installed), at the same shapes: for scripts/gpu-check.sh.

    gpu_peers.py [--device cuda|cpu] [--quick]

Ops have the names that selftest gives them. Beside each stand the library and the number
type, the median of 50 runs, what it moves and computes, and its rates. On a GPU a run is
timed by CUDA events, after a write over all caches and a pause in which all of it is
launched; on the CPU, where this shows only that
the script works, by the clock. --quick has tiny shapes.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F


class Shape:
    """BERT-base, 32 sequences of 128 tokens; or next to nothing."""

    def __init__(self, quick):
        self.sequences, self.length = (2, 8) if quick else (32, 128)
        self.hidden, self.heads, self.neurons = (32, 2, 64) if quick else (768, 12, 3072)
        self.vocabulary = 100 if quick else 30522
        self.rows = self.sequences * self.length


class Clock:
    """Times calls on a device."""

    def __init__(self, dev, quick):
        self.dev, self.runs = dev, 3 if quick else 50
        # 256 MB, more than any cache; on the CPU nothing is flushed.
        self.flush = torch.empty(64 << 20, device=dev) if dev.type == "cuda" else None
        self.ahead = 0  # clock cycles of the GPU in about 2 ms
        if dev.type == "cuda":
            self.ahead = 2 * self.cycles_per_ms()

    def cycles_per_ms(self):
        """Cycles that a GPU sleeps in a millisecond, from one long sleep."""
        cycles = 10_000_000
        for _ in range(2):  # the first wakes the GPU
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            torch.cuda._sleep(cycles)
            stop.record()
            torch.cuda.synchronize(self.dev)
        return int(cycles / start.elapsed_time(stop))

    def once(self, call):
        if self.flush is None:
            start = time.perf_counter()
            call()
            return 1e3 * (time.perf_counter() - start)
        self.flush.zero_()
        # While the GPU sleeps, the host gets ahead: what is timed never waits to be launched.
        torch.cuda._sleep(self.ahead)
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        stop.record()
        torch.cuda.synchronize(self.dev)
        return start.elapsed_time(stop)

    def milliseconds(self, call):
        for _ in range(5):
            call()
        return statistics.median(self.once(call) for _ in range(self.runs))


def elementwise(dev, s):
    """Yields op, library, number type, call, bytes moved at least, operations."""
    x, y = (torch.randn(s.rows, s.hidden, device=dev) for _ in range(2))
    wide, other = (torch.randn(s.rows, s.neurons, device=dev) for _ in range(2))
    gamma, beta = torch.ones(s.hidden, device=dev), torch.zeros(s.hidden, device=dev)
    table = torch.randn(s.vocabulary, s.hidden, device=dev)
    ids = torch.randint(s.vocabulary, (s.rows,), device=dev)
    narrow, broad = 4 * x.numel(), 4 * wide.numel()
    yield "Copy", "torch", "float32", lambda: y.copy_(x), 2 * narrow, 0
    yield "Embed", "torch", "float32", lambda: F.embedding(ids, table) + x, 3 * narrow, 0
    yield "LayerNorm", "torch", "float32", lambda: F.layer_norm(x + y, (s.hidden,), gamma, beta), 3 * narrow, 0
    yield "Activate", "torch", "float32", lambda: F.gelu(wide), 2 * broad, 0
    yield "Add", "torch", "float32", lambda: x + y, 3 * narrow, 0
    yield "Softmax", "torch", "float32", lambda: torch.softmax(wide, 1), 2 * broad, 0

    probabilities = torch.softmax(wide, 1)
    yield ("SoftmaxBackward", "torch", "float32",
           lambda: torch._softmax_backward_data(other, probabilities, 1, torch.float32), 3 * broad, 0)
    _, mean, rstd = torch.native_layer_norm(x, (s.hidden,), gamma, beta, 1e-12)
    dy = torch.randn_like(x)
    yield ("LayerNormBackward", "torch", "float32",
           lambda: torch.ops.aten.native_layer_norm_backward(
               dy, x, (s.hidden,), mean, rstd, gamma, beta, (True, False, False)), 3 * narrow, 0)


def products(dev, s):
    """Yields as elementwise does; a product in float32 is cuBLAS's on a GPU."""
    library = "cuBLAS" if dev.type == "cuda" else "torch"
    for inner, outer in ((s.hidden, s.hidden), (s.hidden, s.neurons), (s.neurons, s.hidden)):
        x = torch.randn(s.rows, inner, device=dev)
        w, b = torch.randn(outer, inner, device=dev), torch.randn(outer, device=dev)
        done = 2 * s.rows * inner * outer
        moved = 4 * (x.numel() + w.numel() + s.rows * outer)
        op = f"Linear {inner} to {outer}"
        for tf32 in (False, True) if dev.type == "cuda" else (False,):
            def call(x=x, w=w, b=b, tf32=tf32):
                torch.backends.cuda.matmul.allow_tf32 = tf32
                return F.linear(x, w, b)
            yield op, library, "tf32" if tf32 else "float32", call, moved, done
        torch.backends.cuda.matmul.allow_tf32 = False
        for kind in (torch.bfloat16, torch.float16):
            xh, wh, bh = x.to(kind), w.to(kind), b.to(kind)
            yield op, library, str(kind).removeprefix("torch."), lambda xh=xh, wh=wh, bh=bh: F.linear(xh, wh, bh), moved // 2, done


def attention(dev, s):
    """Yields as elementwise does; forward, then forward and backward together."""
    shape = (s.sequences, s.heads, s.length, s.hidden // s.heads)
    done = 4 * s.rows * s.length * s.hidden

    def both(f, q, k, v, dy):
        for t in (q, k, v):
            t.grad = None
        f(q, k, v).backward(dy)

    for kind in (torch.float32, torch.bfloat16):
        q, k, v, dy = (torch.randn(shape, device=dev, dtype=kind) for _ in range(4))
        moved = 4 * q.numel() * q.element_size()
        name = str(kind).removeprefix("torch.")
        sdpa = F.scaled_dot_product_attention
        yield "Attention", "torch SDPA", name, lambda q=q, k=k, v=v: sdpa(q, k, v), moved, done
        leaves = [t.detach().clone().requires_grad_() for t in (q, k, v)]
        yield ("Attention, both ways", "torch SDPA", name,
               lambda leaves=leaves, dy=dy: both(sdpa, *leaves, dy), 12 * q.numel() * q.element_size(), 7 * done // 2)
    if dev.type != "cuda":
        print("FlashAttention runs on GPUs alone: NOT TIMED")
        return
    try:
        from flash_attn import flash_attn_func
    except ImportError:
        print("flash_attn is not installed: NOT TIMED")
        return
    # It takes sequences before heads.
    q, k, v, dy = (t.transpose(1, 2).contiguous() for t in (q, k, v, dy))
    yield "Attention", "FlashAttention", "bfloat16", lambda: flash_attn_func(q, k, v), moved, done
    leaves = [t.detach().clone().requires_grad_() for t in (q, k, v)]
    yield ("Attention, both ways", "FlashAttention", "bfloat16",
           lambda: both(flash_attn_func, *leaves, dy), 12 * q.numel() * q.element_size(), 7 * done // 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, few runs")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        parser.exit(1, "gpu_peers: PyTorch sees no CUDA device\n")
    dev = torch.device(args.device, 0)
    name = torch.cuda.get_device_name(dev) if dev.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    shape = Shape(args.quick)
    print(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {name}")
    print(f"{shape.sequences} sequences of {shape.length} tokens, width {shape.hidden}, {shape.heads} heads, {shape.neurons} neurons")
    clock = Clock(dev, args.quick)
    print(f"{'op':22} {'by':14} {'type':9} {'ms':>9} {'MB':>8} {'GB/s':>8} {'Gop':>8} {'TFLOP/s':>8}")
    for cases in (elementwise, products, attention):
        for op, library, kind, call, moved, done in cases(dev, shape):
            ms = clock.milliseconds(call)
            rate = f"{done / 1e9:8.3f} {done / ms / 1e9:8.2f}" if done else f"{'':8} {'':8}"
            print(f"{op:22} {library:14} {kind:9} {ms:9.4f} {moved / 1e6:8.2f} {moved / ms / 1e6:8.1f} {rate}".rstrip())


if __name__ == "__main__":
    main()
