// Each instruction-set level is a shared object that shares no code with another: it exports its kernel table and nothing else,
// and holds no instruction above its level. A processor of that level can run all of it.
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';

const folder = process.env['HADAL_BINARY']
  ? dirname(process.env['HADAL_BINARY'])
  : join(__dirname, '../../build/Release');
const library = (level: string): string => join(folder, `libhadal-cpu-${level}.so`);

// The tools of the compiler that built it, and their names for registers.
const onLinuxX64 = process.platform === 'linux' && process.arch === 'x64' ? describe : describe.skip;

onLinuxX64.each([
  ['v2', /\t(v[a-z]\w+ |.*%[yz]mm|.*%k[0-7])/],
  ['v3', /\t.*(%zmm|%k[0-7]|%[xy]mm(1[6-9]|2\d|3[01]))/],
])('level %s', (level, above) => {
  test('exports its kernel table only', () => {
    const symbols = execFileSync('nm', ['--dynamic', '--defined-only', '--format=just-symbols', library(level)]);
    expect(symbols.toString().trim()).toBe('hadal_cpu_kernels');
  });

  test('holds no instruction of a higher level', () => {
    const listing = execFileSync('objdump', ['--disassemble', '--no-show-raw-insn', library(level)], {
      maxBuffer: 2 ** 30,
    });
    const lines = listing.toString('latin1').split('\n');
    expect(lines.length).toBeGreaterThan(1000);
    expect(lines.filter((line) => above.test(line)).slice(0, 10)).toEqual([]);
  });
});
