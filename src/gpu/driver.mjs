// Where the software Vulkan driver of the set-up lies, and the environment that makes Vulkan find it.
// Plain JavaScript, because the launcher reads it under Node 20 too.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The drivers that the set-up can fetch, the faster one first. */
export const SOFTWARE_DRIVERS = ['lavapipe', 'swiftshader'];

/** The project's folder in the user's cache, or null where the environment names none. */
export function cacheFolder(env = process.env) {
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'mtlora');
  return env.HOME ? join(env.HOME, '.cache', 'mtlora') : null;
}

/** The environment for the driver unpacked in `<cache>/<name>`, or null where there is none. */
export function environmentOf(name, env = process.env) {
  const cache = cacheFolder(env);
  const root = cache && join(cache, name);
  const icd = root && icdFile(root);
  if (!icd) return null;
  const libraries = [...libraryFolders(root), env.LD_LIBRARY_PATH].filter(Boolean);
  return { VK_DRIVER_FILES: icd, LD_LIBRARY_PATH: libraries.join(':'), MTLORA_DRIVER: name };
}

/**
 * The environment for the first cached software driver; null where there is none, or where one is
 * chosen already: `MTLORA_DRIVER` marks a process that was started with its driver settled.
 */
export function driverEnvironment(env = process.env) {
  if (env.MTLORA_DRIVER) return null;
  for (const name of SOFTWARE_DRIVERS) {
    const found = environmentOf(name, env);
    if (found) return found;
  }
  return null;
}

/** The description of the software driver that Vulkan's loader reads, or null where there is none. */
export function icdFile(root) {
  const folder = join(root, 'usr/share/vulkan/icd.d');
  if (!existsSync(folder)) return null;
  const name = readdirSync(folder).find((file) => /^(lvp|vk_swiftshader)_icd.*\.json$/.test(file));
  return name ? join(folder, name) : null;
}

/** Debian splits libraries over `/usr/lib/<triple>` and `/lib/<triple>` (libexpat): both are searched. */
export function libraryFolders(root) {
  return ['usr/lib', 'lib'].map((folder) => join(root, folder)).filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).filter((name) => name.includes('-linux-gnu'))
      .map((triple) => join(folder, triple)));
}
