"""MTLoRA on Swin-T in plain PyTorch: the same training step as bench/step.ts, op by op as eager code writes it.

Stands by as a process: prints a line of JSON once the model is built, then runs one step (forward, losses, backward,
clip, AdamW) for each line on stdin and answers it with a line of JSON.

  python3 torch_step.py --img 224 --tasks semseg,normals,sal,human_parts --threads 1
"""
import argparse
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

OUTPUTS = {"semseg": 21, "human_parts": 7, "sal": 1, "normals": 3, "edge": 1, "depth": 1}
# newer PyTorch has a fused kernel, which the release does not use: beside it we must stand all the same
FUSED_ATTENTION = hasattr(F, "scaled_dot_product_attention")
WEIGHTS = {"semseg": 1, "human_parts": 2, "sal": 5, "edge": 50, "normals": 10, "depth": 1}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--img", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--tasks", default="semseg,normals,sal,human_parts")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--depths", default="2,2,6,2")
    parser.add_argument("--embed", type=int, default=96)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--task-rank", type=int, default=4)
    parser.add_argument("--scale", type=float, default=4.0)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--drop-path", type=float, default=0.2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="f32")
    parser.add_argument("--compile", action="store_true")
    return parser.parse_args()


class AdaptedLinear(nn.Module):
    """Frozen W and b; a shared low-rank pair; a pair for each task that comes out."""

    def __init__(self, args, inputs, outputs, tasks=()):
        super().__init__()
        self.base = nn.Linear(inputs, outputs)
        self.base.requires_grad_(False)
        self.scale, self.dropout, self.tasks = args.scale, args.dropout, tasks
        self.a, self.b = self.pair(args.rank, inputs, outputs)
        pairs = [self.pair(args.task_rank, inputs, outputs) for _ in tasks]
        self.task_a = nn.ParameterList([a for a, _ in pairs])
        self.task_b = nn.ParameterList([b for _, b in pairs])

    @staticmethod
    def pair(rank, inputs, outputs):
        return (nn.Parameter(torch.randn(rank, inputs) * inputs ** -0.5),
                nn.Parameter(torch.randn(outputs, rank) * 0.01))

    def forward(self, x, streams=None):
        base = self.base(x)
        dropped = F.dropout(x, self.dropout, self.training)
        shared = base + self.scale * F.linear(F.linear(dropped, self.a), self.b)
        if not self.tasks:
            return shared, None
        own = streams if streams is not None else [dropped] * len(self.tasks)
        return shared, [base + self.scale * F.linear(F.linear(v, a), b)
                        for v, a, b in zip(own, self.task_a, self.task_b)]


def drop_path(x, rate, training):
    if rate == 0 or not training:
        return x
    kept = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= rate
    return x * (kept / (1 - rate))


class Block(nn.Module):
    WINDOW = 7

    def __init__(self, args, channels, side, heads, index, rate, tasks):
        super().__init__()
        self.heads, self.side, self.rate = heads, side, rate
        self.shift = self.WINDOW // 2 if index % 2 and side > self.WINDOW else 0
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.qkv = AdaptedLinear(args, channels, 3 * channels)
        self.proj = AdaptedLinear(args, channels, channels, tasks)
        self.fc1 = AdaptedLinear(args, channels, 4 * channels, tasks)
        self.fc2 = AdaptedLinear(args, 4 * channels, channels, tasks)
        w = self.WINDOW
        self.table = nn.Parameter(torch.randn((2 * w - 1) ** 2, heads) * 0.02)
        y, x = torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")
        dy = y.flatten()[:, None] - y.flatten()[None] + w - 1
        dx = x.flatten()[:, None] - x.flatten()[None] + w - 1
        self.register_buffer("index", dy * (2 * w - 1) + dx)
        self.register_buffer("mask", self.shift_mask() if self.shift else None)

    def shift_mask(self):
        side, w = self.side, self.WINDOW
        region = torch.zeros(side, dtype=torch.long)
        region[side - w:side - self.shift] = 1
        region[side - self.shift:] = 2
        ids = self.windows((3 * region[:, None] + region[None]).view(1, side, side, 1)).squeeze(-1)
        return (ids[:, None] != ids[:, :, None]).float() * -100

    def windows(self, x):
        b, h, _, c = x.shape
        w = self.WINDOW
        return x.view(b, h // w, w, h // w, w, c).transpose(2, 3).reshape(-1, w * w, c)

    def map(self, x):
        side, w, c = self.side, self.WINDOW, x.shape[-1]
        x = x.view(-1, side // w, side // w, w, w, c).transpose(2, 3).reshape(-1, side, side, c)
        if self.shift:
            x = torch.roll(x, (self.shift, self.shift), (1, 2))
        return x.reshape(-1, side * side, c)

    def attention(self, x):
        b, n, c = x.shape
        h = self.norm1(x).view(b, self.side, self.side, c)
        if self.shift:
            h = torch.roll(h, (-self.shift, -self.shift), (1, 2))
        qkv, _ = self.qkv(self.windows(h))
        area = qkv.shape[1]
        q, k, v = qkv.view(-1, area, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        mixed = self.attend(q, k, v).transpose(1, 2).reshape(-1, area, c)
        shared, tasks = self.proj(mixed)
        return self.map(shared), tasks and [self.map(t) for t in tasks]

    def attend(self, q, k, v):
        windows, heads, area, depth = q.shape
        bias = self.table[self.index].permute(2, 0, 1)[None]
        if self.mask is not None:
            bias = bias[:, None] + self.mask[None, :, None]
        if FUSED_ATTENTION:
            if self.mask is not None:
                bias = bias.expand(windows // len(self.mask), -1, -1, -1, -1).reshape(q.shape[:2] + (area, area))
            return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        scores = (q * depth ** -0.5) @ k.transpose(-2, -1)
        if self.mask is not None:
            scores = scores.view(-1, len(self.mask), heads, area, area)
        return (scores + bias).view(windows, heads, area, area).softmax(-1) @ v

    def forward(self, x):
        drop = lambda t: drop_path(t, self.rate, self.training)
        shared, tasks = self.attention(x)
        streams = tasks and [x + drop(t) for t in tasks]
        x = x + drop(shared)
        hidden, own = self.fc1(self.norm2(x), streams and [self.norm2(s) for s in streams])
        out, outs = self.fc2(F.gelu(hidden), own and [F.gelu(t) for t in own])
        return x + drop(out), streams and [s + drop(t) for s, t in zip(streams, outs)]


class Merging(nn.Module):
    def __init__(self, channels, side):
        super().__init__()
        self.side, self.norm = side, nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x):
        b, _, c = x.shape
        x = x.view(b, self.side, self.side, c)
        parts = [x[:, i::2, j::2] for i, j in ((0, 0), (1, 0), (0, 1), (1, 1))]
        return self.reduction(self.norm(torch.cat(parts, -1).view(b, -1, 4 * c)))


class Head(nn.Module):
    WIDTHS = (18, 36, 72, 144)

    def __init__(self, channels, outputs):
        super().__init__()
        self.narrow = nn.ModuleList(nn.Conv2d(c, d, 1, bias=False) for c, d in zip(channels, self.WIDTHS))
        k = sum(self.WIDTHS)
        self.last = nn.Sequential(nn.Conv2d(k, 4 * k, 1), nn.BatchNorm2d(4 * k), nn.ReLU(), nn.Conv2d(4 * k, outputs, 1))

    def forward(self, features, size):
        maps = [conv(x) for conv, x in zip(self.narrow, features)]
        side = maps[0].shape[-2:]
        maps = [maps[0]] + [F.interpolate(m, side, mode="bilinear") for m in maps[1:]]
        return F.interpolate(self.last(torch.cat(maps, 1)), (size, size), mode="bilinear")


class Model(nn.Module):
    def __init__(self, args, tasks):
        super().__init__()
        self.img, self.tasks = args.img, tasks
        depths = [int(d) for d in args.depths.split(",")]
        channels, side = args.embed, args.img // 4
        self.patch, self.norm = nn.Conv2d(3, channels, 4, 4), nn.LayerNorm(channels)
        rates = torch.linspace(0, args.drop_path, sum(depths)).tolist()
        self.stages, self.merges, self.shapes = nn.ModuleList(), nn.ModuleList(), []
        for stage, depth in enumerate(depths):
            self.stages.append(nn.ModuleList(
                Block(args, channels, side, channels // 32, i, rates.pop(0), tasks if i == depth - 1 else ())
                for i in range(depth)))
            if stage < len(depths) - 1:
                self.merges.append(Merging(channels, side))
                channels, side = 2 * channels, side // 2
            self.shapes.append((channels, side))
        self.heads = nn.ModuleList(Head([c for c, _ in self.shapes], OUTPUTS[t]) for t in tasks)

    def forward(self, image):
        x = self.norm(self.patch(image).flatten(2).transpose(1, 2))
        features = [[] for _ in self.tasks]
        for stage, blocks in enumerate(self.stages):
            for block in blocks:
                x, streams = block(x)
            if stage < len(self.merges):
                x, streams = self.merges[stage](x), [self.merges[stage](s) for s in streams]
            c, side = self.shapes[stage]
            for own, s in zip(features, streams):
                own.append(s.transpose(1, 2).reshape(-1, c, side, side))
        return [head(own, self.img) for head, own in zip(self.heads, features)]


def loss_of(task, out, label):
    if task in ("semseg", "human_parts"):
        return F.cross_entropy(out, label, ignore_index=255)
    if task in ("sal", "edge"):
        positive = (label >= 0.5).float()
        weight = 0.95 if task == "edge" else (1 - positive).mean()
        each = F.binary_cross_entropy_with_logits(out, positive, reduction="none")
        return ((weight * positive + (1 - weight) * (1 - positive)) * each).mean()
    mask = label != 255
    if task == "normals":
        out = out / (out.norm(dim=1, keepdim=True) + 1e-12)
    return ((out - label).abs() * mask).sum() / mask.sum().clamp(min=1)


def label_of(task, args):
    shape = (args.batch, args.img, args.img)
    if task in ("semseg", "human_parts"):
        return torch.randint(0, OUTPUTS[task], shape)
    if task == "normals":
        return F.normalize(torch.randn(args.batch, 3, args.img, args.img), dim=1)
    return (torch.rand(args.batch, 1, args.img, args.img) < 0.3).float()


def saved_bytes(run, parameters):
    """Bytes that autograd keeps from forward to backward: each storage once, parameters left out."""
    own, found = {p.data_ptr() for p in parameters}, {}

    def pack(tensor):
        if tensor.data_ptr() not in own:
            found[tensor.storage().data_ptr()] = tensor.storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = run()
    loss.backward()
    return sum(found.values())


def main():
    args = arguments()
    torch.manual_seed(0)
    if args.device == "cpu":
        torch.set_num_threads(args.threads)
    torch.backends.cuda.matmul.allow_tf32 = args.precision == "tf32"
    torch.backends.cudnn.allow_tf32 = args.precision == "tf32"
    tasks = args.tasks.split(",")
    device = torch.device(args.device)
    model = Model(args, tasks).to(device).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.05)
    image = torch.randn(args.batch, 3, args.img, args.img, device=device)
    labels = [label_of(task, args).to(device) for task in tasks]
    call = torch.compile(model) if args.compile else model

    def forward():
        with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "bf16"):
            outs = call(image)
        return sum(WEIGHTS[t] * loss_of(t, out.float(), y) for t, out, y in zip(tasks, outs, labels))

    def step():
        loss = forward()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    kept = saved_bytes(forward, model.parameters()) if not args.compile else None
    optimizer.zero_grad(set_to_none=True)
    about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": args.device,
             "precision": args.precision, "compile": args.compile, "savedBytes": kept,
             "trainable": sum(p.numel() for p in trained)}
    print(json.dumps(about), flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        loss = step()
        spent = (time.process_time() - cpu) * 1e3 if args.device == "cpu" else None
        print(json.dumps({"wallMs": (time.perf_counter() - wall) * 1e3, "cpuMs": spent, "loss": loss}), flush=True)


main()
