// SwiftShader, Chromium's software Vulkan driver, out of an npm package: for a Linux without apt. It is
// 5 to 18 times slower than lavapipe and lacks shader-f16.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';

export const SWIFTSHADER_PACKAGE = '@sparticuz/chromium@153.0.0';
const SHA512 =
  'jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA==';
const LIBRARIES = ['libvk_swiftshader.so', 'libvulkan.so.1'];

/** Builds `<cache>/swiftshader`, laid out as a distribution does; throws what went wrong. */
export function fetchSwiftShader(cache) {
  if (process.arch !== 'x64') throw new Error(`${SWIFTSHADER_PACKAGE} is for x64, got ${process.arch}`);
  const target = join(cache, 'swiftshader');
  const work = `${target}.${process.pid}`;
  const tree = join(work, 'tree');
  const libraries = join(tree, 'usr/lib/x86_64-linux-gnu');
  const descriptions = join(tree, 'usr/share/vulkan/icd.d');
  try {
    for (const folder of [libraries, descriptions]) mkdirSync(folder, { recursive: true });
    const archive = tarFiles(gunzipSync(npmPack(work))).get('package/bin/swiftshader.tar.br');
    const files = tarFiles(brotliDecompressSync(archive));
    for (const name of LIBRARIES) writeFileSync(join(libraries, name), files.get(name));
    const icd = JSON.parse(files.get('vk_swiftshader_icd.json').toString());
    icd.ICD.library_path = `../../../lib/x86_64-linux-gnu/${LIBRARIES[0]}`;
    writeFileSync(join(descriptions, 'vk_swiftshader_icd.json'), JSON.stringify(icd));
    rmSync(target, { recursive: true, force: true });
    renameSync(tree, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The package's archive, checked against the digest known here. */
function npmPack(folder) {
  const shell = { cwd: folder, encoding: 'utf8' };
  const child = spawnSync('npm', ['pack', '--silent', '--ignore-scripts', SWIFTSHADER_PACKAGE], shell);
  if (child.error) throw new Error('npm is not on this machine');
  if (child.status !== 0) throw new Error(`npm pack failed: ${child.stderr.trim().split('\n')[0]}`);
  const bytes = readFileSync(join(folder, child.stdout.trim()));
  const digest = createHash('sha512').update(bytes).digest('base64');
  if (digest !== SHA512) throw new Error(`${SWIFTSHADER_PACKAGE} must have sha512 ${SHA512}, got ${digest}`);
  return bytes;
}

/** The files of a tar archive by name: blocks of 512 bytes, a header (name, octal size), the content. */
function tarFiles(bytes) {
  const files = new Map();
  const text = (from, length) => bytes.toString('latin1', from, from + length).split('\0')[0];
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const size = parseInt(text(at + 124, 12), 8);
    files.set(text(at, 100), bytes.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
