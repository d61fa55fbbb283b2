// Samples of the ops that draw numbers and have a gradient; random.test.ts has the distributions.
import * as hadal from '../../../lib/index';
import type { Sample } from '../sample';

// The dropped elements are those of the same stream: only the gradient has something to compare with.
export const samples: Sample[] = (
  ['dropout', 'dropout1d', 'dropout2d', 'dropout3d', 'alphaDropout', 'featureAlphaDropout', 'rrelu'] as const
).map((op) => ({
  op,
  variant: 'in training',
  dtypes: ['float64', 'float32', 'float16', 'bfloat16'],
  inputs: (draw, dtype) => [draw.tensor(op === 'dropout3d' ? [2, 3, 2, 1, 2] : [2, 3, 4], dtype)],
  call: (x) => {
    hadal.manualSeed(11);
    return hadal[op](x, 0.3);
  },
  order: 2,
}));
