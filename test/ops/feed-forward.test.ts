// Products that do more as they write: on the CPU the bits of the ops they are made of, at every order of gradient that takes another way, and
// nothing kept that no gradient needs.
import {
  autocast,
  feedForward,
  gradients,
  linear,
  manualSeed,
  nn,
  noGrad,
  ones,
  randn,
  type AnyTensor,
  type DType,
  type FeedForwardActivation,
} from '../../lib/index';
import { submitted } from '../submitted';

const network = feedForward as (
  x: AnyTensor,
  weight1: AnyTensor,
  bias1: AnyTensor | undefined,
  weight2: AnyTensor,
  bias2: AnyTensor | undefined,
  options?: object,
) => AnyTensor;
const layer = linear as (x: AnyTensor, weight: AnyTensor, bias?: AnyTensor) => AnyTensor;
const functions: Record<FeedForwardActivation, (x: AnyTensor) => AnyTensor> = {
  relu: (x) => x.relu(),
  gelu: (x) => x.gelu(),
  geluTanh: (x) => x.gelu({ approximate: 'tanh' }),
  silu: (x) => x.silu(),
};
const activations = Object.keys(functions) as FeedForwardActivation[];

type Parameters = readonly [AnyTensor, AnyTensor, AnyTensor | undefined, AnyTensor, AnyTensor | undefined];

function apart([x, w1, b1, w2, b2]: Parameters, activation: FeedForwardActivation): AnyTensor {
  return layer(functions[activation](layer(x, w1, b1)), w2, b2);
}

function parameters(
  [rows, size, hidden, out]: readonly [number, number, number, number],
  dtype: DType,
  bias = true,
): Parameters {
  manualSeed(3);
  const draw = (...shape: number[]): AnyTensor =>
    randn(shape)
      .div(Math.sqrt(shape[1] ?? 1))
      .cast(dtype)
      .requiresGrad_() as AnyTensor;
  return [
    draw(rows, size),
    draw(hidden, size),
    bias ? draw(hidden) : undefined,
    draw(out, hidden),
    bias ? draw(out) : undefined,
  ];
}

const present = (tensors: readonly (AnyTensor | undefined)[]): AnyTensor[] =>
  tensors.filter((tensor) => tensor !== undefined);

/** Which of the tensors are equal, one by one. */
const same = (tensors: readonly (AnyTensor | undefined)[], others: readonly (AnyTensor | undefined)[]): boolean[] =>
  tensors.map((tensor, i) => tensor!.equalSync(others[i]!));
const all = (count: number): boolean[] => Array<boolean>(count).fill(true);

// One row and one column, dot products, products that are turned, several blocks of k.
const sizes = [
  [1, 5, 7, 3],
  [3, 1, 1, 2],
  [8, 32, 128, 32],
  [4, 200, 7, 200],
  [2, 300, 200, 40],
  [70, 33, 100, 41],
  [40, 1100, 50, 1],
] as const;

describe.each(['float64', 'float32', 'float16', 'bfloat16'] as const)('in %s', (dtype) => {
  test.each(activations)('a network with %s has the bits of its layers', (activation) => {
    for (const size of sizes) {
      for (const bias of [true, false]) {
        const given = parameters(size, dtype, bias);
        const g = randn([size[0], size[3]]).cast(dtype) as AnyTensor;
        const [y, z] = [network(...given, { activation }), apart(given, activation)];
        const without = noGrad(() => network(...given, { activation }));
        expect(same([y, without], [z, z])).toEqual(all(2));
        const [ours, theirs] = [y, z].map((result) => gradients([result.mul(g).sum()], present(given)));
        expect(same(ours!, theirs!)).toEqual(all(bias ? 5 : 3));
      }
    }
  });
});

test.each(activations)('the gradient of a gradient with %s is that of the layers', (activation) => {
  const given = parameters([3, 4, 5, 2], 'float64');
  const [ours, theirs] = [network(...given, { activation }), apart(given, activation)].map((y) => {
    const first = gradients([y.square().sum()], present(given), { createGraph: true });
    return gradients(
      first.map((gradient) => gradient!.square().sum()),
      present(given),
    );
  });
  ours!.forEach((gradient, i) => {
    expect(gradient!.sub(theirs![i]!).abs().max().itemSync()).toBeLessThan(1e-10);
  });
});

describe('what is computed and kept', () => {
  const options = { activation: 'gelu' };

  test('without gradients an activation is part of a product', () => {
    const given = parameters([3, 4, 5, 2], 'float32');
    expect(submitted(() => void noGrad(() => network(...given, options)))).toEqual(['matmul', 'matmul']);
  });

  test('what the activation is applied to is kept where a gradient needs it', () => {
    const [x, w1, b1, w2, b2] = parameters([3, 4, 5, 2], 'float32');
    expect(submitted(() => void network(x, w1, b1, w2, b2, options))).toEqual(['matmulActivation', 'matmul']);
    expect(submitted(() => void network(x, w1, b1, w2, b2))).toEqual(['matmul', 'matmul']);
    const frozen = [x.detach(), w1.detach(), b1!.detach()] as const;
    expect(submitted(() => void network(...frozen, w2, b2, options))).toEqual(['matmul', 'matmul']);
  });

  test('the backward pass multiplies by the slope, and sums for the biases, as it writes', () => {
    const given = parameters([3, 4, 5, 2], 'float32');
    const y = network(...given, options).sum();
    expect(submitted(() => y.backward()).filter((name) => name.startsWith('matmul'))).toEqual([
      'matmulActivationBackward',
      'matmul',
      'matmulRowSums',
      'matmulRowSums',
    ]);
  });

  test('a frozen layer takes no part in the backward pass', () => {
    const [x, w1, b1, w2, b2] = parameters([3, 4, 5, 2], 'float32');
    const y = network(x.detach(), w1.detach(), b1!.detach(), w2, undefined, options).sum();
    expect(submitted(() => y.backward()).filter((name) => name.startsWith('matmul'))).toEqual(['matmul']);
    expect(b2!.grad).toBeUndefined();
  });

  test("a linear layer's gradients of weight and bias are one product", () => {
    const [x, w, b] = parameters([3, 4, 5, 2], 'float32');
    const y = layer(x, w, b).sum();
    expect(submitted(() => y.backward()).filter((name) => /matmul|sum/i.test(name))).toEqual([
      'matmul',
      'matmulRowSums',
    ]);
  });
});

test('mixed precision computes in its dtype, and gradients come back in the parameters’ own', () => {
  const given = parameters([3, 4, 5, 2], 'float32');
  const y = autocast('bfloat16', () => network(...given, { activation: 'geluTanh' }));
  const z = autocast('bfloat16', () => apart(given, 'geluTanh'));
  expect(y.dtype).toBe('bfloat16');
  expect(same([y], [z])).toEqual(all(1));
  const [ours, theirs] = [y, z].map((result) => gradients([result.cast('float32').square().sum()], present(given)));
  expect(ours!.map((gradient) => gradient!.dtype)).toEqual(Array(5).fill('float32'));
  expect(same(ours!, theirs!)).toEqual(all(5));
});

describe("a Transformer's layer", () => {
  const made = (options: nn.TransformerLayerOptions): nn.TransformerEncoderLayer => {
    manualSeed(3);
    return new nn.TransformerEncoderLayer(8, 2, { hidden: 16, ...options });
  };
  const x = randn([2, 3, 8]).keep() as AnyTensor;
  const names = (layer: nn.TransformerEncoderLayer): string[] => submitted(() => void layer.forward(x));

  test.each(activations)('with %s has the bits of one with the function', (activation) => {
    const [ours, theirs] = [activation, functions[activation]].map((given) => {
      const layer = made({ activation: given, dropout: 0 });
      const y = layer.forward(x);
      y.square().sum().backward();
      return [y, ...layer.parameters().map(({ grad }) => grad)];
    });
    expect(same(ours!, theirs!)).toEqual(all(ours!.length));
  });

  test('is one network unless dropout, a hook or another layer stands between', () => {
    const activation = 'geluTanh';
    expect(names(made({ activation, dropout: 0 }))).toContain('matmulActivation');
    expect(names(made({ activation }))).not.toContain('matmulActivation');
    expect(names(made({ activation }).eval() as nn.TransformerEncoderLayer)).toContain('matmulActivation');
    for (const part of ['linear1', 'linear2', 'dropoutLayer'] as const) {
      const layer = made({ activation, dropout: 0 });
      let calls = 0;
      (layer as unknown as Record<typeof part, nn.Module>)[part].registerForwardHook(() => void calls++);
      expect(names(layer)).not.toContain('matmulActivation');
      expect(calls).toBeGreaterThan(0);
    }
  });
});

test.each([
  [
    () => network(ones([2, 3]), ones([4, 3]), undefined, ones([2, 4]), undefined, { activation: 'tanh' }),
    'feedForward: activation: got tanh, expected relu, gelu, geluTanh, silu',
  ],
  [
    () => network(ones([2, 3]), ones([4, 2]), undefined, ones([2, 4]), undefined),
    'feedForward: inner sizes differ: x [2, 3] · weight1 [4, 2]ᵀ (3 vs 2)',
  ],
  [
    () => network(ones([2, 3]), ones([4, 3]), undefined, ones([2, 5]), undefined),
    'feedForward: inner sizes differ: hidden [2, 4] · weight2 [2, 5]ᵀ (4 vs 5)',
  ],
  [
    () => network(ones([2, 3]), ones([4, 3]), ones([3]), ones([2, 4]), undefined),
    'feedForward: bias1 does not fit: got shape [3], expected [4]',
  ],
  [
    () => network(ones([2, 3]), ones([4, 3]), undefined, ones([2, 4]), ones([3])),
    'feedForward: bias2 does not fit: got shape [3], expected [2]',
  ],
  [
    () => network(ones([]), ones([4, 3]), undefined, ones([2, 4]), undefined),
    'feedForward: wrong rank: got x [] and weight1 [4, 3], expected [..., in] and [out, in]',
  ],
])('%#: wrong arguments', (f, message) => {
  expect(f).toThrow(new Error(message));
});
