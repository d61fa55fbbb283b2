/** Structured pruning: masks over parameters, for whole channels or n of every m weights. State names are those of torch.nn.utils.prune. */
import { noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import { zerosLike } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { shown } from '../tensor/describe';
import { normalizeAxis, show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { Module, Parameter } from './module';
import { snakeCase } from './names';
import { checkSizes } from './options';

type Fields = Record<string, AnyTensor | undefined>;
const fieldsOf = (module: Module): Fields => module as unknown as Fields;
const original = (name: string): string => `${snakeCase(name)}_orig`;
const maskOf = (name: string): string => `${snakeCase(name)}_mask`;

/** Whether the parameter `name` of a module is masked. */
export function isPruned(module: Module, name = 'weight'): boolean {
  return fieldsOf(module)[maskOf(name)] !== undefined;
}

/**
 * Multiplies a parameter by the mask (ones and zeros) that `choose` makes of its present value; gradients of what is masked out are zero. A further
 * mask replaces the one before, whose zeros `choose` sees.
 */
function mask<M extends Module>(op: string, module: M, name: string, choose: (value: AnyTensor) => AnyTensor): M {
  const fields = fieldsOf(module);
  const [holder, field] = Module.slotOf(module, name);
  const value = holder[field] as AnyTensor | undefined;
  if (!(value instanceof Parameter) && !isPruned(module, name)) {
    throw new ArgumentError(`${op}: name: got ${shown(name)} of ${module.constructor.name}, expected a parameter`);
  }
  const chosen = noGrad(() => choose(value!.detach())).keep();
  if (!isPruned(module, name)) {
    fields[original(name)] = value;
    Object.defineProperty(holder, field, {
      get: () => fields[original(name)]!.mul(fields[maskOf(name)]!),
      enumerable: false,
      configurable: true,
    });
  }
  fields[maskOf(name)] = chosen;
  return module;
}

/** The values of x [rows, count] that are among the `kept` largest of their row, as ones, the others as zeros. */
function largest(x: AnyTensor, kept: number): AnyTensor {
  const [, places] = x.topk(kept, { axis: 1 }) as unknown as [AnyTensor, AnyTensor];
  return (zerosLike(x) as AnyTensor).scatter(1, places as never, 1 as never);
}

export interface ChannelOptions {
  /** Along which the channels lie: 0, the outputs, unless given. */
  readonly axis?: number;
  /** Of the norm that decides; 2 unless given. */
  readonly order?: number;
}

/**
 * Masks the channels of a parameter with the smallest norms: `amount` of them, or that share of all if it is below 1. Answers the module.
 *
 * @throws ArgumentError when the module has no such parameter, or the amount is none.
 * @see Li et al., 2017, Pruning filters for efficient convnets.
 * @example
 * nn.prune.channels(new nn.Conv2d(3, 8, 3), 0.5).weight; // four of the eight filters are zero
 */
export function channels<M extends Module>(
  module: M,
  amount: number,
  options: ChannelOptions = {},
  name = 'weight',
): M {
  checkOptions('channels', options);
  const { axis = 0, order = 2 } = options;
  return mask('channels', module, name, (value) => {
    const along = normalizeAxis('channels', axis, value.shape);
    const count = value.shape[along]!;
    const removed = amount < 1 ? Math.round(amount * count) : amount;
    if (!(Number.isInteger(removed) && removed >= 0 && removed < count)) {
      throw new ArgumentError(`channels: amount: got ${amount}, expected a share of the ${count} channels, or fewer`);
    }
    const perChannel: AnyTensor = value.transpose(0, along).reshape([count, -1]);
    const norms = perChannel.norm(1, { p: order }) as AnyTensor;
    const kept = largest(norms.reshape([1, count]), count - removed);
    const shape = value.shape.map((size, other) => (other === along ? size : 1));
    return (kept.reshape(shape) as AnyTensor).expand(value.shape).contiguous() as AnyTensor;
  });
}

/**
 * Keeps the `n` largest of every `m` weights that stand one behind the other along the inputs (axis 1): the pattern 2:4 is what sparse tensor cores
 * multiply at twice the rate. Answers the module.
 *
 * @throws ArgumentError when the module has no such parameter, or its inputs do not divide by m.
 * @see Mishra et al., 2021, Accelerating sparse deep neural networks.
 * @example
 * nn.prune.nOfM(new nn.Linear(8, 2), 2, 4).weight; // two of each four are zero
 */
export function nOfM<M extends Module>(module: M, n = 2, m = 4, name = 'weight'): M {
  checkSizes('nOfM', { n, m });
  return mask('nOfM', module, name, (value) => {
    const inputs = value.shape[1] ?? 0;
    if (n > m || inputs === 0 || inputs % m !== 0) {
      throw new ArgumentError(
        `nOfM: got ${n} of ${m} for shape ${show(value.shape)}, expected inputs (axis 1) that divide by m, and n of at most m`,
      );
    }
    const last = value.abs().transpose(1, value.rank - 1) as AnyTensor;
    return (largest(last.reshape([-1, m]), n).reshape(last.shape) as AnyTensor)
      .transpose(1, value.rank - 1)
      .contiguous() as AnyTensor;
  });
}

/**
 * Makes a masked parameter a plain one again, zeros and all. Answers the module.
 *
 * @throws ArgumentError when the parameter is not masked.
 * @example
 * nn.prune.remove(nn.prune.nOfM(new nn.Linear(8, 2)));
 */
export function remove<M extends Module>(module: M, name = 'weight'): M {
  if (!isPruned(module, name)) {
    throw new ArgumentError(`remove: name: got ${shown(name)} of ${module.constructor.name}, expected a masked one`);
  }
  const fields = fieldsOf(module);
  const parameter = fields[original(name)]!;
  noGrad(() => parameter.mul_(fields[maskOf(name)]!));
  const [holder, field] = Module.slotOf(module, name);
  Object.defineProperty(holder, field, { value: parameter, enumerable: true, configurable: true, writable: true });
  delete fields[original(name)];
  delete fields[maskOf(name)];
  return module;
}
