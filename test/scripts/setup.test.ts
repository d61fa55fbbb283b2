// scripts/setup.mjs on machines that lack tools: the machine is a folder of fake programs that is the whole PATH.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const script = join(__dirname, '../../scripts/setup.mjs');
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hadal-setup-'));
  // A static OpenBLAS, so that what is missing is the same on every machine that runs this test.
  writeFileSync(join(folder, 'libopenblas.a'), '');
});
afterEach(() => rmSync(folder, { recursive: true }));

// The fake programs are shell scripts.
const withShell = process.platform === 'win32' ? test.skip : test;

const program = (name: string, body: string): void =>
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });

function setUp(): { status: number | null; stdout: string; stderr: string } {
  const env = { PATH: folder, OPENBLAS_LIBRARY: join(folder, 'libopenblas.a') };
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--system-only'], { env, encoding: 'utf8' });
  return { status, stdout, stderr };
}

const gcc = (version: string): string =>
  `case "$1" in --version) echo "g++ (GCC) ${version}";; *) echo ${version};; esac`;

const commands = (apt: string, dnf: string, brew: string, pacman: string): string => `
  Debian, Ubuntu:  sudo apt-get update && sudo apt-get install -y ${apt}
  Fedora, RHEL:    sudo dnf install -y ${dnf}
  macOS:           brew install ${brew}
  Windows, MSYS2:  pacman -S ${pacman.replace(/\S+/g, 'mingw-w64-clang-x86_64-$&')}
`;

test('without tools and without apt it prints the commands and stops', () => {
  expect(setUp()).toEqual({
    status: 1,
    stdout: '',
    stderr:
      'setup: a C++ compiler is missing; cmake is missing; ninja is missing. Install what is missing and run this again:' +
      commands('g++ cmake ninja-build', 'gcc-c++ cmake ninja-build', 'llvm cmake ninja', 'clang cmake ninja'),
  });
});

withShell('tools that are too old are named with their versions', () => {
  program('g++', gcc('9.4.0'));
  program('cmake', 'echo "cmake version 3.16.3"');
  program('make', '');
  expect(setUp()).toEqual({
    status: 1,
    stdout: '',
    stderr:
      'setup: g++ is GCC 9.4.0, 12 or newer is needed (CXX chooses another); cmake is 3.16.3, 3.18 or newer is needed. ' +
      'Install what is missing and run this again:' +
      commands('g++ cmake', 'gcc-c++ cmake', 'llvm cmake', 'clang cmake'),
  });
});

withShell('tools that are there are left alone', () => {
  program('g++', gcc('12.2.0'));
  program('cmake', 'echo "cmake version 3.25.1"');
  program('ninja', '');
  program('apt-get', `echo called > ${folder}/log`);
  expect(setUp()).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(() => readFileSync(join(folder, 'log'))).toThrow('ENOENT');
});

describe('with apt', () => {
  // Run by root, apt-get is called directly; otherwise through sudo, which here passes everything on.
  beforeEach(() => {
    program('g++', gcc('12.2.0'));
    program('sudo', 'shift; case "$1" in *=*) export "$1"; shift;; esac; [ "$1" = true ] || "$@"');
  });

  withShell('what is missing is installed', () => {
    program('cmake-to-install', 'echo "cmake version 3.25.1"');
    program('ninja-to-install', '');
    program(
      'apt-get',
      `echo "$DEBIAN_FRONTEND $*" >> ${folder}/log
       [ "$1" = update ] || for name in cmake ninja; do /bin/cp ${folder}/$name-to-install ${folder}/$name; done`,
    );
    expect(setUp()).toEqual({
      status: 0,
      stdout: 'setup: cmake is missing; ninja is missing: installing cmake ninja-build with apt\n',
      stderr: '',
    });
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe(
      'noninteractive update -qq\nnoninteractive install -y -qq --no-install-recommends cmake ninja-build\n',
    );
  });

  withShell('an installation that fails ends with the commands', () => {
    program('make', '');
    program('apt-get', '[ "$1" = update ]');
    const { status, stderr } = setUp();
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `setup: apt did not bring everything (cmake is missing). By hand:${commands('cmake', 'cmake', 'cmake', 'cmake')}`,
    });
  });
});
