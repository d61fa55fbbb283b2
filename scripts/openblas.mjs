// Where the static OpenBLAS lies. The serial build is preferred; a threaded one works too, held at one thread by the core.
import { existsSync } from 'node:fs';

const multiarch = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

const folders = [
  `${multiarch}/openblas-serial`,
  `${multiarch}/openblas-pthread`,
  `${multiarch}/openblas-openmp`,
  multiarch,
  '/usr/lib64',
  '/usr/local/lib',
  '/opt/homebrew/opt/openblas/lib',
  '/usr/local/opt/openblas/lib',
];

/** The path of libopenblas.a (OPENBLAS_LIBRARY in the environment goes first), or undefined. */
export function findOpenBlas() {
  const wanted = process.env.OPENBLAS_LIBRARY;
  return [...(wanted ? [wanted] : []), ...folders.map((folder) => `${folder}/libopenblas.a`)].find(existsSync);
}
