// Makes a checkout ready to run: system packages, npm packages, the native addon. What is there already is left alone, so it
// goes before `npm start` and `npm test`. It runs before anything is installed, hence on Node alone.
//
//   node scripts/setup.mjs [--system-only] [--levels own]
//
// --levels builds kernels for some instruction sets only, as scripts/build-native.mjs does: `own` compiles half as much.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { targetOf } from './target.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const say = (message) => console.log(`setup: ${message}`);

function stop(message) {
  console.error(`setup: ${message}`);
  process.exit(1);
}

const onWindows = process.platform === 'win32';

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options }).status === 0;
}

function outputOf(command, ...args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, onWindows ? `${command}.exe` : command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function atLeast(version, minimum) {
  const [major, minor = 0] = version.split('.').map(Number);
  return major > minimum[0] || (major === minimum[0] && minor >= minimum[1]);
}

function checkNode() {
  if (!atLeast(process.versions.node, [20, 17])) {
    stop(`Node 20.17 or newer is needed, this is ${process.versions.node}: see https://nodejs.org`);
  }
}

// Each tool: what is wrong with it (undefined: nothing), and the packages that bring it.
const tools = [
  {
    problem() {
      const usual = onWindows ? ['clang++'] : ['c++', 'g++', 'clang++'];
      const command = [process.env.CXX, ...usual].find((name) => name && outputOf(name, '--version'));
      if (!command) return 'a C++ compiler is missing';
      const isClang = outputOf(command, '--version').includes('clang');
      const version = outputOf(command, ...(isClang ? ['-dumpversion'] : ['-dumpfullversion', '-dumpversion'])).trim();
      const minimum = isClang ? 14 : 12;
      if (!atLeast(version, [minimum, 0])) {
        return `${command} is ${isClang ? 'clang' : 'GCC'} ${version}, ${minimum} or newer is needed (CXX chooses another)`;
      }
    },
    packages: { apt: 'g++', dnf: 'gcc-c++', brew: 'llvm', pacman: 'mingw-w64-clang-x86_64-clang' },
  },
  {
    problem() {
      const version = /version ([\d.]+)/.exec(outputOf('cmake', '--version') ?? '')?.[1];
      if (!version) return 'cmake is missing';
      if (!atLeast(version, [3, 18])) return `cmake is ${version}, 3.18 or newer is needed`;
    },
    packages: { apt: 'cmake', dnf: 'cmake', brew: 'cmake', pacman: 'mingw-w64-clang-x86_64-cmake' },
  },
  {
    problem: () => (onPath('ninja') || onPath('make') ? undefined : 'ninja is missing'),
    packages: { apt: 'ninja-build', dnf: 'ninja-build', brew: 'ninja', pacman: 'mingw-w64-clang-x86_64-ninja' },
  },
  {
    problem: () => (targetOf().openBlas ? undefined : 'the static OpenBLAS library is missing'),
    packages: {
      apt: 'libopenblas-serial-dev',
      dnf: 'openblas-static',
      brew: 'openblas',
      pacman: 'mingw-w64-clang-x86_64-openblas',
    },
  },
];

const findProblems = () =>
  tools.map((tool) => ({ problem: tool.problem(), packages: tool.packages })).filter(({ problem }) => problem);

function setUpSystem() {
  const problems = findProblems();
  if (problems.length === 0) return;
  const summary = problems.map(({ problem }) => problem).join('; ');
  const packagesFor = (manager) => problems.map(({ packages }) => packages[manager]);
  const byHand = [
    `  Debian, Ubuntu:  sudo apt-get update && sudo apt-get install -y ${packagesFor('apt').join(' ')}`,
    `  Fedora, RHEL:    sudo dnf install -y ${packagesFor('dnf').join(' ')}`,
    `  macOS:           brew install ${packagesFor('brew').join(' ')}`,
    `  Windows, MSYS2:  pacman -S ${packagesFor('pacman').join(' ')}`,
  ].join('\n');

  const isRoot = process.getuid?.() === 0;
  const mayInstall =
    onPath('apt-get') && (isRoot || (onPath('sudo') && run('sudo', ['-n', 'true'], { stdio: 'ignore' })));
  if (!mayInstall) stop(`${summary}. Install what is missing and run this again:\n${byHand}`);

  say(`${summary}: installing ${packagesFor('apt').join(' ')} with apt`);
  const apt = (...args) =>
    isRoot
      ? run('apt-get', args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
      : run('sudo', ['-n', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args]);
  const installed =
    apt('update', '-qq') && apt('install', '-y', '-qq', '--no-install-recommends', ...packagesFor('apt'));
  const left = findProblems();
  if (!installed || left.length > 0) {
    stop(`apt did not bring everything (${left.map(({ problem }) => problem).join('; ')}). By hand:\n${byHand}`);
  }
}

// What npm noted in node_modules about the packages it installed, against what package-lock.json asks for.
function packagesAreCurrent() {
  const noted = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(noted)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const present = JSON.parse(readFileSync(noted, 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true;
    return present[path] ? present[path].version === version : optional;
  });
}

function setUpPackages() {
  if (packagesAreCurrent()) return;
  say('installing npm packages');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const done = npm?.endsWith('.js') ? run(process.execPath, [npm, ...args]) : run('npm', args, { shell: onWindows });
  if (!done) stop('`npm ci` failed; its message is above');
}

async function setUpAddon() {
  const { isBuilt } = await import('./build-native.mjs');
  if (isBuilt(values.levels)) return;
  say('building the native addon (the first time takes minutes)');
  const started = performance.now();
  if (!run(process.execPath, ['scripts/build-native.mjs', '--levels', values.levels]))
    stop('the native build failed; its message is above');
  say(`native addon built in ${Math.round((performance.now() - started) / 1000)} s`);
}

const { values } = parseArgs({
  options: { 'system-only': { type: 'boolean', default: false }, levels: { type: 'string', default: 'all' } },
});
checkNode();
setUpSystem();
if (!values['system-only']) {
  setUpPackages();
  await setUpAddon();
}
