// What the native build can be for: a platform and a processor, as Node names them. Owns what tools call them, which compiler builds for them
// and where their static OpenBLAS lies, of which the serial build is preferred; a threaded one works too, held at one thread by the core.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

// Targets that another machine can build for: what their tools' names begin with, the usual compiler, and what CMake has to know.
const crossTargets = {
  'linux-x64': linux('x86_64'),
  'linux-arm64': linux('aarch64'),
  'win32-x64': windows('x86_64'),
};

function linux(processor) {
  const triple = `${processor}-linux-gnu`;
  return {
    triple,
    compiler: `${triple}-g++`,
    cmakeOptions: (compiler) => [
      'CMAKE_SYSTEM_NAME=Linux',
      `CMAKE_SYSTEM_PROCESSOR=${processor}`,
      `CMAKE_CXX_COMPILER=${compiler}`,
    ],
  };
}

// clang, with the headers and libraries of MinGW's GCC: that itself does not align vectors of 32 and 64 bytes on Windows' stack (its bug 54412).
function windows(processor) {
  const triple = `${processor}-w64-mingw32`;
  const pathOf = (file) => execFileSync(`${triple}-g++`, [`-print-file-name=${file}`], { encoding: 'utf8' }).trim();
  // clang 14 does not find Debian's by itself.
  const flags = () => [
    `--sysroot=/usr/${triple}`,
    ...['include/c++', `include/c++/${triple}`].flatMap((folder) => ['-stdlib++-isystem', pathOf(folder)]),
    `-L${dirname(pathOf('libgcc.a'))}`,
    '-Wno-unused-command-line-argument',
  ];
  return {
    triple,
    compiler: 'clang++',
    cmakeOptions: (compiler) => [
      'CMAKE_SYSTEM_NAME=Windows',
      `CMAKE_SYSTEM_PROCESSOR=${processor}`,
      `CMAKE_CXX_COMPILER=${[compiler, ...flags()].join(';')}`,
      `CMAKE_CXX_COMPILER_TARGET=${triple}`,
    ],
  };
}

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
  const isOwn = name === '';
  const cross = crossTargets[`${platform}-${arch}`];
  if (!isOwn && cross === undefined) {
    throw new Error(`target: cannot be built here: got ${platform}-${arch}, expected ${Object.keys(crossTargets).join(', ')}`); // prettier-ignore
  }
  const onWindows = platform === 'win32';
  const ownCompiler = onWindows ? 'clang++' : 'c++';
  const compiler = process.env.CXX ?? (isOwn ? ownCompiler : cross.compiler);
  const ownOptions = onWindows ? [`CMAKE_CXX_COMPILER=${compiler}`] : [];
  const folders = [...(cross === undefined ? [] : debianFolders(cross.triple)), ...(isOwn ? ownFolders : [])];
  const libraries = [process.env.OPENBLAS_LIBRARY, ...folders.map((folder) => join(folder, 'libopenblas.a'))];
  return {
    platform,
    arch,
    name,
    compiler,
    strip: isOwn ? 'strip' : `${cross.triple}-strip`,
    openBlas: libraries.find((library) => library && existsSync(library)),
    cmakeOptions: () => (isOwn ? ownOptions : cross.cmakeOptions(compiler)),
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
