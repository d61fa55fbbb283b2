/**
 * Finds and loads the native binary, and says what to do when that fails. It does not know what the binary exports beyond the
 * fingerprint of the op list. Called once per thread by load.ts.
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { resolve } from 'node-gyp-build';
import { type ErrorFields, HadalError } from '../errors';
import type { NativeAddon } from './addon';
import { opsFingerprint } from './opcodes';

/** The native binary is missing or does not fit this machine. */
export class NativeLoadError extends HadalError {
  constructor(message: string, fields?: ErrorFields) {
    super(message, fields, 'NATIVE_LOAD');
  }
}

/** lib/native in a checkout, dist/native in the package: both two below the package's root. */
export const packageRoot = join(__dirname, '..', '..');

/**
 * Loads the addon: the file that `HADAL_BINARY` names; else the build of this checkout (build/Release); else the prebuilt
 * binary for this platform (prebuilds/).
 *
 * @throws NativeLoadError naming the platform, what was tried and the remedy.
 */
export function loadAddon(root: string = packageRoot): NativeAddon {
  const file = process.env['HADAL_BINARY'] || find(root);
  let addon: NativeAddon;
  try {
    addon = createRequire(__filename)(file) as NativeAddon;
  } catch (error) {
    const { message } = error as Error;
    throw explain(root, `could not load ${file}: ${message}`, remedyFor(root, message), error);
  }
  if (addon.opsFingerprint !== opsFingerprint) {
    throw explain(root, `${file} was built from another version of the op list`, rebuildRemedy(root));
  }
  return addon;
}

function find(root: string): string {
  try {
    return resolve(root);
  } catch (error) {
    const tried = `found no binary in ${join(root, 'build', 'Release')} or ${join(root, 'prebuilds')}`;
    throw explain(root, tried, missingRemedy(root), error);
  }
}

function explain(root: string, what: string, remedy: string, cause?: unknown): NativeLoadError {
  const error = new NativeLoadError(`load: native core not available on ${platformName()}: ${what}\n${remedy}`);
  if (cause !== undefined) error.cause = cause;
  return error;
}

function missingRemedy(root: string): string {
  if (isCheckout(root)) return 'Build it: npm run build:native';
  const available = prebuiltPlatforms(root);
  const platform = `${process.platform}-${process.arch}`;
  if (available.length === 0) return 'The package is incomplete: install it again (npm install hadal)';
  if (!available.includes(platform)) {
    return `This package has binaries for ${available.join(', ')}. On ${platform}, build hadal from its repository and set HADAL_BINARY to the path of hadal.node`;
  }
  return `The package's binaries for ${platform} do not fit this system: it needs the GNU C library (glibc)`;
}

function remedyFor(root: string, message: string): string {
  const symbol = /version [`']((?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found/.exec(message)?.[1];
  if (symbol) {
    const system = symbol.startsWith('GLIBC_') ? `glibc ${glibcVersion() ?? 'of another kind'}` : 'an older libstdc++';
    const update = isCheckout(root)
      ? 'Rebuild on this system: npm run build:native'
      : 'Update the system, or build hadal from its repository on it';
    return `The binary needs ${symbol.replace('_', ' ')} or newer; this system has ${system}. ${update}`;
  }
  if (/ld-linux|libc\.musl|libstdc\+\+\.so/.test(message)) {
    return 'A system library is missing: hadal needs glibc and libstdc++ (Debian and Ubuntu: apt-get install libstdc++6)';
  }
  if (/ELF|Mach-O|not a valid Win32|incompatible architecture/i.test(message)) {
    return `The binary is for another platform, as when node_modules is copied between machines. ${rebuildRemedy(root)}`;
  }
  if (process.env['HADAL_BINARY']) return 'HADAL_BINARY names this file: correct or unset it';
  return rebuildRemedy(root);
}

function rebuildRemedy(root: string): string {
  if (process.env['HADAL_BINARY']) return 'HADAL_BINARY names this file: rebuild it, or unset the variable';
  return isCheckout(root) ? 'Build it again: npm run build:native' : 'Install the package again: npm install hadal';
}

export const isCheckout = (root: string): boolean => existsSync(join(root, 'CMakeLists.txt'));

function prebuiltPlatforms(root: string): string[] {
  try {
    return readdirSync(join(root, 'prebuilds')).sort();
  } catch {
    return [];
  }
}

function platformName(): string {
  const libc = process.platform === 'linux' ? (glibcVersion() ? `, glibc ${glibcVersion()}` : ', not glibc') : '';
  return `${process.platform}-${process.arch} (Node ${process.versions.node}${libc})`;
}

function glibcVersion(): string | undefined {
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report?.header?.glibcVersionRuntime;
}
