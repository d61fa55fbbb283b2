// A training step made of random ops, compiled and as it stands: the same bits, on any device.
import * as hadal from '../../../lib/index';
import { compile, manualSeed, nn, noGrad, optim, scope, where, type AnyTensor, type Device } from '../../../lib/index';
import { Chance } from './chance';

const F = nn.functional;
const steps = 6;

/** What ops take: a value and another one of the step's [n, m], the layer's tensors, and a choice of their own. */
interface Operands {
  readonly a: AnyTensor;
  readonly b: AnyTensor;
  readonly weight: AnyTensor;
  readonly bias: AnyTensor;
  readonly scale: AnyTensor;
  readonly places: AnyTensor;
  readonly axis: number;
}

/** Ops of [n, m] that give [n, m]. */
const ops: readonly ((operands: Operands) => AnyTensor)[] = [
  ({ a, b }) => a.add(b),
  ({ a, b }) => a.mul(b),
  ({ a, b }) => hadal.maximum(a, b) as AnyTensor,
  ({ a, b }) => where(a.greater(0), a, b) as AnyTensor,
  ({ a, b }) => a.relu().add(b.sigmoid()) as AnyTensor,
  ({ a }) => a.mul(2).add(1).tanh() as AnyTensor,
  ({ a }) => F.gelu(a) as AnyTensor,
  ({ a }) => a.clamp(-1, 1) as AnyTensor,
  ({ a, weight }) => a.matmul(weight) as AnyTensor,
  ({ a, weight, bias }) => F.linear(a, weight, bias) as AnyTensor,
  ({ a, b }) => a.matmul(b.transpose()).mul(0.1).matmul(b) as AnyTensor,
  ({ a, axis }) => a.softmax(axis) as AnyTensor,
  ({ a, axis }) => a.sub(a.mean(axis, { keepDims: true })) as AnyTensor,
  ({ a, axis }) => a.cumsum(axis).mul(0.1) as AnyTensor,
  ({ a, axis }) => a.sort({ axis })[0] as AnyTensor,
  ({ a, scale, bias }) => F.layerNorm(a, scale.shape, scale, bias) as AnyTensor,
  ({ a, scale }) => F.rmsNorm(a, scale.shape, scale, { epsilon: 1e-5 }) as AnyTensor,
  ({ a }) => F.dropout(a, 0.3) as AnyTensor,
  ({ a }) => a.transpose().contiguous().transpose() as AnyTensor,
  ({ a }) => a.reshape([...a.shape].reverse()).reshape(a.shape) as AnyTensor,
  ({ a, axis }) => a.flip(axis) as AnyTensor,
  ({ a, axis }) => a.roll(1, axis) as AnyTensor,
  ({ a, b }) => hadal.stack([a, b]).mean(0) as AnyTensor,
  ({ a, b }) => {
    const half = a.shape[0]! >> 1;
    return hadal.cat([a.narrow(0, half, a.shape[0]! - half), b.narrow(0, 0, half)]) as AnyTensor;
  },
  ({ a, b }) => a.detach().add(b) as AnyTensor,
  ({ a, places }) => a.indexSelect(0, places) as AnyTensor,
];

const optimizers: readonly ((parameters: AnyTensor[]) => optim.SGD | optim.AdamW | optim.RMSprop)[] = [
  (parameters) => new optim.SGD(parameters, { lr: 0.01, momentum: 0.9 }),
  (parameters) => new optim.AdamW(parameters, { lr: 0.01 }),
  (parameters) => new optim.RMSprop(parameters, { lr: 0.001 }),
];

type Step = (x: AnyTensor, places: AnyTensor) => AnyTensor[];

/** All numbers of some training steps from a seed: what they answer, and then the parameters and the state. */
function train(seed: number, device: Device, wrap: (step: Step) => Step): number[][] {
  const chance = new Chance(seed, 2000);
  const [n, m] = [chance.pick(1, 3, 8, 17, 32), chance.pick(1, 4, 9, 16, 33)];
  const dtype = chance.pick('float32', 'float32', 'bfloat16');
  const there = (x: AnyTensor): AnyTensor => x.to(device).cast(dtype) as AnyTensor;
  const parameter = (...shape: number[]): AnyTensor =>
    there(chance.normal(...shape).mul(0.5) as AnyTensor).requiresGrad_();
  const [weight, bias, scale] = [parameter(m, m), parameter(m), parameter(m)];
  const parameters = [weight, bias, scale];
  const state = hadal.zeros([n, m], { dtype, device }) as AnyTensor;
  const optimizer = chance.pick(...optimizers)(parameters);
  const program = Array.from({ length: chance.between(3, 16) }, () => ({
    op: chance.pick(...ops),
    // Of the values that there are by then, counted from the last one.
    places: [chance.between(0, 3), chance.between(0, 6)],
    axis: chance.between(0, 1),
  }));
  const [hasState, isClipped, hasSchedule] = [chance.happens(0.5), chance.happens(0.5), chance.happens(0.5)];
  const step = wrap((x, places) => {
    optimizer.zeroGrad();
    const values = [x.mul(scale), bias.expand([n, m])] as AnyTensor[];
    for (const { op, places: back, axis } of program) {
      const [a, b] = back.map((place) => values.at(-1 - (place % values.length))!) as [AnyTensor, AnyTensor];
      values.push(op({ a, b, weight, bias, scale, places, axis }));
    }
    let result = values.at(-1)!;
    if (hasState) {
      noGrad(() => state.copy_(state.mul(0.9).add(result.detach().mul(0.1)) as AnyTensor));
      result = result.add(state.mul(0.1)) as AnyTensor;
    }
    const loss = result.cast('float32').square().mean();
    loss.backward();
    if (isClipped) optim.clipGradNorm(parameters, 1);
    optimizer.step();
    return [loss as AnyTensor, result.detach()];
  });
  manualSeed(seed);
  const answers = Array.from({ length: steps }, () => {
    if (hasSchedule) optimizer.groups[0]!.lr *= 0.9;
    return step(there(chance.normal(n, m)), chance.below(n, n).to(device)).map(plain);
  });
  return [...answers.flat(), ...[...parameters, state].map(plain)];
}

const plain = (x: AnyTensor): number[] => [...(x.cast('float32').dataSync() as Float32Array)];

/** Throws where the training step of a seed gives other numbers when it is compiled. */
export function checkRandomStep(seed: number, device: Device): void {
  const expected = scope(() => train(seed, device, (step) => step));
  const found = scope(() => train(seed, device, (step) => compile(step)));
  expected.forEach((numbers, i) => {
    const got = found[i]!;
    const place = numbers.findIndex(
      (number, j) => number !== got[j] && !(Number.isNaN(number) && Number.isNaN(got[j])),
    );
    if (place < 0) return;
    throw new Error(
      `step of seed ${seed}: tensor ${i}, element ${place}: got ${got[place]} compiled, expected ${numbers[place]}`,
    );
  });
}
