/** Recurrent layers over whole sequences, and their cells. */
import { ArgumentError, ShapeError } from '../errors';
import { empty, zeros } from '../ops/creation';
import { checkOptions, checkTensor } from '../ops/define';
import {
  gru,
  gruCell,
  lstm,
  lstmCell,
  rnn,
  rnnCell,
  type LstmOptions,
  type LstmResult,
  type RecurrentOptions,
  type RecurrentResult,
  type RecurrentWeights,
} from '../ops/recurrent';
import { checkCount, maxEntries } from '../tensor/checks';
import { shown } from '../tensor/describe';
import { show } from '../tensor/shapes';
import type { AnyTensor } from '../tensor/tensor';
import { uniform_ } from './init';
import { Module, Parameter } from './module';
import { snakeCase } from './names';
import { checkProbability, checkSizes } from './options';

/** A parameter of `shape`, uniform on ±1/√hidden. */
function uniform(shape: readonly number[], hidden: number): Parameter {
  const bound = 1 / Math.sqrt(hidden);
  return new Parameter(uniform_(empty(shape), -bound, bound));
}

/** The weights of one layer in one direction. */
function weightsOf(gates: number, input: number, hidden: number, bias: boolean, projection: number): RecurrentWeights {
  return {
    weightIh: uniform([gates * hidden, input], hidden),
    weightHh: uniform([gates * hidden, projection || hidden], hidden),
    ...(bias && { biasIh: uniform([gates * hidden], hidden), biasHh: uniform([gates * hidden], hidden) }),
    ...(projection > 0 && { weightHr: uniform([projection, hidden], hidden) }),
  };
}

/** The elements of all matrices. */
const matrixSizes = (weights: readonly RecurrentWeights[]): number =>
  weights.reduce((sum, own) => sum + own.weightIh.size + own.weightHh.size + (own.weightHr?.size ?? 0), 0);

const stateNames = {
  weightIh: 'weight_ih',
  weightHh: 'weight_hh',
  biasIh: 'bias_ih',
  biasHh: 'bias_hh',
  weightHr: 'weight_hr',
} as const satisfies Record<keyof RecurrentWeights, string>;

export interface RecurrentLayerOptions {
  /** Layers one above the other; 1 unless given. */
  readonly layers?: number;
  /** Whether biases are added; true unless given. */
  readonly bias?: boolean;
  /** x and output are [b, t, …] instead of [t, b, …]; false unless given. */
  readonly batchFirst?: boolean;
  /** Of the outputs of each layer but the last, in training; 0 unless given. */
  readonly dropout?: number;
  /** Whether each layer runs in both directions; false unless given. */
  readonly bidirectional?: boolean;
}

/** The state that a sequence starts with, and how long it is. */
export type RecurrentCall = Pick<RecurrentOptions, 'hidden' | 'lengths'>;

/** What the recurrent layers share: weights under PyTorch's names (`weight_ih_l0`, `bias_hh_l1_reverse`, …). */
abstract class Recurrent extends Module {
  /** Of each layer, and direction, in turn. */
  readonly weights: readonly RecurrentWeights[];

  constructor(
    readonly inputSize: number,
    readonly hiddenSize: number,
    readonly options: RecurrentLayerOptions,
    gates: number,
    projection = 0,
  ) {
    super();
    checkOptions(new.target.name, options);
    const { layers = 1, bias = true, dropout = 0, bidirectional = false } = options;
    const name = this.constructor.name;
    checkSizes(name, { inputSize, hiddenSize });
    checkCount(name, 'layers', layers, 1, maxEntries);
    checkProbability(name, 'dropout', dropout);
    const directions = bidirectional ? 2 : 1;
    this.weights = Array.from({ length: layers * directions }, (_, i) => {
      const input = i < directions ? inputSize : directions * (projection || hiddenSize);
      return weightsOf(gates, input, hiddenSize, bias, projection);
    });
  }

  protected override fields(): Iterable<[string, unknown]> {
    const plain = this.slots().filter(([, weights, key]) => Object.keys(weights).includes(key));
    return [
      ...plain.map(([name, weights, key]): [string, unknown] => [name, weights[key]]),
      ...[...super.fields()].filter(([name]) => name !== 'weights'),
    ];
  }

  protected override slot(name: string): [holder: object, key: string] {
    const found = this.slots().find(([own]) => own === snakeCase(name));
    return found === undefined ? super.slot(name) : [found[1], found[2]];
  }

  /** The names of all weights, and where they lie. */
  private slots(): [name: string, weights: RecurrentWeights, key: keyof RecurrentWeights][] {
    const directions = this.options.bidirectional === true ? 2 : 1;
    return this.weights.flatMap((weights, i) => {
      const suffix = `_l${Math.floor(i / directions)}${i % directions === 1 ? '_reverse' : ''}`;
      const keys = Object.getOwnPropertyNames(weights) as (keyof RecurrentWeights)[];
      return keys.map((key): [string, RecurrentWeights, keyof RecurrentWeights] => [
        stateNames[key] + suffix,
        weights,
        key,
      ]);
    });
  }

  /** The options of the functional form. */
  protected settings<O extends RecurrentCall>(call: O): RecurrentOptions & O {
    const { batchFirst = false, dropout = 0, bidirectional = false } = this.options;
    return { batchFirst, dropout, bidirectional, training: this.training, ...call };
  }

  /** Those of every step, also of steps behind the end of shorter sequences. */
  override multiplyAdds([x]: readonly [AnyTensor]): number {
    return (x.size / this.inputSize) * matrixSizes(this.weights);
  }

  protected override describe(): string {
    return `${this.inputSize} → ${this.hiddenSize}`;
  }
}

export interface RNNLayerOptions extends RecurrentLayerOptions {
  /** `'tanh'` unless given. */
  readonly nonlinearity?: 'tanh' | 'relu';
}

/**
 * Simple recurrent layers; see `nn.functional.rnn`. Weights start uniform on ±1/√hiddenSize, as in PyTorch.
 *
 * @example
 * new nn.RNN(3, 4).forward(randn([5, 2, 3])).output.shape; // [5, 2, 4]
 */
export class RNN extends Recurrent {
  readonly nonlinearity: 'tanh' | 'relu';

  constructor(inputSize: number, hiddenSize: number, options: RNNLayerOptions = {}) {
    super(inputSize, hiddenSize, options, 1);
    this.nonlinearity = options.nonlinearity ?? 'tanh';
  }

  forward(x: AnyTensor, call: RecurrentCall = {}): RecurrentResult {
    checkOptions('RNN', call, 'RNN.forward');
    return rnn(x, this.weights, { nonlinearity: this.nonlinearity, ...this.settings(call) });
  }
}

/**
 * Gated recurrent layers; see `nn.functional.gru`. Weights start uniform on ±1/√hiddenSize, as in PyTorch.
 *
 * @example
 * new nn.GRU(3, 4, { layers: 2 }).forward(randn([5, 2, 3])).hidden.shape; // [2, 2, 4]
 */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentLayerOptions = {}) {
    super(inputSize, hiddenSize, options, 3);
  }

  forward(x: AnyTensor, call: RecurrentCall = {}): RecurrentResult {
    checkOptions('GRU', call, 'GRU.forward');
    return gru(x, this.weights, this.settings(call));
  }
}

export interface LSTMLayerOptions extends RecurrentLayerOptions {
  /** The state is a projection of the output to so many features; 0, for none, unless given. */
  readonly projection?: number;
}

/**
 * Long short-term memory layers; see `nn.functional.lstm`. Weights start uniform on ±1/√hiddenSize, as in PyTorch.
 *
 * @example
 * new nn.LSTM(3, 4, { bidirectional: true }).forward(randn([5, 2, 3])).output.shape; // [5, 2, 8]
 */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: LSTMLayerOptions = {}) {
    checkOptions('LSTM', options);
    const { projection = 0 } = options;
    if (!Number.isInteger(projection) || projection < 0 || projection >= hiddenSize) {
      throw new ArgumentError(
        `LSTM: projection: got ${shown(projection)}, expected an integer from 0 to below the hidden size ${shown(hiddenSize)}`,
      );
    }
    super(inputSize, hiddenSize, options, 4, projection);
  }

  forward(x: AnyTensor, call: Pick<LstmOptions, 'hidden' | 'cell' | 'lengths'> = {}): LstmResult {
    checkOptions('LSTM', call, 'LSTM.forward');
    return lstm(x, this.weights, this.settings(call));
  }
}

export interface CellOptions {
  /** Whether biases are added; true unless given. */
  readonly bias?: boolean;
}

/** What the cells share. */
abstract class Cell extends Module implements RecurrentWeights {
  readonly weightIh: AnyTensor;
  readonly weightHh: AnyTensor;
  readonly biasIh: AnyTensor | undefined;
  readonly biasHh: AnyTensor | undefined;

  constructor(
    readonly inputSize: number,
    readonly hiddenSize: number,
    options: CellOptions,
    gates: number,
  ) {
    super();
    checkOptions(new.target.name, options);
    checkSizes(this.constructor.name, { inputSize, hiddenSize });
    const weights = weightsOf(gates, inputSize, hiddenSize, options.bias ?? true, 0);
    this.weightIh = weights.weightIh;
    this.weightHh = weights.weightHh;
    this.biasIh = weights.biasIh;
    this.biasHh = weights.biasHh;
  }

  /** A state of zeros for x. */
  protected zero(x: AnyTensor): AnyTensor {
    checkTensor(this.constructor.name, x, 'x');
    if (x.rank !== 1 && x.rank !== 2) {
      throw new ShapeError(
        `${this.constructor.name}: wrong rank: got shape ${show(x.shape)}, expected [b, in] or [in]`,
      );
    }
    return zeros([...x.shape.slice(0, -1), this.hiddenSize], { dtype: x.dtype, device: x.device });
  }

  override multiplyAdds([x]: readonly [AnyTensor]): number {
    return (x.size / this.inputSize) * matrixSizes([this]);
  }

  protected override describe(): string {
    return `${this.inputSize} → ${this.hiddenSize}`;
  }
}

/**
 * One step of a simple recurrent layer; see `nn.functional.rnnCell`.
 *
 * @example
 * new nn.RNNCell(3, 4).forward(randn([2, 3])).shape; // [2, 4]
 */
export class RNNCell extends Cell {
  readonly nonlinearity: 'tanh' | 'relu';

  constructor(
    inputSize: number,
    hiddenSize: number,
    options: CellOptions & Pick<RNNLayerOptions, 'nonlinearity'> = {},
  ) {
    super(inputSize, hiddenSize, options, 1);
    this.nonlinearity = options.nonlinearity ?? 'tanh';
  }

  /** The state after x [b, in] from h [b, hidden], zeros unless given. */
  forward(x: AnyTensor, h: AnyTensor = this.zero(x)): AnyTensor {
    return rnnCell(x, h, this, { nonlinearity: this.nonlinearity });
  }
}

/**
 * One step of a gated recurrent layer; see `nn.functional.gruCell`.
 *
 * @example
 * new nn.GRUCell(3, 4).forward(randn([2, 3])).shape; // [2, 4]
 */
export class GRUCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super(inputSize, hiddenSize, options, 3);
  }

  /** The state after x [b, in] from h [b, hidden], zeros unless given. */
  forward(x: AnyTensor, h: AnyTensor = this.zero(x)): AnyTensor {
    return gruCell(x, h, this);
  }
}

/**
 * One step of a long short-term memory; see `nn.functional.lstmCell`.
 *
 * @example
 * new nn.LSTMCell(3, 4).forward(randn([2, 3]))[0].shape; // [2, 4]
 */
export class LSTMCell extends Cell {
  constructor(inputSize: number, hiddenSize: number, options: CellOptions = {}) {
    super(inputSize, hiddenSize, options, 4);
  }

  /** State and cell after x [b, in] from h and c [b, hidden], zeros unless given. */
  forward(x: AnyTensor, h: AnyTensor = this.zero(x), c: AnyTensor = this.zero(x)): [h: AnyTensor, c: AnyTensor] {
    return lstmCell(x, h, c, this);
  }
}
