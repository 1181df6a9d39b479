// What npm must have put in place: the packages of the lock file, and with them Node 24.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SetupError } from './setup_error.mjs';

// At this level npm says nothing of packages that want a newer Node than its own: they get Node 24.
const NPM_CI = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];

/** Runs `npm ci` unless `node_modules` holds what the lock file asks for. */
export function installPackages(root, say) {
  const why = missingPackage(root);
  if (!why) return;
  say(`${why}: running "npm ci" (about 460 MB in node_modules)`);
  const shell = process.platform === 'win32';       // there npm is a batch file, which needs a shell
  const child = spawnSync('npm', NPM_CI, { cwd: root, stdio: 'inherit', shell });
  if (child.error) throw new SetupError('Cannot run "npm ci": npm is not on the PATH; install it');
  if (child.status !== 0) {
    throw new SetupError(`"npm ci" failed with exit code ${child.status}; see its message above`);
  }
}

/** Says which package is absent or of another version than locked; null where all is in place. */
export function missingPackage(root) {
  const installed = packagesOf(join(root, 'node_modules/.package-lock.json'));     // npm writes it last
  if (!installed) return 'No complete node_modules yet';
  for (const [path, wanted] of Object.entries(packagesOf(join(root, 'package-lock.json')))) {
    if (path === '' || (wanted.optional && !installed[path])) continue;            // another platform's
    if (installed[path]?.version !== wanted.version || !existsSync(join(root, path))) {
      return `"${path}" ${wanted.version} is missing`;
    }
  }
  return null;
}

function packagesOf(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : null;
}

/** The Node that runs the project: the one of node_modules, or this one where it is new enough. */
export function nodePath(root) {
  const own = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(own)) return own;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  throw new SetupError('Node 24 is missing: npm did not run the install script of its package "node"; '
    + 'run "npm rebuild node --ignore-scripts=false"');
}
