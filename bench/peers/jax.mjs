// The adapted layer in jax-js, jitted, with its own reverse mode.
import { blockUntilReady, defaultDevice, init, jit, numpy as np, vjp } from '@jax-js/jax';
import { ranksOf, SCALE } from '../support/lora_case.ts';
import { installWebGpu, serve } from './server.ts';

installWebGpu();
await init('webgpu');
defaultDevice('webgpu');

serve({ name: 'jax-js 0.1.25' }, (inputs, each) => {
  const { m, k, n, own } = each;
  const ranks = ranksOf(each);
  const at = ranks.map((_, g) => ranks.slice(0, g).reduce((a, b) => a + b, 0));
  const array = (data, shape) => np.array(data).reshape(shape);
  const rows = (data, from, count, width) =>
    array(data.slice(from * width, (from + count) * width), [count, width]);
  const streams = own ? ranks.length : 1;
  const trained = {
    x: Array.from({ length: streams }, (_, g) => rows(inputs.x, g * m, m, k)),
    a: ranks.map((rank, g) => rows(inputs.a, at[g], rank, k)),
    bt: ranks.map((rank, g) => rows(inputs.bt, at[g], rank, n)),
  };
  const frozen = { w: array(inputs.w, [n, k]), bias: array(inputs.bias, [n]) };
  const dys = ranks.map((_, g) => rows(inputs.dy, g * m, m, n));

  const layer = (w, bias) => ({ x, a, bt }) => {
    const base = np.matmul(x[0].ref, w.ref.transpose()).add(bias.ref);
    const outputs = ranks.map((_, g) => {
      const low = np.matmul(np.matmul(x[own ? g : 0].ref, a[g].transpose()), bt[g]);
      return base.ref.add(low.mul(SCALE));
    });
    for (const each of [base, ...x]) each.dispose();
    return outputs;
  };
  const forward = jit(({ w, bias }, params) => layer(w, bias)(params));
  const both = jit(({ w, bias }, params, dy) => {
    const [y, pull] = vjp(layer(w, bias), [params]);
    return [y, pull(dy)[0]];
  });
  const refs = (tree) => {
    if (Array.isArray(tree)) return tree.map((each) => each.ref);
    return Object.fromEntries(Object.entries(tree).map(([name, value]) =>
      [name, Array.isArray(value) ? refs(value) : value.ref]));
  };
  const dispose = (tree) => {
    if (Array.isArray(tree)) tree.forEach(dispose);
    else if (typeof tree.dispose === 'function') tree.dispose();
    else Object.values(tree).forEach(dispose);
  };
  const once = (what) => what === 'forward' ? forward(refs(frozen), refs(trained))
    : both(refs(frozen), refs(trained), refs(dys));
  return {
    async run(what) {
      const outputs = once(what);
      await blockUntilReady(outputs);
      dispose(outputs);
    },
    async values() {
      const [y, { x, a, bt }] = once('both');
      const join = async (arrays) => {
        const parts = [];
        for (const each of arrays) parts.push(await each.data());
        const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
        let end = 0;
        for (const part of parts) {
          whole.set(part, end);
          end += part.length;
        }
        return whole;
      };
      return { y: await join(y), dx: await join(x), da: await join(a), dbt: await join(bt) };
    },
    free() {
      dispose([trained, frozen, dys]);
    },
  };
});
