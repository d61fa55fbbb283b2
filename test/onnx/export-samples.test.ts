// Every sample of an op that has a form in ONNX, run by ONNX Runtime, against the op itself.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { noGrad, onnx, type AnyTensor } from '../../lib/index';
import { Draw, expectClose, list, plain, titleOf } from '../ops/sample';
import { samplesByOp } from '../ops/samples';
import { Runtime } from './runtime';

const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
const runtime = new Runtime();
afterAll(async () => {
  await runtime.close();
  rmSync(folder, { recursive: true });
});

// What ONNX has no form for: decompositions, special functions, random numbers, training, and what depends on values.
const without = new Set<string>([]);

// Where ONNX Runtime has other results, or none: NaN, sums that the dtype does not hold, sequences without steps.
const different =
  /special values|NaN|no steps|both directions, lengths|squares that the dtype/;

test.each([...samplesByOp.keys()])('%s', async (op) => {
  for (const sample of samplesByOp.get(op)!) {
    const title = titleOf(sample);
    const inputs = sample.inputs(new Draw(title), sample.dtypes.includes('float32') ? 'float32' : sample.dtypes[0]!);
    const path = join(folder, 'sample.onnx');
    const call = (...xs: AnyTensor[]) => sample.call(...xs);
    if (without.has(op)) {
      await expect(onnx.save(path, call, inputs)).rejects.toThrow(/^onnx\.save: (ops without a form|the pass is more)/);
      continue;
    }
    await onnx.save(path, call, inputs);
    const expected = list(noGrad(() => call(...inputs)));
    // It stops at some tensors without elements.
    if (different.test(title) || [...inputs, ...expected].some(({ size }) => size === 0)) continue;
    let got: AnyTensor[];
    try {
      got = Object.values(await runtime.run(path, inputs));
    } catch (error) {
      throw new Error(`${title}: ${(error as Error).message}`);
    }
    expected.forEach((result, i) => {
      expect([title, got[i]!.dtype]).toEqual([title, result.dtype]);
      // The runtime sums in another order and has other polynomials.
      expectClose(plain(got[i]!), plain(result), { rtol: 1e-5, atol: 1e-5 }, `${title}, result ${i}`);
    });
  }
});
