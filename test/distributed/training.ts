// What trains in the tests of data parallel training: a small model on made-up data, a share of each batch in each process. Started alone it is the
// reference; several processes must end with the same parameters.
import {
  autocast,
  compile,
  distributed,
  manualSeed,
  nn,
  noGrad,
  optim,
  scope,
  tensor,
  type AnyTensor,
  type FloatDType,
} from '../../lib/index';

export interface Variant {
  readonly dtype: FloatDType;
  /** How many parts make one step. */
  readonly accumulate?: number;
  readonly compiled?: boolean;
  readonly autocast?: boolean;
  readonly adam?: boolean;
  /** Normalises over the batch, which is that of all processes. */
  readonly batchNorm?: boolean;
}

export const variants: Readonly<Record<string, Variant>> = {
  float64: { dtype: 'float64' },
  accumulated: { dtype: 'float64', accumulate: 2 },
  compiled: { dtype: 'float64', compiled: true },
  float32: { dtype: 'float32' },
  adam: { dtype: 'float32', adam: true },
  autocast: { dtype: 'float32', autocast: true },
  batchNorm: { dtype: 'float64', batchNorm: true },
  batchNormCompiled: { dtype: 'float32', batchNorm: true, compiled: true },
};

const steps = 6;
const batch = 24;
const inputs = 5;

const uneven = (i: number): number => Math.sin(i * i * 0.37 + i) * 1.3;

class Net extends nn.Module {
  readonly first: nn.Linear;
  readonly second: nn.Linear;

  constructor(readonly norm: nn.LayerNorm | nn.BatchNorm1d) {
    super();
    this.first = new nn.Linear(inputs, 7);
    this.second = new nn.Linear(7, 2);
  }
  forward(x: AnyTensor): AnyTensor {
    const hidden = this.first.forward(x).tanh() as AnyTensor;
    const normal = this.norm instanceof nn.BatchNorm1d ? this.norm.forward(hidden, hidden) : this.norm.forward(hidden);
    return this.second.forward(normal as never) as AnyTensor;
  }
}

/** Trains; answers the parameters and buffers, in one list. */
export function trainVariant({
  dtype,
  accumulate = 1,
  compiled = false,
  autocast: lower = false,
  adam = false,
  batchNorm = false,
}: Variant): Float64Array {
  const [rank, world] = [distributed.rank(), distributed.worldSize()];
  manualSeed(1 + rank); // only rank 0's parameters count
  const net = distributed.syncBatchNorm(
    new Net(batchNorm ? new nn.BatchNorm1d(7, { activation: 'relu' }) : new nn.LayerNorm(7)),
  );
  const model = new distributed.DistributedDataParallel(net.to(dtype), { bucketBytes: 100 });
  const parameters = model.parameters();
  const optimizer = adam
    ? new optim.AdamW(parameters, { lr: 0.01 })
    : new optim.SGD(parameters, { lr: 0.1, momentum: 0.9 });
  const lossOf = (x: AnyTensor, y: AnyTensor): AnyTensor => {
    const error = (): AnyTensor => model.forward(x).sub(y).square().mean() as AnyTensor;
    return lower ? autocast('bfloat16', error) : error();
  };
  const step = (...parts: AnyTensor[]): AnyTensor => {
    optimizer.zeroGrad();
    let loss: AnyTensor | undefined;
    for (let part = 0; part < accumulate; part++) {
      const pass = (): void => {
        loss = lossOf(parts[2 * part]!, parts[2 * part + 1]!).div(accumulate) as AnyTensor;
        loss.backward();
      };
      if (part < accumulate - 1) model.noSync(pass);
      else pass();
    }
    optimizer.step();
    return loss!.detach() as AnyTensor;
  };
  const run = compiled ? compile(step) : step;
  for (let i = 0; i < steps; i++) {
    const rows = Array.from({ length: batch / world }, (_, row) => i * batch + row * world + rank);
    const parts = Array.from({ length: accumulate }, (_, part) => {
      const some = rows.filter((_, place) => place % accumulate === part);
      const x = some.flatMap((row) => Array.from({ length: inputs }, (_, column) => uneven(row * inputs + column)));
      const y = some.flatMap((row) => [uneven(row), uneven(row + 0.5)]);
      return [tensor(x, { dtype }).reshape([-1, inputs]), tensor(y, { dtype }).reshape([-1, 2])] as AnyTensor[];
    }).flat();
    scope(() => void run(...parts));
  }
  const buffers = net.namedBuffers().map(([, buffer]) => buffer);
  const list = noGrad(() => [...parameters, ...buffers].map((parameter) => parameter.cast('float64').dataSync()));
  return Float64Array.from(list.flatMap((values) => [...values]));
}
