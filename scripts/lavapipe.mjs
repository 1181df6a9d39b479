// Lavapipe, Mesa's software Vulkan driver, out of the distribution's own signed packages, into the
// user's cache. apt works on folders of its own here: no root, and nothing else on the machine changes.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { icdFile, libraryFolders } from '../src/gpu/driver.mjs';

const PACKAGES = ['mesa-vulkan-drivers', 'libvulkan1'];

/** Where the packages come from; Debian 12's own Mesa is too old for WebGPU, its backports' is not. */
export function lavapipeSource(osRelease = readOsRelease()) {
  if (/^VERSION_CODENAME=bookworm$/m.test(osRelease) && /^ID=debian$/m.test(osRelease)) {
    const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
    const mirror = `deb [signed-by=${keyring}] http://deb.debian.org/debian`;
    return {
      name: 'bookworm-backports of deb.debian.org',
      list: `${mirror} bookworm main\n${mirror} bookworm-backports main\n`,
      options: ['-t', 'bookworm-backports'],
    };
  }
  return { name: "this machine's own apt sources", list: null, options: [] };
}

/** Builds `<cache>/lavapipe`; throws what apt or dpkg said if it cannot. */
export function fetchLavapipe(cache) {
  const source = lavapipeSource();
  const target = join(cache, 'lavapipe');
  const work = `${target}.${process.pid}`;
  try {
    const tree = join(work, 'tree');
    for (const folder of ['lists/partial', 'archives/partial', 'tree']) {
      mkdirSync(join(work, folder), { recursive: true });
    }
    writeFileSync(join(work, 'apt.conf'), aptConfiguration(work, source));
    if (source.list) writeFileSync(join(work, 'sources.list'), source.list);

    const apt = ['-c', join(work, 'apt.conf'), '-qq'];
    run('apt-get', [...apt, 'update']);
    run('apt-get', [...apt, '--yes', '--download-only', '--no-install-recommends', '--reinstall',
      ...source.options, 'install', ...PACKAGES]);
    for (const file of readdirSync(join(work, 'archives'))) {
      if (file.endsWith('.deb')) run('dpkg-deb', ['-x', join(work, 'archives', file), tree]);
    }
    relocateIcd(tree);
    rmSync(target, { recursive: true, force: true });
    renameSync(tree, target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Everything apt writes lies under `work`; the machine's hooks are cleared, its proxies stay. */
function aptConfiguration(work, source) {
  const lines = [
    `Dir::State::Lists "${work}/lists";`,
    `Dir::Cache "${work}";`,
    `Dir::Cache::Archives "${work}/archives";`,
    'Dir::Cache::pkgcache "";',
    'Dir::Cache::srcpkgcache "";',
    'Debug::NoLocking "true";',              // the locks are the system's: not needed, and root's
    'APT::Sandbox::User "root";',            // else a root apt reads as _apt, which cannot enter /root
    'APT::Get::AllowUnauthenticated "false";',
    'Acquire::Retries "1";',
    'Acquire::Languages "none";',
    '#clear APT::Update::Pre-Invoke;',
    '#clear APT::Update::Post-Invoke;',
    '#clear APT::Update::Post-Invoke-Success;',
    '#clear DPkg::Pre-Install-Pkgs;',
    '#clear DPkg::Post-Invoke;',
  ];
  if (source.list) {
    lines.push(`Dir::Etc::SourceList "${work}/sources.list";`, 'Dir::Etc::SourceParts "/dev/null";',
      'APT::Update::Error-Mode "any";');     // else an unreachable mirror is but a warning
  }
  return `${lines.join('\n')}\n`;
}

/** Makes the driver's path relative to its description, so that the tree works wherever it is moved. */
function relocateIcd(tree) {
  const icd = icdFile(tree);
  if (!icd) throw new Error('the packages hold no lavapipe driver');
  const text = JSON.parse(readFileSync(icd, 'utf8'));
  const file = text.ICD.library_path.split('/').at(-1);
  const folder = libraryFolders(tree).find((path) => readdirSync(path).includes(file));
  if (!folder) throw new Error(`the packages hold no "${file}"`);
  text.ICD.library_path = relative(dirname(icd), join(folder, file));
  writeFileSync(icd, JSON.stringify(text));
}

function run(command, args) {
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
  const child = spawnSync(command, args, { encoding: 'utf8', env });
  if (child.error) throw new Error(`${command} is not on this machine`);
  if (child.status !== 0) {
    const said = child.stderr.trim().split('\n').find((line) => line.startsWith('E:')) ?? child.stderr.trim();
    throw new Error(`${command} failed: ${said}`);
  }
}

function readOsRelease() {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    return '';
  }
}
