// The library's one door. The command line (src/cli.ts) is built on the same parts.
export { gradcheck } from './autograd/gradcheck.ts';
export { evaluate } from './autograd/run.ts';
export { withoutGrad } from './autograd/recall.ts';
export { backward, checkpoint, record, recordMany, type Gradients } from './autograd/tape.ts';
export { empty, lasting, release, trainable, write, type Tensor } from './autograd/tensor.ts';
export { loadStateDict } from './data/state_dict.ts';
export { readSafetensors, writeSafetensors } from './data/safetensors.ts';
export { listAdapters, openGpu, type Gpu } from './gpu/device.ts';
export { compile, type Executable } from './gpu/executable.ts';
export { dispatch, keep, scope } from './gpu/program.ts';
export { describePlan } from './gpu/plan.ts';
export { forward } from './mtlora/model.ts';
export type { ModelSpec, Task } from './mtlora/spec.ts';
export { ParameterStore } from './mtlora/store.ts';
export * as ops from './ops/index.ts';
export { loadConfig, modelSpec, type Config } from './train/config.ts';
export { compileTrainStep, type TrainStep } from './train/step.ts';
