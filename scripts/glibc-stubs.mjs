// Stand-ins of glibc's shared libraries, to link with on a new system what is to run on old ones: they have the symbols that glibc of a
// given version had, in the versions that it gave them, and no code.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// What libstdc++ takes for granted and glibc 2.28 has under other names or in another form: whether there is one thread only, so that
// atomics can be saved; the state of a file, with the version of its structure first; waiting until a time of any clock.
const newer = `
#include <pthread.h>
#include <time.h>

#ifdef __x86_64__
enum { state_version = 1 };
#else
enum { state_version = 0 };
#endif
int __xstat(int, const char*, void*);
int __fxstat64(int, int, void*);

#pragma GCC visibility push(hidden)
char __libc_single_threaded = 0;
int stat(const char* path, void* state) { return __xstat(state_version, path, state); }
int fstat64(int file, void* state) { return __fxstat64(state_version, file, state); }
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock, const struct timespec* until) {
  const long long second = 1000000000;
  struct timespec now, real;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &real);
  const long long nanoseconds =
    (until->tv_sec - now.tv_sec + real.tv_sec) * second + until->tv_nsec - now.tv_nsec + real.tv_nsec;
  const struct timespec then = {nanoseconds / second, nanoseconds % second};
  return pthread_cond_timedwait(condition, mutex, &then);
}
`;

function compareVersions(a, b) {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number));
  return x[0] - y[0] || x[1] - y[1] || (x[2] ?? 0) - (y[2] ?? 0);
}

// The dynamic symbols of a shared object, with their version of glibc: '' of those that have none, undefined of those of others.
function dynamicSymbols(file) {
  const table = execFileSync('readelf', ['--dyn-syms', '--wide', file], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const rows = table.matchAll(/ (?<type>\w+) +(?<binding>GLOBAL|WEAK) +\w+ +(?<section>\w+) (?<name>[^@\s]+)(?:@+(?<version>\S+))?/g); // prettier-ignore
  return [...rows].map(({ groups: { type, binding, section, name, version } }) => ({
    name,
    glibc: version === undefined ? '' : /^GLIBC_([\d.]+)$/.exec(version)?.[1],
    defined: section !== 'UND',
    isData: type === 'OBJECT',
    isWeak: binding === 'WEAK',
  }));
}

/** The symbols that a shared object needs and that neither glibc of version `floor` nor Node has. */
export function missingSymbols(file, floor) {
  return dynamicSymbols(file)
    .filter(({ defined, isWeak, name }) => !defined && !isWeak && !/^(napi|node_api)_/.test(name))
    .filter(({ glibc }) => glibc === '' || (glibc !== undefined && compareVersions(glibc, floor) > 0))
    .map(({ name, glibc }) => (glibc ? `${name} (glibc ${glibc})` : name));
}

/** Makes `folder` a library path (-L) where the C library and its mathematics are those of glibc `floor`, 2.28 or newer. */
export function makeGlibcStubs(floor, folder, compiler = process.env.CXX ?? 'c++') {
  mkdirSync(folder, { recursive: true });
  const compile = (...args) => execFileSync(compiler, args, { cwd: folder, stdio: 'inherit' });
  const find = (name) => execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
  const put = (name, text) => writeFileSync(join(folder, name), text);

  put('newer.c', newer);
  compile('-x', 'c', '-c', '-O2', '-fPIC', '-ffunction-sections', 'newer.c');
  for (const [library, additions] of Object.entries({ libc: ['newer.o'], libm: [] })) {
    const soname = `${library}.so.6`;
    const stub = `${library}.stub`; // by its own name the loader could take it for the library
    const chosen = new Map();
    for (const { name, glibc, defined, isData } of dynamicSymbols(find(soname))) {
      if (!defined || !glibc || compareVersions(glibc, floor) > 0) continue;
      if (compareVersions(glibc, chosen.get(name)?.glibc ?? '0.0') > 0) chosen.set(name, { glibc, isData });
    }
    const stubs = [...chosen].map(
      ([name, { glibc, isData }], i) =>
        `.globl stub${i}\n.type stub${i}, %${isData ? 'object' : 'function'}\n.symver stub${i}, ${name}@@GLIBC_${glibc}\nstub${i}: .quad 0\n`,
    );
    const versions = new Set([...chosen.values()].map(({ glibc }) => glibc));
    put(`${library}.s`, stubs.join(''));
    put(`${library}.map`, [...versions].map((version) => `GLIBC_${version} {};\n`).join(''));
    compile('-shared', '-nostdlib', `-Wl,-soname,${soname},--version-script=${library}.map`, `${library}.s`, '-o', stub); // prettier-ignore
    // The system's own script for the linker names the library's other parts, where there are any.
    const file = readFileSync(find(`${library}.so`), 'latin1');
    const script = file.startsWith('\x7fELF') ? `INPUT ( ./${soname} )\n` : file;
    const ours = [stub, ...additions].map((name) => join(folder, name)).join(' ');
    put(`${library}.so`, script.replace(new RegExp(`\\S+/${soname.replaceAll('.', '\\.')}`), ours));
  }
}
