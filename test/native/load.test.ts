import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { HadalError } from '../../lib/errors';
import { findCuda } from '../../lib/native/find-cuda';
import { loadAddon, NativeLoadError } from '../../lib/native/load-addon';
import { opsFingerprint } from '../../lib/native/opcodes';

let root: string;
const givenBinary = process.env['HADAL_BINARY'];

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'hadal-load-')));
  delete process.env['HADAL_BINARY'];
});
afterEach(() => {
  rmSync(root, { recursive: true });
  if (givenBinary === undefined) delete process.env['HADAL_BINARY'];
  else process.env['HADAL_BINARY'] = givenBinary;
});

function put(path: string, content: string): string {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

function failure(): string {
  try {
    loadAddon(root);
  } catch (error) {
    expect(error).toBeInstanceOf(NativeLoadError);
    expect(error).toBeInstanceOf(HadalError);
    expect((error as NativeLoadError).code).toBe('NATIVE_LOAD');
    return (error as NativeLoadError).message;
  }
  throw new Error('it loaded');
}

const header = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
const glibc = header.header.glibcVersionRuntime;
const platform = `${process.platform}-${process.arch}`;
const prefix = `load: native core not available on ${platform} (Node ${process.versions.node}, glibc ${glibc}): `;
const nothingFound = (): string => `found no binary in ${root}/build/Release or ${root}/prebuilds\n`;

// The messages below are those of a Linux with glibc, the platform that has prebuilt binaries.
const onGlibc = glibc === undefined ? describe.skip : describe;

onGlibc('loadAddon', () => {
  test('loads the build of this checkout', () => {
    const addon = loadAddon();
    expect(addon.opsFingerprint).toBe(opsFingerprint);
  });

  test('a checkout that was not built', () => {
    put('CMakeLists.txt', '');
    expect(failure()).toBe(`${prefix}${nothingFound()}Build it: npm run build:native`);
  });

  test('a package without binaries for this platform', () => {
    put('prebuilds/plan9-x64/hadal.node', '');
    expect(failure()).toBe(
      `${prefix}${nothingFound()}This package has binaries for plan9-x64. On ${platform}, build hadal from its repository and set HADAL_BINARY to the path of hadal.node`,
    );
  });

  test('a package with binaries for another C library', () => {
    put(`prebuilds/${platform}/hadal.musl.node`, '');
    expect(failure()).toBe(
      `${prefix}${nothingFound()}The package's binaries for ${platform} do not fit this system: it needs the GNU C library (glibc)`,
    );
  });

  test('a package without any binaries', () => {
    expect(failure()).toBe(`${prefix}${nothingFound()}The package is incomplete: install it again (npm install hadal)`);
  });

  test('a binary of another platform', () => {
    const file = put(`prebuilds/${platform}/hadal.glibc.node`, 'MZ: not a library of this system'.repeat(100));
    expect(failure()).toBe(
      `${prefix}could not load ${file}: ${file}: invalid ELF header\n` +
        'The binary is for another platform, as when node_modules is copied between machines. Install the package again: npm install hadal',
    );
  });

  test('a binary that needs a newer C library', () => {
    // A library that was linked against a libc with a version that no system has.
    const source = put('fake.c', 'int future(void) { return 1; }');
    const map = put('fake.map', 'GLIBC_9.99 { global: future; };');
    const user = put('user.c', 'int future(void); int use(void) { return future(); }');
    const libc = join(root, 'libc.so.6');
    const file = put(`prebuilds/${platform}/hadal.glibc.node`, '');
    const compiler = process.env['CC'] ?? 'cc';
    execFileSync(compiler, [
      '-shared',
      '-fPIC',
      '-nostdlib',
      source,
      `-Wl,--version-script=${map},-soname,libc.so.6`,
      '-o',
      libc,
    ]);
    execFileSync(compiler, ['-shared', '-fPIC', '-nostdlib', user, libc, '-o', file]);
    const message = failure();
    expect(message).toContain("version `GLIBC_9.99' not found");
    expect(message.split('\n').at(-1)).toBe(
      `The binary needs GLIBC 9.99 or newer; this system has glibc ${glibc}. Update the system, or build hadal from its repository on it`,
    );
  });

  test('a binary built from another op list', () => {
    put('CMakeLists.txt', '');
    const file = put('other.js', 'exports.opsFingerprint = 1;');
    process.env['HADAL_BINARY'] = file;
    expect(failure()).toBe(
      `${prefix}${file} was built from another version of the op list\nHADAL_BINARY names this file: rebuild it, or unset the variable`,
    );
  });

  test('HADAL_BINARY goes before every other binary', () => {
    put('build/Release/hadal.node', 'not a library');
    process.env['HADAL_BINARY'] = put(
      'chosen.js',
      `exports.opsFingerprint = ${opsFingerprint}; exports.cpuLevel = 'chosen';`,
    );
    expect(loadAddon(root).cpuLevel).toBe('chosen');
    process.env['HADAL_BINARY'] = join(root, 'absent.node');
    expect(failure().split('\n').at(-1)).toBe('HADAL_BINARY names this file: correct or unset it');
  });
});

describe('findCuda', () => {
  const putPackage = (path: string, version: string): string =>
    put(join(path, 'package.json'), `{ "version": "${version}" }`);

  test('a bundle', () => {
    expect(findCuda(root)).toEqual({ path: '', remedy: 'the CUDA backend is not here' });
  });

  test('a checkout without the package hadal-cuda', () => {
    put('CMakeLists.txt', '');
    putPackage('.', '1.2.3');
    const remedy = 'the CUDA backend is not here: build it with `npm run build:cuda`';
    expect(findCuda(root)).toEqual({ path: '', remedy });
  });

  test('hadal without the package hadal-cuda', () => {
    putPackage('.', '1.2.3');
    const remedy = 'the CUDA backend is not here: install it: npm install hadal-cuda@1.2.3';
    expect(findCuda(root)).toEqual({ path: '', remedy });
  });

  test('hadal-cuda of the same version, in a folder further out', () => {
    putPackage('node_modules/other/node_modules/hadal', '1.2.3');
    putPackage('node_modules/hadal-cuda', '1.2.3');
    const path = join(root, 'node_modules/hadal-cuda/libhadal-cuda.so');
    expect(findCuda(join(root, 'node_modules/other/node_modules/hadal'))).toEqual({ path, remedy: '' });
  });

  test('hadal-cuda of another version', () => {
    putPackage('node_modules/hadal', '1.2.3');
    putPackage('node_modules/hadal-cuda', '1.2.2');
    const remedy = 'hadal-cuda has another version: got 1.2.2, expected 1.2.3: npm install hadal-cuda@1.2.3';
    expect(findCuda(join(root, 'node_modules/hadal'))).toEqual({ path: '', remedy });
  });
});
