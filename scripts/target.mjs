// What the native build can be for: a platform and a processor, as Node names them. Owns what tools call them, which compiler builds for them
// and where their static OpenBLAS lies, of which the serial build is preferred; a threaded one works too, held at one thread by the core.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

// Those that this machine can build for without being one of them.
const crossTargets = {
  'linux-x64': { system: 'Linux', processor: 'x86_64', triple: 'x86_64-linux-gnu' },
  'linux-arm64': { system: 'Linux', processor: 'aarch64', triple: 'aarch64-linux-gnu' },
  'win32-x64': { system: 'Windows', processor: 'x86_64', triple: 'x86_64-w64-mingw32' },
};

/** Options of command lines that choose a target. */
export const targetOptions = {
  platform: { type: 'string', default: process.platform },
  arch: { type: 'string', default: process.arch },
};

/**
 * The target `platform`-`arch`; this machine unless they say otherwise.
 *
 * `name` is what distinguishes it from this machine, '' for nothing. `compiler` is the C++ compiler (CXX in the environment goes first), `strip`
 * its program for symbols, `openBlas` the path of libopenblas.a (OPENBLAS_LIBRARY in the environment goes first), or undefined. `cmakeOptions()`
 * is what CMake has to know.
 */
export function targetOf({ platform, arch } = { platform: process.platform, arch: process.arch }) {
  const name = [platform !== process.platform && platform, arch !== process.arch && arch].filter(Boolean).join('-');
  const cross = crossTargets[`${platform}-${arch}`];
  if (name !== '' && cross === undefined) {
    throw new Error(`target: cannot be built here: got ${platform}-${arch}, expected ${Object.keys(crossTargets).join(', ')}`); // prettier-ignore
  }
  const onWindows = platform === 'win32';
  const usual = name === '' ? 'c++' : `${cross.triple}-g++`;
  const compiler = process.env.CXX ?? (onWindows ? 'clang++' : usual);
  const folders = [...(cross === undefined ? [] : debianFolders(cross.triple)), ...(name === '' ? ownFolders : [])];
  const libraries = [process.env.OPENBLAS_LIBRARY, ...folders.map((folder) => join(folder, 'libopenblas.a'))];
  const flags = () => (name !== '' && onWindows ? mingwFlags(cross.triple) : []);
  return {
    platform,
    arch,
    name,
    compiler,
    strip: name === '' ? 'strip' : `${cross.triple}-strip`,
    openBlas: libraries.find((library) => library && existsSync(library)),
    cmakeOptions: () => [
      ...(name === '' ? [] : [`CMAKE_SYSTEM_NAME=${cross.system}`, `CMAKE_SYSTEM_PROCESSOR=${cross.processor}`]),
      ...(name !== '' && onWindows ? [`CMAKE_CXX_COMPILER_TARGET=${cross.triple}`] : []),
      ...(name !== '' || onWindows ? [`CMAKE_CXX_COMPILER=${[compiler, ...flags()].join(';')}`] : []),
    ],
  };
}

const debianFolders = (triple) =>
  ['openblas-serial', 'openblas-pthread', 'openblas-openmp', ''].map((name) => join('/usr/lib', triple, name));

const ownFolders = [
  '/usr/lib64',
  '/usr/local/lib',
  '/opt/homebrew/opt/openblas/lib',
  '/usr/local/opt/openblas/lib',
  join(process.env.MSYSTEM_PREFIX ?? 'C:/msys64/clang64', 'lib'),
];

// clang is told where MinGW's GCC has its libraries: before version 15 it does not find Debian's.
function mingwFlags(triple) {
  const pathOf = (file) => execFileSync(`${triple}-g++`, [`-print-file-name=${file}`], { encoding: 'utf8' }).trim();
  const headers = pathOf('include/c++');
  const folders = [headers, join(headers, triple)].flatMap((folder) => ['-stdlib++-isystem', folder]);
  const libraries = `-L${dirname(pathOf('libgcc.a'))}`;
  return [`--sysroot=/usr/${triple}`, ...folders, libraries, '-Wno-unused-command-line-argument'];
}
