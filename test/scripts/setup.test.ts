// The launcher on machines that lack something. Fake commands stand first on the PATH, and nothing is
// downloaded.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test as anywhere, vi } from 'vitest';
import { installPackages, missingPackage } from '../../scripts/install.mjs';
import { chooseDriver } from '../../scripts/setup.mjs';
import { folderWith } from '../support/folder.ts';

const LAUNCHER = join(import.meta.dirname, '../../scripts/run.mjs');
const ICD = 'lavapipe/usr/share/vulkan/icd.d/lvp_icd.json';
const FAILS = '#!/bin/sh\necho "E: no network here" >&2\nexit 100\n';

/** Stands for Node as the probe's runner: there is an adapter where the driver's description says "works". */
const PROBED = `#!/bin/sh
if grep -qs works "$VK_DRIVER_FILES"; then echo '{"name":"fake","software":true}'; else echo null; fi
`;
const APT_GET = `#!/bin/sh
echo "$@" >> "$APT_LOG"
case "$*" in *install*) touch "$(dirname "$2")/archives/mesa.deb";; esac
`;
const DPKG_DEB = `#!/bin/sh
mkdir -p "$3/usr/lib/x86_64-linux-gnu" "$3/usr/share/vulkan/icd.d"
touch "$3/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so"
echo '{"ICD":{"library_path":"/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so","works":true}}' \\
  > "$3/usr/share/vulkan/icd.d/lvp_icd.json"
`;

const test = anywhere.skipIf(process.platform !== 'linux');      // elsewhere no driver is ever fetched

afterEach(() => {
  vi.unstubAllEnvs();
});

/** The launcher in an environment of its own, in which Vulkan finds no driver of the machine. */
function launch(command: string, commands: Record<string, string>, variables: Record<string, string>) {
  const path = `${folderWith(commands)}:${process.env.PATH}`;
  const env = { PATH: path, VK_DRIVER_FILES: '/nowhere', ...variables };
  const { status, stderr } = spawnSync(process.execPath, [LAUNCHER, command], { env, encoding: 'utf8' });
  return { status, lines: stderr.trimEnd().split('\n') };
}

/** `chooseDriver()` with the fakes above and this cache; `said` is what the user reads. */
function choose(cache: string, commands: Record<string, string>, download = true) {
  const bin = folderWith({ node: PROBED, ...commands });
  vi.stubEnv('PATH', `${bin}:${process.env.PATH}`);
  vi.stubEnv('XDG_CACHE_HOME', cache);
  vi.stubEnv('VK_DRIVER_FILES', '/nowhere');
  vi.stubEnv('APT_LOG', join(bin, 'apt.log'));
  const said: string[] = [];
  const chosen = chooseDriver(join(bin, 'node'), (text) => said.push(text), { download });
  const apt = existsSync(join(bin, 'apt.log')) ? readFileSync(join(bin, 'apt.log'), 'utf8') : '';
  return { chosen, said, apt };
}

test('the launcher names the commands that it knows', () => {
  const { status, lines } = launch('tset', {}, {});
  expect(lines).toEqual(['run.mjs: the command must be one of setup, test, demo, bench, got "tset"']);
  expect(status).toBe(1);
});

test('the launcher downloads nothing under MTLORA_NO_DOWNLOAD=1, and says what to install', () => {
  const home = folderWith();
  const { status, lines } = launch('setup', { 'apt-get': FAILS }, { HOME: home, MTLORA_NO_DOWNLOAD: '1' });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^No adapter for WebGPU: install a Vulkan driver.*without MTLORA_NO_DOWNLOAD/);
  expect(status).toBe(1);
  expect(readdirSync(home)).toEqual([]);
});

test('the launcher asks for a cache folder where there is no HOME', () => {
  const { status, lines } = launch('setup', { 'apt-get': FAILS }, {});
  expect(lines).toEqual(['Cannot fetch a software GPU driver: neither HOME nor XDG_CACHE_HOME is set; '
    + 'set XDG_CACHE_HOME to a folder that can be written']);
  expect(status).toBe(1);
});

test('the launcher names the cache folder that it cannot write', () => {
  const home = join(folderWith({ file: '' }), 'file');
  const { status, lines } = launch('setup', { 'apt-get': FAILS }, { HOME: home });
  expect(lines.at(-1)).toBe(`Cannot write "${home}/.cache/mtlora": ENOTDIR; `
    + 'set XDG_CACHE_HOME to a folder that can be written');
  expect(status).toBe(1);
});

test('the launcher says what it fetches before it does, and every reason why it could not', () => {
  const home = folderWith();
  const { status, lines } = launch('setup', { 'apt-get': FAILS, npm: FAILS }, { HOME: home });
  const text = lines.join('\n');
  const announced = text.indexOf(`folder  ${home}/.cache/mtlora/lavapipe; delete it to undo`);
  expect(announced).toBeGreaterThan(0);
  const failed = text.indexOf('Cannot fetch lavapipe: apt-get failed: E: no network here');
  expect(failed).toBeGreaterThan(announced);
  expect(lines.at(-1)).toMatch(/^No adapter for WebGPU \(lavapipe: apt-get .*; swiftshader: .*\): install/);
  expect(status).toBe(1);
  expect(readdirSync(join(home, '.cache/mtlora'))).toEqual([]);
});

test('chooseDriver() unpacks what apt downloaded into folders of its own, and finds it again', () => {
  const cache = folderWith();
  const { chosen, apt, said } = choose(cache, { 'apt-get': APT_GET, 'dpkg-deb': DPKG_DEB });
  expect(chosen.adapter).toEqual({ name: 'fake', software: true });
  expect(chosen.variables).toEqual({
    VK_DRIVER_FILES: join(cache, 'mtlora', ICD),
    LD_LIBRARY_PATH: expect.stringContaining(join(cache, 'mtlora/lavapipe/usr/lib/x86_64-linux-gnu')),
    MTLORA_DRIVER: 'lavapipe',
  });
  expect(JSON.parse(readFileSync(join(cache, 'mtlora', ICD), 'utf8')).ICD.library_path)
    .toBe('../../../lib/x86_64-linux-gnu/libvulkan_lvp.so');
  expect(said[0]).toMatch(/^WebGPU finds no GPU on this machine\. Fetching lavapipe/);
  expect(apt.split('\n')[1]).toMatch(/--download-only .*install mesa-vulkan-drivers libvulkan1$/);
  expect(readdirSync(join(cache, 'mtlora'))).toEqual(['lavapipe']);

  const again = choose(cache, {}, false);
  expect(again).toEqual({ chosen, said: [], apt: '' });
});

test('chooseDriver() rebuilds a cached driver that gives no adapter any more', () => {
  const cache = folderWith({ [`mtlora/${ICD}`]: '{"ICD":{}}', 'mtlora/lavapipe/old': '' });
  const { chosen, said } = choose(cache, { 'apt-get': APT_GET, 'dpkg-deb': DPKG_DEB });
  expect(said[0]).toMatch(`The driver in ${cache}/mtlora/lavapipe works no more. Fetching lavapipe`);
  expect(chosen.variables.MTLORA_DRIVER).toBe('lavapipe');
  expect(existsSync(join(cache, 'mtlora/lavapipe/old'))).toBe(false);
});

test('chooseDriver() keeps no fetched driver that gives no adapter', () => {
  const cache = folderWith();
  const broken = { 'apt-get': APT_GET, 'dpkg-deb': DPKG_DEB.replace('"works":true', '"api":1'), npm: FAILS };
  expect(() => choose(cache, broken)).toThrow('WebGPU (lavapipe: its driver gives no adapter; swiftshader: ');
  expect(readdirSync(join(cache, 'mtlora'))).toEqual([]);
});

anywhere('missingPackage() says what the lock file asks for and node_modules lacks', () => {
  const lock = JSON.stringify({ packages: {
    '': { version: '1.0.0' },
    'node_modules/a': { version: '1.2.0' },
    'node_modules/b': { version: '2.0.0', optional: true },
  } });
  const installed = (version: string): string =>
    JSON.stringify({ packages: { 'node_modules/a': { version } } });
  const hidden = 'node_modules/.package-lock.json';
  const at = (files: Record<string, string>): string | null =>
    missingPackage(folderWith({ 'package-lock.json': lock, ...files }));
  expect(at({})).toBe('No complete node_modules yet');
  const missing = '"node_modules/a" 1.2.0 is missing';
  expect(at({ [hidden]: installed('1.1.0'), 'node_modules/a/x': '' })).toBe(missing);
  expect(at({ [hidden]: installed('1.2.0') })).toBe(missing);
  expect(at({ [hidden]: installed('1.2.0'), 'node_modules/a/x': '' })).toBeNull();
});

test('installPackages() says why it runs npm, and passes on that it failed', () => {
  vi.stubEnv('PATH', `${folderWith({ npm: '#!/bin/sh\n[ "$1" = ci ] && exit 7\n' })}:${process.env.PATH}`);
  const said: string[] = [];
  expect(() => installPackages(folderWith({ 'package-lock.json': '{}' }), (text) => said.push(text)))
    .toThrow('"npm ci" failed with exit code 7; see its message above');
  expect(said).toEqual(['No complete node_modules yet: running "npm ci" (about 460 MB in node_modules)']);
});
