// live: what changes from step to step. One small uniform a program, written before each replay.
//
//   step        counts replays since the start of the run, so that random numbers differ from step to step
//   seed        of the run
//   lr          learning rate of this step
//   correction1 1 − β1ᵗ, correction2 1 − β2ᵗ: AdamW's bias corrections, computed in f64 by the host
//   fresh       1 on the first micro-batch of an accumulated step, else 0
struct Live {
  step: u32, seed: u32, lr: f32, correction1: f32, correction2: f32, fresh: u32, pad0: u32, pad1: u32,
}
@group(0) @binding(31) var<uniform> live: Live;
