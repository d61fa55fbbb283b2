// Where the static OpenBLAS lies. The serial build is preferred; a threaded one works too, held at one thread by the core.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** What compilers and Debian call a processor that Node calls `arch`. */
export const processorOf = (arch) => (arch === 'arm64' ? 'aarch64' : 'x86_64');

const foldersFor = (arch) =>
  ['openblas-serial', 'openblas-pthread', 'openblas-openmp', ''].map((name) =>
    join(`/usr/lib/${processorOf(arch)}-linux-gnu`, name),
  );
const ownFolders = [
  ...foldersFor(process.arch),
  '/usr/lib64',
  '/usr/local/lib',
  '/opt/homebrew/opt/openblas/lib',
  '/usr/local/opt/openblas/lib',
  join(process.env.MSYSTEM_PREFIX ?? 'C:/msys64/clang64', 'lib'),
];

/** The path of libopenblas.a for a processor (OPENBLAS_LIBRARY in the environment goes first), or undefined. */
export function findOpenBlas(arch = process.arch) {
  const wanted = process.env.OPENBLAS_LIBRARY;
  const folders = arch === process.arch ? ownFolders : foldersFor(arch);
  return [...(wanted ? [wanted] : []), ...folders.map((folder) => join(folder, 'libopenblas.a'))].find(existsSync);
}
