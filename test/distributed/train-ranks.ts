// Run by each of several processes: trains every variant and prints, from rank 0, the parameters; and a digest from each rank, as replicas must have the
// same bits. Then what the wrapper promises besides.
import { createHash } from 'node:crypto';

import { distributed, manualSeed, nn, ones, randn, tensor, type AnyTensor } from '../../lib/index';
import { trainVariant, variants } from './training';

distributed.init({ timeout: 60_000 });
const { DistributedDataParallel, rank, worldSize } = distributed;

for (const [name, variant] of Object.entries(variants)) {
  const parameters = trainVariant(variant);
  const digest = createHash('sha256').update(new Uint8Array(parameters.buffer)).digest('hex');
  console.log(JSON.stringify({ name, digest, ...(rank() === 0 && { parameters: [...parameters] }) }));
}

// Buffers: running means follow rank 0's at the next forward pass in training.
manualSeed(rank());
const norm = new DistributedDataParallel(new nn.BatchNorm1d(3));
const areSame = (): boolean => {
  const all = distributed.allGather(norm.module.runningMean as AnyTensor).toArraySync() as number[][];
  return all.every((values) => JSON.stringify(values) === JSON.stringify(all[0]));
};
norm.forward(randn([8, 3]));
const before = areSame();
norm.forward(ones([8, 3]));
console.log(JSON.stringify({ name: 'buffers', before, after: areSame() }));

// Parameters without a gradient.
class Branches extends nn.Module {
  readonly used = new nn.Linear(2, 1);
  readonly left = new nn.Linear(2, 1, { bias: false });
  forward(x: AnyTensor, both: boolean): AnyTensor {
    const y = this.used.forward(x as never) as AnyTensor;
    return (both ? y.add(this.left.forward(x as never)) : y) as AnyTensor;
  }
}
const x = tensor([[1, 2]]) as AnyTensor;
const strict = new DistributedDataParallel(new Branches());
let message = '';
try {
  strict.forward(x, false).sum().backward();
} catch (error) {
  message = (error as Error).message;
}
const lenient = new DistributedDataParallel(new Branches(), { findUnusedParameters: true });
lenient
  .forward(x, rank() === 0)
  .sum()
  .backward(); // only rank 0 uses all
const { used, left } = lenient.module;
console.log(
  JSON.stringify({
    name: 'unused',
    message,
    used: used.weight.grad!.toArraySync(),
    left: left.weight.grad!.toArraySync(),
    expected: [1 / worldSize(), 2 / worldSize()],
  }),
);

// Checkpoints fit the wrapped model.
console.log(JSON.stringify({ name: 'names', names: Object.keys(lenient.stateDict()) }));
