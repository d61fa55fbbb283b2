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
const without = new Set(
  `lu luFactor luSolve choleskySolve choleskyInverse eig eigvals matrixNorm cond householderProduct tensorinv tensorsolve inv matrixExp det slogdet logdet solve triangularSolve cholesky qr svd svdvals pinv matrixRank lstsq eigh eigvalsh matrixPower ctcLoss gumbelSoftmax quantizeMatrix sgdStep adamStep adamaxStep adagradStep adadeltaStep rmsPropStep lionStep lerpTensors clampTensors scaleTensors gammainc gammaincc zeta nextAfter erfinv erfcx ndtri i0 i1 i0e i1e lgamma digamma polygamma logNdtr gcd lcm dropout dropout1d dropout2d dropout3d alphaDropout featureAlphaDropout rrelu repeatInterleaveSync atSync nonzeroSync maskedSelectSync bincountSync uniqueSync nonMaxSuppressionSync`.split(
    /\s+/,
  ),
);

// Where ONNX Runtime has other results, or none: NaN, bfloat16, sums that the dtype does not hold, sequences without steps.
const different = /to bfloat16|special values|NaN|no steps|both directions, lengths|squares that the dtype/;

const magnitude = (values: readonly number[]): number => Math.max(1, ...values.filter(Number.isFinite).map(Math.abs));

test.each([...samplesByOp.keys()])('%s', async (op) => {
  let refused = 0;
  for (const sample of samplesByOp.get(op)!) {
    const title = titleOf(sample);
    const inputs = sample.inputs(new Draw(title), sample.dtypes.includes('float32') ? 'float32' : sample.dtypes[0]!);
    // Of a long transform the matrix has the square of as many elements.
    if (/fft/.test(op) && inputs.some(({ size }) => size > 1000)) continue;
    const path = join(folder, 'sample.onnx');
    const call = (...xs: AnyTensor[]): AnyTensor | readonly AnyTensor[] => sample.call(...xs);
    try {
      await onnx.save(path, call, inputs);
    } catch (error) {
      expect((error as Error).message).toMatch(
        /^onnx\.save: (ops without a form in ONNX|the pass is more than ops): got /,
      );
      refused++;
      continue;
    }
    const expected = list(noGrad(() => call(...inputs)));
    // It stops at some tensors without elements.
    if (different.test(title) || [...inputs, ...expected].some(({ size }) => size === 0)) continue;
    const got = Object.values(
      await runtime.run(path, inputs).catch((error: Error) => {
        throw new Error(`${title}: ${error.message}`);
      }),
    );
    expected.forEach((result, i) => {
      expect([title, got[i]!.dtype]).toEqual([title, result.dtype]);
      const wanted = plain(result);
      // The runtime sums in another order and has other polynomials; what cancels is off by as much as what it cancelled from.
      const tolerance = { rtol: 1e-5, atol: 1e-5 * magnitude(wanted.values) };
      expectClose(plain(got[i]!), wanted, tolerance, `${title}, result ${i}`);
    });
  }
  expect(refused > 0).toBe(without.has(op));
});
