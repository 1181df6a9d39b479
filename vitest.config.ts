import { defineConfig } from 'vitest/config';
import { chooseDriver } from './scripts/setup.mjs';

// Workers are forked and inherit this process's environment. Where the launcher has not settled the
// driver (plain `vitest run`), the same search is done here,
// but for the download.
if (!process.env.MTLORA_DRIVER) {
  const { variables } = chooseDriver(process.execPath, console.error, { download: false });
  Object.assign(process.env, variables);
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,               // each drives a GPU, which on a software driver is the CPU
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
