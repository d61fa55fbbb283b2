// Attention of bfloat16 and float32 and its gradients at the sizes that kernels cut into tiles: as exact as rounding the operands of its
// products allows, whatever the number of threads.
import {
  compile,
  getNumThreads,
  gradients,
  manualSeed,
  randn,
  scaledDotProductAttention,
  setNumThreads,
  train,
  type AnyTensor,
} from '../../lib';

type Float = 'bfloat16' | 'float32';

interface Case {
  /** Batch, query heads, key heads, queries, keys, width of keys and of values. */
  readonly sizes: readonly [number, number, number, number, number, number, number];
  readonly options?: { readonly causal?: boolean; readonly dropout?: number; readonly scale?: number };
  readonly mask?: () => AnyTensor;
  readonly headsLast?: boolean;
}

const cases: Record<string, Case> = {
  'whole tiles': { sizes: [1, 2, 2, 128, 256, 64, 64] },
  causal: { sizes: [2, 3, 3, 300, 300, 64, 64], options: { causal: true } },
  'heads after queries': { sizes: [2, 3, 3, 100, 100, 64, 64], options: { causal: true }, headsLast: true },
  'grouped queries of odd widths': { sizes: [1, 4, 2, 129, 257, 40, 17], options: { causal: true } },
  'more queries than keys': { sizes: [1, 2, 1, 300, 77, 32, 48], options: { causal: true } },
  'an added mask': { sizes: [1, 2, 2, 200, 140, 64, 64], mask: () => randn([200, 140]) },
  'a bool mask': {
    sizes: [1, 2, 2, 200, 150, 64, 64],
    options: { causal: true },
    mask: () => randn([1, 1, 200, 150]).greater(-1),
  },
  dropout: { sizes: [2, 2, 2, 130, 190, 64, 64], options: { dropout: 0.3 } },
  'a negative scale': { sizes: [1, 2, 2, 70, 190, 64, 64], options: { scale: -0.2 } },
  'many keys': { sizes: [1, 1, 1, 40, 1500, 64, 64] },
};

/** The result and the gradients by queries, keys and values, in `dtype`. */
function attend(
  { options, mask, headsLast = false }: Case,
  inputs: readonly AnyTensor[],
  dtype: Float | 'float64',
): AnyTensor[] {
  const [q, k, v] = inputs.slice(0, 3).map((x): AnyTensor => {
    const cast = x.cast(dtype);
    return (headsLast ? cast.transpose(1, 2).contiguous().transpose(1, 2) : cast).detach().requiresGrad_();
  });
  manualSeed(7);
  const y = scaledDotProductAttention(q!, k!, v!, { ...options, ...(mask && { mask: mask() }) });
  y.backward({ gradient: inputs[3]!.cast(dtype) });
  return [y.detach(), q!.grad!, k!.grad!, v!.grad!] as AnyTensor[];
}
function inputsOf([b, h, hk, t, s, d, dv]: Case['sizes'], dtype: Float): AnyTensor[] {
  manualSeed(t + s);
  return [randn([b, h, t, d]), randn([b, hk, s, d]), randn([b, hk, s, dv]), randn([b, h, t, dv])].map((x) =>
    x.cast(dtype),
  );
}

const norm = (x: AnyTensor): number => x.square().sum().sqrt().itemSync();

describe.each(['bfloat16', 'float32'] as const)('%s', (dtype) => {
  // Rounding to 8 bits is off by 2^-9 at most; a gradient comes from up to three rounded factors.
  const bound = dtype === 'bfloat16' ? 2 ** -8 : 2 ** -20;

  test.each(Object.entries(cases))('%s', (_, attention) => {
    const inputs = inputsOf(attention.sizes, dtype);
    const exact = attend(attention, inputs, 'float64');
    attend(attention, inputs, dtype).forEach((rounded, i) => {
      expect(norm(rounded.cast('float64').sub(exact[i]!)) / norm(exact[i]!)).toBeLessThan(bound);
    });
  });

  test('the same bits at any number of threads', () => {
    const attention = cases['grouped queries of odd widths']!;
    const inputs = inputsOf(attention.sizes, dtype);
    const before = getNumThreads();
    try {
      const results = [1, 2, 3].map((threads) => {
        setNumThreads(threads);
        return attend(attention, inputs, dtype).map((x) => x.cast('float32').dataSync());
      });
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
    } finally {
      setNumThreads(before);
    }
  });
});

// Not the sums of three bfloat16: too small, too large, infinite.
test.each([2 ** -110, 2 ** 127, Infinity])('keys and values that a mask hides may be %d', (hidden) => {
  const [q, k, v, gradient] = inputsOf([1, 2, 2, 70, 96, 32, 32], 'float32') as [AnyTensor, ...AnyTensor[]];
  const causal: Case = { sizes: [1, 2, 2, 70, 96, 32, 32], options: { causal: true } };
  const visible = attend(causal, [q, k!.slice(2, 0, 70), v!.slice(2, 0, 70), gradient!], 'float64')[0]!;
  for (const x of [k!, v!]) x.slice(2, 80, 90).fill_(hidden);
  const y = attend(causal, [q, k!, v!, gradient!], 'float32')[0]!;
  expect(norm(y.cast('float64').sub(visible)) / norm(visible)).toBeLessThan(2 ** -20);
});

test('heads that were split off come together again without a copy, forward and backward', async () => {
  const part = (heads: number): AnyTensor => randn([2, 5, heads * 4]).requiresGrad_();
  const [q, k, v] = [part(4), part(2), part(2)];
  const split = (x: AnyTensor): AnyTensor => x.reshape([2, 5, -1, 4]).transpose(1, 2);
  const { ops } = await train.profile(
    () => {
      const y: AnyTensor = scaledDotProductAttention(split(q), split(k), split(v)).transpose(1, 2);
      y.reshape([2, 5, 16]).sum().backward();
    },
    { peaks: false },
  );
  expect(ops.map(({ name }) => name)).toEqual(expect.arrayContaining(['attention', 'attentionBackward']));
  expect(ops.find(({ name }) => name === 'copy')).toBeUndefined();
});

describe('queries, keys and values that are parts of one tensor', () => {
  const [b, t, heads, d] = [2, 5, 4, 6];
  const perHead = (x: AnyTensor): AnyTensor => x.reshape([b, t, heads, d]).transpose(1, 2);
  const inOrder = (parts: readonly AnyTensor[]): AnyTensor =>
    scaledDotProductAttention(perHead(parts[0]!), perHead(parts[1]!), perHead(parts[2]!), { causal: true });
  const uses: Record<string, (parts: readonly AnyTensor[]) => AnyTensor> = {
    'in order': inOrder,
    'in another order': ([k, v, q]) => inOrder([q!, k!, v!]),
    'used elsewhere too': (parts) => inOrder(parts).add(perHead(parts[1]!.exp().add(parts[2]!))),
    'used twice': (parts) => inOrder(parts).add(inOrder([...parts].reverse())),
    'one of them twice': ([q, k]) => inOrder([q!, k!, k!]),
    'one of them not at all': ([q, , v]) => inOrder([q!, v!, v!]),
    'with a hook that replaces a gradient': ([q, k, v]) => {
      if (k!.edge !== undefined) k!.registerHook((g) => g.mul(2));
      return inOrder([q!, k!, v!]);
    },
  };
  const gradientsOf = (use: (parts: readonly AnyTensor[]) => AnyTensor, apart: boolean, batch = randn): AnyTensor => {
    manualSeed(5);
    const x = batch([b, t, 3 * heads * d]).requiresGrad_() as AnyTensor;
    const parts = x.split(heads * d, -1).map((part): AnyTensor => (apart ? part.clone() : part));
    use(parts).square().sum().backward();
    return x.grad!;
  };

  test.each(Object.entries(uses))('%s', (_, use) => {
    expect(gradientsOf(use, false).dataSync()).toEqual(gradientsOf(use, true).dataSync());
  });

  test('have gradients that are joined without a copy', async () => {
    const { ops } = await train.profile(() => gradientsOf(inOrder, false), { peaks: false });
    const names = ops.map(({ name }) => name);
    expect(names).toContain('attentionBackward');
    expect(names.filter((name) => name === 'cat' || name === 'copy')).toEqual([]);
  });

  test('in a compiled step', () => {
    const step = (x: AnyTensor): AnyTensor => {
      const leaf = x.detach().requiresGrad_() as AnyTensor;
      return gradients(
        [
          inOrder(leaf.split(heads * d, -1))
            .square()
            .sum(),
        ],
        [leaf],
      )[0]!;
    };
    const compiled = compile(step);
    for (let i = 0; i < 4; i++) {
      const x: AnyTensor = randn([b, t, 3 * heads * d]);
      expect(compiled(x).dataSync()).toEqual(step(x).dataSync());
    }
  });
});

test('beside shared or row-major queries the result is row-major', () => {
  const [k, v] = [randn([2, 2, 5, 4]), randn([2, 2, 5, 4])];
  for (const q of [randn([1, 1, 5, 4]).expand([2, 4, 5, 4]), randn([2, 4, 5, 4])] as AnyTensor[]) {
    expect(scaledDotProductAttention(q, k, v).isContiguous).toBe(true);
  }
});
