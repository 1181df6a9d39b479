// The adapted layer in TensorFlow.js on its WebGPU backend, with its own gradients.
import { settled } from '../../src/gpu/wait.ts';
import { ranksOf, SCALE } from '../support/lora_case.ts';
import { installWebGpu, serve } from './server.ts';

installWebGpu();
const tf = await import('@tensorflow/tfjs');
await import('@tensorflow/tfjs-backend-webgpu');
await tf.setBackend('webgpu');
await tf.ready();
const backend = tf.backend();

serve({ name: `TensorFlow.js ${tf.version.tfjs}` }, (inputs, each) => {
  const { m, k, n, own } = each;
  const ranks = ranksOf(each);
  const at = ranks.map((_, g) => ranks.slice(0, g).reduce((a, b) => a + b, 0));
  const rows = (data, from, count, width) =>
    tf.tensor2d(data.slice(from * width, (from + count) * width), [count, width]);
  const x = Array.from({ length: own ? ranks.length : 1 }, (_, g) => rows(inputs.x, g * m, m, k));
  const a = ranks.map((rank, g) => rows(inputs.a, at[g], rank, k));
  const bt = ranks.map((rank, g) => rows(inputs.bt, at[g], rank, n));
  const [w, bias] = [rows(inputs.w, 0, n, k), tf.tensor1d(inputs.bias)];
  const dy = rows(inputs.dy, 0, ranks.length * m, n);
  const trained = [...x, ...a, ...bt];

  // one tensor comes out, as tf.grads takes no other
  const layer = (...values) => {
    const [xs, as] = [values.slice(0, x.length), values.slice(x.length, x.length + ranks.length)];
    const bts = values.slice(x.length + ranks.length);
    const base = tf.add(tf.matMul(xs[0], w, false, true), bias);
    return tf.concat(ranks.map((_, g) => {
      const low = tf.matMul(tf.matMul(xs[own ? g : 0], as[g], false, true), bts[g]);
      return tf.add(base, tf.mul(low, SCALE));
    }), 0);
  };
  const gradients = tf.grads(layer);
  const done = async () => {
    if (backend.commandEncoder) {
      backend.endComputePassEncoder();
      backend.submitQueue();
    }
    await settled(backend.queue.onSubmittedWorkDone());
  };
  return {
    async run(what) {
      const outputs = tf.tidy(() => what === 'forward' ? layer(...trained) : gradients(trained, dy));
      await done();
      tf.dispose(outputs);
    },
    async values() {
      const [y, found] = tf.tidy(() => [layer(...trained), gradients(trained, dy)]);
      const join = async (tensors) => tf.tidy(() => tf.concat(tensors, 0)).data();
      return {
        y: await y.data(), dx: await join(found.slice(0, x.length)),
        da: await join(found.slice(x.length, x.length + ranks.length)),
        dbt: await join(found.slice(x.length + ranks.length)),
      };
    },
    free() {
      tf.dispose([...trained, w, bias, dy]);
    },
  };
});
