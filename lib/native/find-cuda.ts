/** Finds the CUDA backend where it is not beside the addon: in the package hadal-cuda, which only those install who have a GPU. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { isCheckout, packageRoot } from './load-addon';

export interface CudaLocation {
  /** The path of the library; empty where there is none. */
  readonly path: string;
  /** What helps where there is none. */
  readonly remedy: string;
}

/** Where the CUDA backend of the same version as the package in `root` is installed. */
export function findCuda(root: string = packageRoot): CudaLocation {
  const own = join(root, 'package.json');
  // A bundle has no package around it.
  if (!existsSync(own)) return { path: '', remedy: 'the CUDA backend is not here' };
  const version = versionIn(own);
  const install = `npm install hadal-cuda@${version}`;
  let manifest: string;
  try {
    manifest = createRequire(own).resolve('hadal-cuda/package.json');
  } catch {
    const remedy = isCheckout(root) ? 'build it with `npm run build:cuda`' : `install it: ${install}`;
    return { path: '', remedy: `the CUDA backend is not here: ${remedy}` };
  }
  const found = versionIn(manifest);
  if (found === version) return { path: join(dirname(manifest), 'libhadal-cuda.so'), remedy: '' };
  return { path: '', remedy: `hadal-cuda has another version: got ${found}, expected ${version}: ${install}` };
}

const versionIn = (manifest: string): string =>
  (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
