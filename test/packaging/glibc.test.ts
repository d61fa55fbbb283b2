// Binaries are linked with stand-ins of an old glibc, so that they run with it and whatever came after.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const script = pathToFileURL(join(__dirname, '../../scripts/glibc-stubs.mjs')).href;
const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
const onGlibc = header?.glibcVersionRuntime ? describe : describe.skip;

// Functions that glibc gave new versions since (pow, hypot, dlopen), and what libstdc++ makes of a file's state, of shared pointers and of
// waiting for a time.
const source = `
#include <dlfcn.h>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <memory>
extern "C" double sums(double x, const char* path) {
  const auto shared = std::make_shared<double>(std::pow(x, 1.5) + std::hypot(x, 2));
  const auto copy = shared;
  using namespace std::chrono_literals;
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable condition;
  const auto start = std::chrono::steady_clock::now();
  condition.wait_for(lock, 20ms, [] { return false; });
  const auto waited = std::chrono::steady_clock::now() - start;
  const bool in_time = waited >= 20ms && waited < 10s;
  return *copy + std::filesystem::exists(path) + (dlopen(path, RTLD_NOW) != nullptr) + in_time;
}
`;
const caller = `
#include <dlfcn.h>
int main(int, char** argv) {
  const auto sums = reinterpret_cast<double (*)(double, const char*)>(dlsym(dlopen(argv[1], RTLD_NOW), "sums"));
  return sums(0, "/") == 4 ? 0 : 1;
}
`;

onGlibc('binaries for glibc 2.28', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hadal-glibc-'));
    writeFileSync(join(folder, 'sums.cc'), source);
    writeFileSync(join(folder, 'caller.cc'), caller);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (program: string): string =>
    execFileSync(process.execPath, ['--input-type=module', '-e', `import * as glibc from '${script}'; ${program}`], {
      cwd: folder,
      encoding: 'utf8',
    });
  const compile = (...args: string[]): Buffer =>
    execFileSync(process.env['CXX'] ?? 'c++', ['-std=c++20', '-O1', ...args], { cwd: folder });
  const build = (name: string, ...options: string[]): unknown => {
    compile('-shared', '-fPIC', 'sums.cc', '-o', name, ...options);
    return JSON.parse(run(`console.log(JSON.stringify(glibc.missingSymbols('${name}', '2.28')))`));
  };

  test('need nothing that came later, and do the same', () => {
    run(`glibc.makeGlibcStubs('2.28', '${folder}/stubs')`);
    expect(build('old.so', `-L${folder}/stubs`, '-static-libstdc++', '-Wl,--gc-sections,--exclude-libs,ALL')).toEqual(
      [],
    );
    compile('caller.cc', '-o', 'caller');
    expect(() => execFileSync('./caller', ['./old.so'], { cwd: folder })).not.toThrow();
  });

  test('linked as usual they need more, which is noticed', () => {
    expect(build('new.so')).toEqual(expect.arrayContaining([expect.stringMatching(/^pow \(glibc 2\.29\)$/)]));
  });
});
