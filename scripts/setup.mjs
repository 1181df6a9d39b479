// Finds a WebGPU adapter for the children to run on: the machine's own, else a software driver in the
// user's cache, which is fetched if it is not there or works no more.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, environmentOf, SOFTWARE_DRIVERS } from '../src/gpu/driver.mjs';
import { fetchLavapipe, lavapipeSource } from './lavapipe.mjs';
import { SetupError } from './setup_error.mjs';
import { fetchSwiftShader, SWIFTSHADER_PACKAGE } from './swiftshader.mjs';

const PROBE = join(import.meta.dirname, 'probe.mjs');
const PROBE_LIMIT_MS = 30_000;
const INSTALL = {
  linux: 'install a Vulkan driver, a GPU vendor\'s or Mesa 24 or later (Debian, Ubuntu: "apt-get install '
    + 'mesa-vulkan-drivers libvulkan1"), or run "npm run setup" without MTLORA_NO_DOWNLOAD, '
    + 'which fetches one',
  darwin: 'WebGPU needs a Mac with Metal',
  win32: 'WebGPU needs a GPU driver with Direct3D 12',
};

const FETCH = {
  lavapipe: {
    get: fetchLavapipe,
    about: () => `lavapipe, Mesa's software Vulkan driver
  source  ${lavapipeSource().name}: signed packages mesa-vulkan-drivers, libvulkan1 and what they need
  size    about 70 MB to download, 250 MB unpacked; less where parts are installed`,
  },
  swiftshader: {
    get: fetchSwiftShader,
    about: () => `SwiftShader, Chromium's software Vulkan driver (several times slower than lavapipe)
  source  npm package ${SWIFTSHADER_PACKAGE}
  size    about 70 MB to download, 7 MB unpacked`,
  },
};

/**
 * The variables that give a child process an adapter, and the adapter's name; `node` runs the probes.
 * MTLORA_DRIVER says in the child that this is settled. Without `download` a cached driver must do.
 */
export function chooseDriver(node, say, { download = process.env.MTLORA_NO_DOWNLOAD !== '1' } = {}) {
  const own = probe(node, {});
  if (own) return { adapter: own, variables: { MTLORA_DRIVER: process.env.MTLORA_DRIVER ?? 'system' } };
  if (process.platform !== 'linux') throw noAdapter([]);

  const failures = [];
  const cached = SOFTWARE_DRIVERS.filter((name) => environmentOf(name));
  for (const name of new Set([...cached, ...SOFTWARE_DRIVERS])) {
    const found = tryCached(node, name);
    if (found) return found;
    if (!download) continue;
    try {
      fetchDriver(name, cached.includes(name), say);
    } catch (error) {
      if (error instanceof SetupError) throw error;
      failures.push(`${name}: ${error.message}`);
      say(`Cannot fetch ${name}: ${error.message}`);
      continue;
    }
    const fetched = tryCached(node, name);
    if (fetched) return fetched;
    rmSync(join(cacheFolder(), name), { recursive: true });
    say(`WebGPU gets no adapter from this ${name}; removed it`);
    failures.push(`${name}: its driver gives no adapter`);
  }
  throw noAdapter(failures);
}

function tryCached(node, name) {
  const variables = environmentOf(name);
  const adapter = variables && probe(node, variables);
  return adapter ? { adapter, variables } : null;
}

function fetchDriver(name, isStale, say) {
  const cache = cacheFolder();
  if (!cache) {
    throw new SetupError('Cannot fetch a software GPU driver: neither HOME nor XDG_CACHE_HOME is set; '
      + 'set XDG_CACHE_HOME to a folder that can be written');
  }
  const folder = join(cache, name);
  const why = isStale ? `The driver in ${folder} works no more` : 'WebGPU finds no GPU on this machine';
  say(`${why}. Fetching ${FETCH[name].about()}
  folder  ${folder}; delete it to undo, nothing else on this machine changes
  refuse  MTLORA_NO_DOWNLOAD=1`);
  try {
    mkdirSync(cache, { recursive: true });
  } catch (error) {
    throw new SetupError(`Cannot write "${cache}": ${error.code}; `
      + 'set XDG_CACHE_HOME to a folder that can be written');
  }
  const start = performance.now();
  FETCH[name].get(cache);
  say(`Fetched ${name} in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/** The adapter that a process with these variables gets, as `{ name, software }`; null for none. */
function probe(node, variables) {
  const env = { ...process.env, ...variables };
  const limit = { timeout: PROBE_LIMIT_MS, killSignal: 'SIGKILL' };
  const child = spawnSync(node, [PROBE], { env, encoding: 'utf8', ...limit });
  if (child.error && child.error.code !== 'ETIMEDOUT') {
    throw new SetupError(`Cannot run "${node}": ${child.error.code}; on Linux it needs glibc (not musl)`);
  }
  const adapter = child.status === 0 ? JSON.parse(child.stdout) : null;
  if (adapter?.error) throw new SetupError(`Cannot load the package "webgpu": ${adapter.error}`);
  return adapter;
}

function noAdapter(failures) {
  const tried = failures.length > 0 ? ` (${failures.join('; ')})` : '';
  return new SetupError(`No adapter for WebGPU${tried}: ${INSTALL[process.platform] ?? INSTALL.linux}`);
}
