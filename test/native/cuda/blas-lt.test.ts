// What cuda/blas_lt.cc says of cuBLASLt's interface against its header, where that is found: beside a folder of HADAL_CUDA_LIBS or in the toolkit, which
// it needs in any case. What is done with the library is tested with a stand-in (emulated.test.ts).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(__dirname, '..', '..', '..');
const toolkit = join(process.env['CUDA_PATH'] ?? '/usr/local/cuda', 'include');
const libraries = (process.env['HADAL_CUDA_LIBS'] ?? '').split(':').filter((folder) => folder !== '');
const headers = [...libraries.map((folder) => join(dirname(folder), 'include')), toolkit];
const isServed = existsSync(toolkit) && headers.some((folder) => existsSync(join(folder, 'cublasLt.h')));

(isServed ? test : test.skip)('the interface is that of the header', () => {
  const folders = [join(root, 'native'), ...headers].map((folder) => `-I${folder}`);
  const check = ['-std=c++20', '-fsyntax-only', ...folders, join(__dirname, 'blas_lt_values.cc')];
  const { stderr, status } = spawnSync(process.env['CXX'] ?? 'c++', check, { encoding: 'utf8' });
  expect(status === 0 ? '' : stderr).toBe('');
});
