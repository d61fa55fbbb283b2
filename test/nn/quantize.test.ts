// Models whose weights are whole numbers of few bits: how near they come, their state, what layers make of them, and adapters over them.
import {
  compile,
  dequantizeMatrix,
  gradients,
  manualSeed,
  memory,
  models,
  nn,
  noGrad,
  optim,
  quantizedLinear,
  quantizeMatrix,
  randint,
  randn,
  scope,
  setNumThreads,
  getNumThreads,
  tensor,
  type AnyTensor,
  type DType,
} from '../../lib/index';
import { linear } from '../../lib/ops/matmul';

const { functional: F } = nn;
beforeEach(() => manualSeed(3));

/** ‖a − b‖ / ‖b‖ */
const distance = (a: AnyTensor, b: AnyTensor): number => {
  const [x, y] = [a.cast('float64'), b.cast('float64')];
  return (x.sub(y).norm().div(y.norm()) as AnyTensor).itemSync();
};
const normal = (shape: readonly number[], dtype: DType = 'float32'): AnyTensor => randn(shape).cast(dtype);
const languageModel = (): models.GPT2 =>
  new models.GPT2({ vocabulary: 96, context: 16, width: 64, layers: 2, heads: 4, dropout: 0 });

describe('a matrix', () => {
  // Numbers of a normal distribution are off by half a step at most, evenly; a group's largest of 64 is some 2.5 deviations: 2.5 / 127 / √12 = 0.57 %, and with 4 bits
  // 2.5 / 7 / √12 = 10.3 %, less what the search gains.
  test.each([
    [8, 64, 0.0045, 0.0065],
    [8, 32, 0.004, 0.006],
    [4, 64, 0.085, 0.1],
    [4, 32, 0.075, 0.095],
  ] as const)('of %i bits in groups of %i is near', (bits, group, low, high) => {
    for (const dtype of ['float32', 'float64', 'float16', 'bfloat16'] as const) {
      const w = normal([40, 256], dtype);
      const matrix = quantizeMatrix(w, { bits, group });
      expect([matrix.codes.shape, matrix.scales.shape]).toEqual([
        [40, bits === 8 ? 256 : 128],
        [40, 256 / group],
      ]);
      expect([matrix.codes.dtype, matrix.scales.dtype]).toEqual([bits === 8 ? 'int8' : 'uint8', dtype]);
      const off = distance(dequantizeMatrix(matrix), w);
      expect(off).toBeGreaterThan(low);
      expect(off).toBeLessThan(high);
    }
  });

  test('of 4 bits is nearer than with the scale of the largest element', () => {
    const w = normal([64, 128]);
    const most = w.reshape([64, 2, 64]).abs().amax(-1, { keepDims: true }) as AnyTensor;
    const scale = most.div(7);
    const plain = w.reshape([64, 2, 64]).div(scale).round().clamp(-8, 7).mul(scale).reshape([64, 128]) as AnyTensor;
    expect(distance(dequantizeMatrix(quantizeMatrix(w, { bits: 4 })), w)).toBeLessThan(0.97 * distance(plain, w));
  });

  test('of zeros, and with what is no number', () => {
    for (const bits of [8, 4] as const) {
      const w = tensor([...new Array<number>(64).fill(0), NaN, ...new Array<number>(63).fill(1)], { shape: [2, 64] });
      const [zeros, others] = dequantizeMatrix(quantizeMatrix(w, { bits })).toArraySync() as number[][];
      expect(zeros).toEqual(new Array(64).fill(0));
      expect(others).toEqual(new Array(64).fill(NaN));
    }
  });

  test('whose scales are the least that the dtype has is not taken for zeros', () => {
    const w = normal([4, 64]).mul(2e-7).cast('float16');
    expect(distance(dequantizeMatrix(quantizeMatrix(w, { bits: 4 })), w)).toBeLessThan(0.2);
  });

  test.each(['float32', 'float16', 'bfloat16'] as const)('%s: few rows and many have the same product', (dtype) => {
    for (const bits of [8, 4] as const) {
      const matrix = quantizeMatrix(normal([37, 192], dtype), { bits, group: 32 });
      const [x, bias] = [normal([40, 192], dtype), normal([37], dtype)];
      const many = quantizedLinear(x, matrix, bias);
      const wide = linear(x.cast('float64'), dequantizeMatrix(matrix).cast('float64'), bias.cast('float64'));
      // Sums in float, rounded once to a dtype of so many bits.
      const most = { float32: 1e-6, float16: 2 ** -11, bfloat16: 2 ** -8 }[dtype];
      expect(distance(many, wide)).toBeLessThan(most);
      for (const rows of [1, 2, 3, 4, 5, 11, 23]) {
        const few = quantizedLinear(x.narrow(0, 0, rows), matrix, bias);
        expect(distance(few, wide.narrow(0, 0, rows))).toBeLessThan(most);
      }
      expect(quantizedLinear(x.narrow(0, 0, 0), matrix, bias).shape).toEqual([0, 37]);
    }
  });

  test('gives the same bits with any number of threads, and from any place in memory', () => {
    const matrix = quantizeMatrix(normal([301, 320]), { bits: 4, group: 32 });
    const x = normal([7, 320]);
    const expected = quantizedLinear(x, matrix).toArraySync();
    const threads = getNumThreads();
    setNumThreads(1);
    expect(quantizedLinear(x, matrix).toArraySync()).toEqual(expected);
    setNumThreads(threads);
    const moved = (of: AnyTensor): AnyTensor => {
      const room = tensor(new Array<number>(of.size + 1).fill(0)).cast(of.dtype);
      room.narrow(0, 1, of.size).copy_(of.flatten());
      return room.narrow(0, 1, of.size).view(of.shape as number[]);
    };
    const elsewhere = { codes: moved(matrix.codes), scales: moved(matrix.scales) };
    expect(quantizedLinear(moved(x), elsewhere).toArraySync()).toEqual(expected);
    expect(quantizedLinear(x.transpose().contiguous().transpose(), matrix).toArraySync()).toEqual(expected);
  });

  test('passes gradients to x and the bias', () => {
    const matrix = quantizeMatrix(normal([10, 64]));
    const [x, bias] = [normal([3, 64]).requiresGrad_(), normal([10]).requiresGrad_()];
    const g = normal([3, 10]);
    const [gx, gb] = gradients([quantizedLinear(x, matrix, bias).mul(g).sum()], [x, bias]);
    expect(distance(gx!, g.matmul(dequantizeMatrix(matrix)))).toBeLessThan(1e-6);
    expect(distance(gb!, g.sum(0) as AnyTensor)).toBeLessThan(1e-6);
  });

  test('keeps its floats for no gradient', () => {
    const matrix = quantizeMatrix(normal([1024, 1024]));
    const x = normal([32, 1024]).requiresGrad_();
    const before = memory('cpu').liveBytes;
    const y = scope(() => quantizedLinear(x, matrix));
    // The result has 128 KiB, the matrix as floats 4 MiB.
    expect(memory('cpu').liveBytes - before).toBeLessThan(2 ** 20);
    const [gx] = gradients([y.sum()], [x]);
    expect(distance(gx!, dequantizeMatrix(matrix).sum(0, { keepDims: true }).expand([32, 1024]))).toBeLessThan(1e-6);
  });

  test('refuses what does not fit', () => {
    const matrix = quantizeMatrix(normal([10, 64]));
    expect(() => quantizeMatrix(normal([10, 60]))).toThrow(
      'quantizeMatrix: w: got shape [10, 60], expected a matrix with rows of a multiple of 64',
    );
    expect(() => quantizeMatrix(normal([2, 64]), { bits: 5 as never })).toThrow('quantizeMatrix: bits: got 5, expected 8 or 4'); // prettier-ignore
    expect(() => quantizeMatrix(normal([2, 64]), { group: 48 })).toThrow(
      'quantizeMatrix: group: got 48, expected a multiple of 32',
    );
    expect(() => quantizedLinear(normal([2, 32]), matrix)).toThrow(
      'quantizedLinear: x: got shape [2, 32], expected [..., 64]',
    );
    expect(() => quantizedLinear(normal([2, 64]), matrix, normal([9]))).toThrow(
      'quantizedLinear: bias does not fit: got shape [9], expected [10]',
    );
    expect(() => dequantizeMatrix({ codes: matrix.codes, scales: normal([9, 1]) })).toThrow(
      'dequantizeMatrix: got codes [10, 64] int8 and scales [9, 1], expected',
    );
  });
});

describe('a model', () => {
  const tokens = (): AnyTensor => randint(0, 96, [2, 9]);

  test.each([
    [8, 0.02],
    [4, 0.25],
  ] as const)('of %i bits answers nearly the same', (bits, most) => {
    const model = languageModel();
    const text = tokens();
    const before = noGrad(() => model.forward(text));
    expect(nn.quantize(model, { bits, group: 32 })).toBe(model);
    const off = distance(
      noGrad(() => model.forward(text)),
      before,
    );
    expect(off).toBeGreaterThan(0);
    expect(off).toBeLessThan(most);
    // Each token by itself, with a cache, as all at once.
    const caches = model.makeCaches();
    const last = Array.from({ length: 9 }, (_, i) => noGrad(() => model.forward(text.narrow(1, i, 1), { caches }))).at(-1)!; // prettier-ignore
    expect(distance(last, noGrad(() => model.forward(text)).narrow(1, 8, 1))).toBeLessThan(1e-5);
    const [x, y] = [text.narrow(1, 0, 8), text.narrow(1, 1, 8)];
    const whole = F.crossEntropy(model.forward(x).reshape([16, 96]), y.reshape([16]) as never) as AnyTensor;
    expect(model.loss(x, y).itemSync()).toBeCloseTo(whole.itemSync(), 5);
  });

  test('has codes and scales as its state, and loads them', () => {
    const [model, other] = [languageModel(), languageModel()].map((each) => nn.quantize(each, { bits: 4 }));
    const state = model!.stateDict();
    expect(Object.keys(state).filter((name) => name.includes('linear1'))).toEqual([
      'blocks.0.linear1.bias',
      'blocks.0.linear1.weight.codes',
      'blocks.0.linear1.weight.scales',
      'blocks.1.linear1.bias',
      'blocks.1.linear1.weight.codes',
      'blocks.1.linear1.weight.scales',
    ]);
    expect(model!.parameters().every(({ rank }) => rank === 1)).toBe(true);
    other!.loadStateDict(state);
    const text = tokens();
    expect(other!.forward(text).toArraySync()).toEqual(model!.forward(text).toArraySync());
    expect(model!.blocks[0]!.linear1.toString()).toBe(
      'Linear(64 → 256\n  (weight): QuantizedWeight(256 × 64, 4 bits, groups of 64)\n)',
    );
  });

  test('takes the weights that match and fit; one that layers share stays shared', () => {
    class Tied extends nn.Module {
      readonly table = new nn.Embedding(10, 64);
      readonly head = new nn.Linear(64, 10, { bias: false });
      readonly small = new nn.Linear(10, 3);
      constructor() {
        super();
        this.head.weight = this.table.weight;
      }
    }
    const model = nn.quantize(new Tied());
    expect(model.head.weight).toBe(model.table.weight);
    expect(model.small.weight).toBeInstanceOf(nn.Parameter);
    const alone = nn.quantize(new Tied(), { match: /head/ });
    expect(alone.head.weight).toBeInstanceOf(nn.QuantizedWeight);
    expect(alone.table.weight).toBeInstanceOf(nn.Parameter);
    const bounded = new nn.Embedding(10, 64, { maxNorm: 1 });
    expect(() => nn.quantize(bounded)).toThrow('expected what fits any of no matrices of layers');
    expect(() => nn.quantize(new Tied(), { match: /small/ })).toThrow(
      'quantize: match: got small and groups of 64, expected what fits any of table.weight [10, 64], head.weight [10, 64], small.weight [3, 10]',
    );
  });

  test('of layers that look at other sequences, and of halves', () => {
    const layer = new nn.TransformerDecoderLayer(64, 4, { dropout: 0 });
    const [x, memory] = [normal([2, 5, 64]), normal([2, 7, 64])];
    const before = layer.forward(x, memory);
    nn.quantize(layer);
    expect(distance(layer.forward(x, memory), before)).toBeLessThan(0.02);
    layer.to('bfloat16');
    const halves = layer.forward(x.cast('bfloat16'), memory.cast('bfloat16'));
    expect(halves.dtype).toBe('bfloat16');
    expect(distance(halves, before)).toBeLessThan(0.03);
  });

  test('whose logits are capped has the loss of its logits', () => {
    const options = { vocabulary: 96, context: 16, width: 64, layers: 1, heads: 4, hidden: 128, tied: true };
    const model = nn.quantize(new models.Llama({ ...options, logitSoftCap: 5 }));
    const text = tokens();
    const [x, y] = [text.narrow(1, 0, 8), text.narrow(1, 1, 8)];
    const whole = F.crossEntropy(model.forward(x).reshape([16, 96]), y.reshape([16]) as never) as AnyTensor;
    expect(model.loss(x, y).itemSync()).toBeCloseTo(whole.itemSync(), 5);
  });

  test('is trained by adapters, in a compiled step, and merged', () => {
    const model = nn.quantize(languageModel(), { bits: 4 });
    const text = tokens();
    const [x, y] = [text.narrow(1, 0, 8), text.narrow(1, 1, 8)];
    const before = model.forward(text);
    const base = model.stateDict();
    const adapters = nn.lora(model, { rank: 4 });
    expect(adapters.names).toContain('blocks.0.self_attn.in_proj_weight');
    expect(model.forward(text).toArraySync()).toEqual(before.toArraySync());
    expect(model.parameters().filter(({ requiresGrad }) => requiresGrad)).toEqual(adapters.parameters());
    const optimizer = new optim.AdamW(adapters.parameters(), { lr: 1e-2 });
    const step = compile(() => {
      optimizer.zeroGrad();
      const loss = model.loss(x, y);
      loss.backward();
      optimizer.step();
      return loss;
    });
    const losses = Array.from({ length: 60 }, () => step().itemSync());
    expect(losses.at(-1)).toBeLessThan(0.1 * losses[0]!);
    const trained = model.forward(text);
    const other = nn.quantize(languageModel(), { bits: 4 });
    const state = adapters.stateDict();
    other.loadStateDict(base);
    nn.lora(other, { rank: 4 }).loadStateDict(state);
    expect(other.forward(text).toArraySync()).toEqual(trained.toArraySync());
    adapters.merge();
    expect(model.blocks[0]!.linear1.weight).toBeInstanceOf(nn.Parameter);
    expect(distance(model.forward(text), trained)).toBeLessThan(1e-5);
  });
});
