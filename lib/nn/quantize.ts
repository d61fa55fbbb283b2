/** Weights of layers as whole numbers of few bits: about a quarter or a seventh of the memory of float32, and less time to read them. */
import { ArgumentError } from '../errors';
import { checkOptions } from '../ops/define';
import { embedding } from '../ops/indexing';
import { matrixForm, type MatrixForm } from '../ops/matrix-form';
import {
  dequantizeMatrix,
  quantization,
  quantizeMatrix,
  quantizedLinear,
  widthOf,
  type QuantizedMatrix,
  type QuantizeOptions,
} from '../ops/quantized';
import type { Device } from '../runtime/device';
import type { DType } from '../tensor/dtype';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { Embedding } from './embedding';
import { Linear } from './linear';
import { Module, Parameter } from './module';
import { MultiHeadAttention } from './multi-head-attention';
import { snakeCase } from './names';

/** A weight [out, in] as codes and scales, which are state but not trained. What layers do with a weight they ask it for; nobody makes one but {@link quantize}. */
export class QuantizedWeight extends Module implements MatrixForm, QuantizedMatrix {
  readonly [matrixForm] = true;
  readonly codes: AnyTensor;
  readonly scales: AnyTensor;

  /** @internal */
  constructor({ codes, scales }: QuantizedMatrix) {
    super();
    this.codes = codes;
    this.scales = scales;
  }

  /** Of the weight that they stand for. */
  get shape(): readonly [out: number, width: number] {
    return [this.codes.shape[0]!, widthOf(this.codes)];
  }

  /** Of that weight. */
  get dtype(): DType {
    return this.scales.dtype;
  }
  get device(): Device {
    return this.codes.device;
  }

  get bits(): 8 | 4 {
    return this.codes.dtype === 'int8' ? 8 : 4;
  }

  linear(x: AnyTensor, bias: AnyTensor | undefined): AnyTensor {
    return quantizedLinear(x, this, bias);
  }

  rows(index: AnyTensor): AnyTensor {
    const [codes, scales] = [this.codes, this.scales].map((each) => embedding(each, index.flatten())) as [AnyTensor, AnyTensor]; // prettier-ignore
    return dequantizeMatrix({ codes, scales }).reshape([...index.shape, this.shape[1]]);
  }

  narrow(axis: 0, start: number, length: number): QuantizedWeight {
    const [codes, scales] = [this.codes, this.scales].map((each) => each.narrow(axis, start, length)) as [AnyTensor, AnyTensor]; // prettier-ignore
    return new QuantizedWeight({ codes, scales });
  }

  dense(): AnyTensor {
    return dequantizeMatrix(this);
  }

  protected override describe(): string {
    const [out, width] = this.shape;
    return `${out} × ${width}, ${this.bits} bits, groups of ${width / this.scales.shape[1]!}`;
  }
}

export interface QuantizeModelOptions extends QuantizeOptions {
  /** Which weights are quantized, by their names; all that can be unless given. */
  readonly match?: RegExp;
}

/** Whether a layer's matrices are multiplied by, or looked up in, and nothing else. */
const onlyReads = (module: Module): boolean =>
  module instanceof Linear ||
  module instanceof MultiHeadAttention ||
  (module instanceof Embedding && module.options.maxNorm === undefined);

/**
 * Quantizes the weights of a model's `Linear`, `MultiHeadAttention` and `Embedding` layers whose rows are a multiple of the group, in place: they become codes of 8 or 4 bits with
 * a scale for each group of neighbours, and are trained no more. Activations stay floats. What it takes to generate text is mostly to read the weights, so that it gets
 * faster as they get smaller; training goes on by adapters (`nn.lora`). The state dict has `weight.codes` and `weight.scales` in place of `weight`: to load one, make the model,
 * quantize it in the same way, and load. Answers the model.
 *
 * @throws ArgumentError when no weight matches.
 * @see Dettmers et al., 2023, QLoRA: efficient finetuning of quantized LLMs.
 * @example
 * const model = nn.quantize(new nn.TransformerEncoderLayer(64, 4), { bits: 4, group: 32 });
 * Object.keys(model.stateDict()).includes('linear1.weight.codes'); // true
 * const adapters = nn.lora(model, { rank: 2 });
 */
export function quantize<M extends Module>(model: M, options: QuantizeModelOptions = {}): M {
  checkOptions('quantize', options);
  const { match = /^/, ...rest } = options;
  const { bits, group } = quantization('quantize', rest);
  const found = model.namedModules().flatMap(([prefix, module]) =>
    onlyReads(module)
      ? [...Module.placesOf(module)].flatMap(([holder, key, tensor]) => {
          if (!(tensor instanceof Parameter) || tensor.rank !== 2) return [];
          const matrix: AnyTensor = tensor;
          return [{ holder, key, matrix, name: [prefix, snakeCase(key)].filter((part) => part !== '').join('.') }];
        })
      : [],
  );
  const fitting = found.filter(({ matrix, name }) => matrix.shape[1]! % group === 0 && name.search(match) >= 0);
  if (fitting.length === 0) {
    const known =
      found.map(({ matrix, name }) => `${name} ${show(matrix.shape)}`).join(', ') || 'no matrices of layers';
    throw new ArgumentError(
      `quantize: match: got ${match.source} and groups of ${group}, expected what fits any of ${known}`,
    );
  }
  // A weight that several layers share stays shared.
  const made = new Map<AnyTensor, QuantizedWeight>();
  for (const { holder, key, matrix } of fitting) {
    if (!made.has(matrix)) {
      const { codes, scales } = quantizeMatrix(matrix, { bits, group });
      made.set(matrix, new QuantizedWeight({ codes: codes.keep(), scales: scales.keep() }));
    }
    holder[key] = made.get(matrix);
  }
  return model;
}
