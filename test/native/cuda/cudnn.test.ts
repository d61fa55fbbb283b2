// The real cuDNN, without a GPU, where it is found: in a folder of HADAL_CUDA_LIBS, beside Python or on the system. What is done with it is
// tested with a stand-in (emulated.test.ts).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(__dirname, '..', '..', '..');
const python = spawnSync('python3', ['-c', 'import nvidia.cudnn; print(nvidia.cudnn.__path__[0])'], {
  encoding: 'utf8',
});
const library = [
  ...(process.env['HADAL_CUDA_LIBS'] ?? '').split(':').filter((folder) => folder !== ''),
  ...(python.status === 0 ? [join(python.stdout.trim(), 'lib')] : []),
  '/usr/lib/x86_64-linux-gnu',
].find((folder) => existsSync(join(folder, 'libcudnn.so.9')));
const headers = (library === undefined ? [] : [join(dirname(library), 'include'), '/usr/include']).find((folder) =>
  existsSync(join(folder, 'cudnn_graph.h')),
);

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'hadal-cudnn-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function compile(...args: string[]): void {
  const compiler = process.env['CXX'] ?? 'c++';
  const { stderr } = spawnSync(compiler, ['-std=c++20', `-I${join(root, 'native')}`, ...args], { encoding: 'utf8' });
  expect(stderr).toBe('');
}

(headers === undefined ? test.skip : test)('its interface is that of its headers', () => {
  writeFileSync(
    join(folder, 'cuda_runtime_api.h'),
    '#include <stddef.h>\ntypedef struct CUstream_st* cudaStream_t;\ntypedef struct CUgraph_st* cudaGraph_t;\n',
  );
  writeFileSync(join(folder, 'library_types.h'), 'enum libraryPropertyType {};\n');
  compile('-fsyntax-only', `-I${folder}`, `-I${headers}`, join(__dirname, 'cudnn_values.cc'));
});

describe('it makes plans for an H100 of what is described to it', () => {
  const planned = library === undefined ? test.skip : test;
  const plans = (what: string, environment: Record<string, string> = {}): string => {
    const env = { ...process.env, HADAL_CUDA_LIBS: library!, LD_LIBRARY_PATH: folder, ...environment };
    return spawnSync(join(folder, 'cudnn-check'), [what], { encoding: 'utf8', env }).stdout;
  };
  beforeAll(() => {
    if (library === undefined) return;
    const sources = ['cudnn.cc', 'cudnn_attention.cc', 'cudnn_convolution.cc', 'cuda_context.cc'];
    compile(
      ...['-rdynamic', `-I${join(__dirname, 'emulator', 'include')}`, '-o', join(folder, 'cudnn-check')],
      ...[join(__dirname, 'cudnn_check.cc'), ...sources.map((name) => join(root, 'native/cuda', name))],
      ...[join(root, 'native/cpu/op_names.cc'), '-ldl'],
    );
    // Kernels of attention are compiled when they are planned, and loaded.
    const driver = join(__dirname, 'cudnn_driver.c');
    spawnSync(process.env['CC'] ?? 'cc', ['-shared', '-fPIC', '-o', join(folder, 'libcuda.so.1'), driver]);
  });

  planned('of convolutions', () => {
    expect(plans('convolutions')).toBe('192 plans, 0 with copies\n');
    // All that were proposed are run, and the best once more.
    const tuned = plans('convolutions', { HADAL_CUDA_TUNE: '1', HADAL_TF32: '1' });
    expect(Number.parseInt(tuned, 10)).toBeGreaterThan(2 * 192);
  });

  planned('of attention', () => {
    // Of each a result and its gradients; those of long sequences image by image.
    expect(plans('attention', { HADAL_CUDNN: 'all' })).toBe('54 plans\n');
    // No more than 16 kernels are compiled unless that is asked for.
    expect(plans('attention')).toBe('plain, t 100, s 333, d 128 in float16: no engine\n');
  });
});
