// What scripts/target.mjs tells the builds about other platforms and processors, seen from Linux on x86-64.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const script = pathToFileURL(join(__dirname, '../../scripts/target.mjs')).href;

function targetOf(expression: string, platform: string, arch: string): { answer: unknown; stderr: string } {
  const program = `import { targetOf } from '${script}';
    const target = targetOf({ platform: '${platform}', arch: '${arch}' });
    console.log(JSON.stringify(${expression}));`;
  const env = { PATH: process.env['PATH'], OPENBLAS_LIBRARY: __filename };
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { env, encoding: 'utf8' }); // prettier-ignore
  return { answer: stdout === '' ? undefined : JSON.parse(stdout), stderr };
}

const onLinuxX64 = process.platform === 'linux' && process.arch === 'x64' ? describe : describe.skip;

onLinuxX64('a target', () => {
  const tools = '[target.name, target.compiler, target.strip, target.openBlas]';
  test.each([
    ['linux', 'x64', ['', 'c++', 'strip']],
    ['linux', 'arm64', ['arm64', 'aarch64-linux-gnu-g++', 'aarch64-linux-gnu-strip']],
    ['win32', 'x64', ['win32', 'clang++', 'x86_64-w64-mingw32-strip']],
  ])('%s-%s: its tools', (platform, arch, expected) => {
    expect(targetOf(tools, platform, arch)).toEqual({ answer: [...expected, __filename], stderr: '' });
  });

  test.each([
    ['x64', []],
    [
      'arm64',
      ['CMAKE_SYSTEM_NAME=Linux', 'CMAKE_SYSTEM_PROCESSOR=aarch64', 'CMAKE_CXX_COMPILER=aarch64-linux-gnu-g++'],
    ],
  ])('linux-%s: what CMake has to know', (arch, expected) => {
    expect(targetOf('target.cmakeOptions()', 'linux', arch).answer).toEqual(expected);
  });

  test('that cannot be built for is refused', () => {
    const { answer, stderr } = targetOf('target', 'win32', 'arm64');
    expect(answer).toBeUndefined();
    expect(stderr).toContain(
      'Error: target: cannot be built here: got win32-arm64, expected linux-x64, linux-arm64, win32-x64\n',
    );
  });
});
