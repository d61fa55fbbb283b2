/** What a model consists of: its layers with output shapes, parameters, memory and multiply-adds. */
import { noGrad } from '../autograd/modes';
import { ArgumentError } from '../errors';
import { zeros } from '../ops/creation';
import { checkOptions } from '../ops/define';
import { checkList } from '../tensor/checks';
import { bytesOf, type DType } from '../tensor/dtype';
import { scope } from '../tensor/scope';
import type { Shape } from '../tensor/shape-types';
import { show } from '../tensor/shapes';
import { Tensor, type AnyTensor } from '../tensor/tensor';
import { checkForward } from './container';
import { deviceOf, type ForwardModule, type Module } from './module';

export interface SummaryOptions {
  /** Of the inputs; float32 unless given. */
  readonly dtype?: DType;
}

/** A module within the model. */
export interface SummaryRow {
  /** As in the state dict; '' for the model itself. */
  readonly name: string;
  readonly kind: string;
  /** Of its outputs, in the last call; none for a module that was not called. */
  readonly shapes: readonly Shape[];
  /** Elements of its own parameters, those of its parts left out. */
  readonly parameters: number;
  /** Of its own products, all calls together. */
  readonly multiplyAdds: number;
}

const tensorsIn = (value: unknown): AnyTensor[] => {
  if (value instanceof Tensor) return [value as AnyTensor];
  if (Array.isArray(value)) return value.flatMap(tensorsIn);
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(tensorsIn) : [];
};
const sizeOf = (tensors: readonly AnyTensor[]): number => tensors.reduce((sum, { size }) => sum + size, 0);
const memoryOf = (tensors: readonly AnyTensor[]): number =>
  tensors.reduce((sum, { size, dtype }) => sum + size * bytesOf(dtype), 0);

/** The layers of a model and what they add up to; prints itself as a table. */
export class ModelSummary {
  /** In bytes: inputs, outputs of the modules without parts (about what backward keeps), parameters, and buffers. */
  readonly memory: {
    readonly inputs: number;
    readonly outputs: number;
    readonly parameters: number;
    readonly buffers: number;
  };
  readonly parameters: number;
  readonly trainable: number;
  readonly multiplyAdds: number;

  /** @internal */
  constructor(
    model: Module,
    readonly rows: readonly SummaryRow[],
    inputBytes: number,
    outputBytes: number,
  ) {
    const parameters = model.parameters();
    this.parameters = sizeOf(parameters);
    this.trainable = sizeOf(parameters.filter(({ requiresGrad }) => requiresGrad));
    this.multiplyAdds = rows.reduce((sum, row) => sum + row.multiplyAdds, 0);
    this.memory = {
      inputs: inputBytes,
      outputs: outputBytes,
      parameters: memoryOf(parameters),
      buffers: memoryOf(model.namedBuffers().map(([, buffer]) => buffer)),
    };
  }

  toString(): string {
    const count = (value: number): string => (value === 0 ? '–' : value.toLocaleString('en'));
    const size = (bytes: number): string =>
      `${(bytes / 2 ** 20).toLocaleString('en', { maximumFractionDigits: 2 })} MiB`;
    const cells = this.rows.map(({ name, kind, shapes, parameters, multiplyAdds }) => {
      const path = name === '' ? [] : name.split('.');
      const label = name === '' ? kind : `${'  '.repeat(path.length)}${kind} (${path.at(-1)!})`;
      return [label, shapes.map(show).join(', ') || '–', count(parameters), count(multiplyAdds)];
    });
    const head = ['Layer', 'Output shape', 'Parameters', 'Multiply-adds'];
    const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
    const line = (row: readonly string[]): string =>
      row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ');
    const rule = '─'.repeat(widths.reduce((sum, width) => sum + width, 2 * (widths.length - 1)));
    const { inputs, outputs, parameters, buffers } = this.memory;
    return [
      line(head),
      rule,
      ...cells.map(line),
      rule,
      `Parameters     ${this.parameters.toLocaleString('en')}, of which ${this.trainable.toLocaleString('en')} are trained`,
      `Multiply-adds  ${this.multiplyAdds.toLocaleString('en')}`,
      `Memory         ${size(parameters)} parameters, ${size(buffers)} buffers, ${size(inputs)} inputs, ${size(outputs)} outputs`,
    ].join('\n');
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

/**
 * Runs a model once, in evaluation mode and without recording, on zeros of the given shape (or shapes, for several inputs), and tells what its layers do.
 * Multiply-adds are those of products in linear, convolution, recurrent and attention layers; a module of your own counts its functions by overriding
 * `multiplyAdds`.
 *
 * @throws ArgumentError when no shape is given; whatever the model throws for such inputs.
 * @example
 * console.log(nn.summary(new models.LeNet5(), [1, 1, 28, 28]));
 */
export function summary(
  model: Module,
  inputShape: Shape | readonly Shape[],
  options: SummaryOptions = {},
): ModelSummary {
  checkOptions('summary', options);
  checkForward('summary', 'model', model);
  checkList('summary', 'inputShape', inputShape);
  const shapes = (typeof inputShape[0] === 'number' ? [inputShape] : inputShape) as readonly Shape[];
  if (shapes.length === 0) throw new ArgumentError('summary: inputShape: got none, expected the shape of an input');
  const modules = model.namedModules();
  const modes = modules.map(([, module]) => module.training);
  const calls = new Map<Module, { shapes: readonly Shape[]; multiplyAdds: number }>();
  let outputBytes = 0;
  const removers = modules.map(([, module]) =>
    module.registerForwardHook((_, inputs, output) => {
      const tensors = tensorsIn(output);
      const before = calls.get(module)?.multiplyAdds ?? 0;
      const multiplyAdds = before + module.multiplyAdds(inputs, output);
      calls.set(module, { shapes: tensors.map(({ shape }) => shape), multiplyAdds });
      if (module.namedChildren().length === 0) outputBytes += memoryOf(tensors);
    }),
  );
  let inputBytes = 0;
  try {
    model.eval();
    noGrad(() =>
      scope(() => {
        const dtype = (options.dtype ?? 'float32') as 'float32';
        const inputs = shapes.map((shape) => zeros(shape, { dtype, device: deviceOf(model) }));
        inputBytes = memoryOf(inputs);
        (model as ForwardModule).forward(...(inputs as never[]));
      }),
    );
  } finally {
    for (const remove of removers) remove();
    modules.forEach(([, module], i) => (module.training = modes[i]!));
  }
  const seen = new Set<AnyTensor>();
  const rows = modules.map(([name, module]): SummaryRow => {
    const below = new Set(module.namedChildren().flatMap(([, child]) => child.parameters()));
    const own = module.parameters().filter((parameter) => !below.has(parameter) && !seen.has(parameter));
    for (const parameter of own) seen.add(parameter);
    const { shapes: outputs = [], multiplyAdds = 0 } = calls.get(module) ?? {};
    return { name, kind: module.constructor.name, shapes: outputs, parameters: sizeOf(own), multiplyAdds };
  });
  return new ModelSummary(model, rows, inputBytes, outputBytes);
}
