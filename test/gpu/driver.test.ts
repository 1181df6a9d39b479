import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { driverEnvironment } from '../../src/gpu/driver.mjs';
import { folderWith } from '../support/folder.ts';

const DRIVER = join(import.meta.dirname, '../../src/gpu/driver.ts');
const LAVAPIPE = 'mtlora/lavapipe/usr/share/vulkan/icd.d/lvp_icd.x86_64.json';
const SWIFTSHADER = 'mtlora/swiftshader/usr/share/vulkan/icd.d/vk_swiftshader_icd.json';

test('driverEnvironment() names the driver and both library folders, before those already searched', () => {
  const cache = folderWith({
    [LAVAPIPE]: '{}',
    'mtlora/lavapipe/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so': '',
    'mtlora/lavapipe/lib/x86_64-linux-gnu/libexpat.so.1': '',
    [SWIFTSHADER]: '{}',
  });
  const root = join(cache, 'mtlora/lavapipe');
  const libraries = [`${root}/usr/lib/x86_64-linux-gnu`, `${root}/lib/x86_64-linux-gnu`, '/opt/lib'];
  expect(driverEnvironment({ XDG_CACHE_HOME: cache, LD_LIBRARY_PATH: '/opt/lib' })).toEqual({
    VK_DRIVER_FILES: join(cache, LAVAPIPE),
    LD_LIBRARY_PATH: libraries.join(':'),
    MTLORA_DRIVER: 'lavapipe',
  });
});

test('driverEnvironment() takes SwiftShader where lavapipe is not, below HOME', () => {
  const home = folderWith({ [`.cache/${SWIFTSHADER}`]: '{}' });
  expect(driverEnvironment({ HOME: home })).toMatchObject({
    VK_DRIVER_FILES: join(home, '.cache', SWIFTSHADER),
    MTLORA_DRIVER: 'swiftshader',
  });
});

test('driverEnvironment() is null without a driver, without a home, and once a driver is chosen', () => {
  const cache = folderWith({ [LAVAPIPE]: '{}' });
  expect(driverEnvironment({ HOME: folderWith() })).toBeNull();
  expect(driverEnvironment({})).toBeNull();
  expect(driverEnvironment({ XDG_CACHE_HOME: cache, MTLORA_DRIVER: 'system' })).toBeNull();
});

test('reexecWithDriver() starts the same command again, once, with the driver in its environment', () => {
  const cache = folderWith({ [LAVAPIPE]: '{}' });
  const script = join(folderWith({
    'main.ts': `import { driverEnvironment, reexecWithDriver } from '${DRIVER}';
      console.log(process.pid, process.env.MTLORA_DRIVER, process.execArgv.length, ...process.argv.slice(2));
      if (driverEnvironment()) reexecWithDriver();`,
  }), 'main.ts');
  const { MTLORA_DRIVER: _, ...env } = process.env;
  const child = spawnSync(process.execPath, ['--expose-gc', script, '--rank', '4'], {
    env: { ...env, XDG_CACHE_HOME: cache }, encoding: 'utf8',
  });
  const first = `${child.pid} undefined 1 --rank 4`;
  expect(child.stdout).toBe(`${first}\n${first.replace('undefined', 'lavapipe')}\n`);
});
