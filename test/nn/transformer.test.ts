// Transformers against PyTorch, and what attention layers add to it: caches, grouped queries, rotary positions.
import {
  arange,
  cat,
  gradients,
  nn,
  noGrad,
  randn,
  scope,
  stack,
  tensor,
  zeros,
  type AnyTensor,
} from '../../lib/index';
import { compareLayer, type LayerCase } from '../golden/compare-layer';
import { plain, expectClose } from '../ops/sample';
import { submitted } from '../submitted';

const options = { hidden: 12, dropout: 0 };
/** Keys that are seen: PyTorch's padding mask says which are not. */
const seen = tensor([
  [true, true, true],
  [true, false, false],
]);

const cases: Record<string, LayerCase> = {
  encoder: {
    make: () =>
      new nn.TransformerEncoder(() => new nn.TransformerEncoderLayer(8, 2, options), 2, { norm: new nn.LayerNorm(8) }),
    call: (m: nn.TransformerEncoder, [x]) => m.forward(x!, { keyMask: seen }),
  },
  decoder: {
    make: () => new nn.TransformerDecoder(() => new nn.TransformerDecoderLayer(8, 2, { ...options, bias: false }), 2),
    call: (m: nn.TransformerDecoder, [x, memory]) => m.forward(x!, memory!, { memoryKeyMask: seen }),
  },
  transformer: {
    make: () =>
      new nn.Transformer(8, 2, {
        ...options,
        encoderLayers: 2,
        decoderLayers: 1,
        normFirst: true,
        activation: 'gelu',
        epsilon: 1e-4,
      }),
    call: (m: nn.Transformer, [source, target]) => m.forward(source!, target!),
  },
  'attention-apart': {
    make: () => new nn.MultiHeadAttention(8, 2, { keySize: 6, valueSize: 4 }),
    call: (m: nn.MultiHeadAttention, [q, k, v]) => {
      const { output, weights } = m.forwardWithWeights(q!, k, v, { keyMask: seen });
      // The fused form gives the same output.
      near(m.forward(q!, k, v, { keyMask: seen }), output);
      return cat([output.flatten() as AnyTensor, weights.flatten() as AnyTensor], 0);
    },
  },
  'attention-bias-kv': {
    make: () => new nn.MultiHeadAttention(8, 2, { addBiasKv: true, addZeroAttention: true }),
    call: (m: nn.MultiHeadAttention, [x]) => m.forward(x!, x, x, { causal: true }),
  },
};

function near(got: AnyTensor, expected: AnyTensor): void {
  expectClose(plain(got), plain(expected), { rtol: 1e-5, atol: 1e-5 }, 'tensor');
}

test.each(Object.entries(cases))('%s', (name, layer) => compareLayer(name, layer, 'neural'));

test.each([
  ['plain', {}],
  ['rotary', { rotary: true }],
  ['grouped and rotary, neighbours', { keyHeads: 2, rotary: { interleaved: true } }],
  ['in a window', { window: 3 }],
  ['in a window of one', { window: 1 }],
  ['heads of their own size, normalised', { headSize: 6, outputBias: false, rotary: true, queryKeyNorm: true }],
  ['normalised across heads', { keyHeads: 2, queryKeyNorm: { acrossHeads: true } }],
])('a cache gives what the whole sequence does: %s', (_, layerOptions) => {
  const layer = new nn.MultiHeadAttention(16, 4, layerOptions);
  const x = randn([2, 7, 16]);
  const whole = layer.forward(x, x, x, { causal: true });
  const cache = new nn.AttentionCache();
  // In scopes, as a loop that generates would: what the cache holds outlives them.
  const parts = [0, 3, 4].map((start, i) =>
    scope(() => {
      const part = x.narrow(1, start, [3, 1, 3][i]!) as AnyTensor;
      return noGrad(() => layer.forward(part, part, part, { causal: true, cache }));
    }),
  );
  expect(cache.length).toBe(7);
  near(cat(parts, 1), whole);
  cache.clear();
  expect(cache.length).toBe(0);
});

describe('a cache of some of a batch', () => {
  const layer = new nn.MultiHeadAttention(16, 4, { rotary: true });
  const x = randn([3, 7, 16]);
  const rows = tensor([2, 0, 2, 1], { dtype: 'int32' });
  const part = (start: number, count: number): AnyTensor => x.narrow(1, start, count) as AnyTensor;
  const attended = (y: AnyTensor, cache?: nn.AttentionCache): AnyTensor =>
    layer.forward(y, y, y, { causal: true, cache });

  test.each([
    ['within noGrad', noGrad],
    ['with gradients recorded', <T>(f: () => T): T => f()],
  ])('goes on for these, in their order, and leaves the other: %s', (_, within) => {
    within(() => {
      const cache = new nn.AttentionCache();
      attended(part(0, 4), cache);
      const chosen = scope(() => cache.select(rows));
      expect([chosen.length, chosen.key!.shape]).toEqual([4, [4, 4, 4, 4]]);
      const found = [4, 5].map((start) => attended(part(start, 1).indexSelect(0, rows) as AnyTensor, chosen));
      near(cat(found, 1), attended(x).narrow(1, 4, 2).indexSelect(0, rows) as AnyTensor);
      near(attended(part(4, 3), cache), attended(x).narrow(1, 4, 3) as AnyTensor);
      expect(new nn.AttentionCache().select(rows).length).toBe(0);
    });
  });

  test('cleared, it has its memory no more', () => {
    const cache = new nn.AttentionCache();
    noGrad(() => attended(part(0, 4), cache));
    const { key } = cache;
    cache.clear();
    expect(cache.length).toBe(0);
    expect(() => key!.dataSync()).toThrow('released by dispose()');
    noGrad(() => attended(part(0, 4), cache));
    expect(cache.length).toBe(4);
  });
});

test('positions say where queries and keys stand', () => {
  const layer = new nn.MultiHeadAttention(16, 4, { keyHeads: 2, rotary: { size: 2 } });
  const x = randn([2, 5, 16]);
  const positions = tensor(
    [
      [0, 2, 4],
      [0, 1, 3],
    ],
    { dtype: 'int64' },
  );
  const some = stack(
    [0, 1].map((i) => (x.select(0, i) as AnyTensor).indexSelect(0, positions.select(0, i) as never)),
    0,
  );
  const keyMask = tensor([
    [true, false, true, false, true],
    [true, true, false, true, false],
  ]);
  const whole = layer.forward(x, x, x, { keyMask });
  const expected = stack(
    [0, 1].map((i) => (whole.select(0, i) as AnyTensor).indexSelect(0, positions.select(0, i) as never)),
    0,
  );
  near(layer.forward(some, some, some, { positions }), expected);
  // Without a batch too.
  const one = some.select(0, 1) as AnyTensor;
  near(layer.forward(one, one, one, { positions: positions.select(0, 1) }), expected.select(0, 1) as AnyTensor);
});

test('queries and keys normalised across heads are so before they are split', () => {
  const layer = new nn.MultiHeadAttention(16, 4, { keyHeads: 2, queryKeyNorm: { acrossHeads: true, epsilon: 0.5 } });
  for (const norm of [layer.qNorm!, layer.kNorm!]) nn.init.normal_(norm.weight!);
  const x = randn([2, 7, 16]);
  const [q, k, v] = nn.functional.linear(x, layer.inProjWeight!).split([16, 8, 8], -1) as AnyTensor[];
  const heads = (y: AnyTensor): AnyTensor => y.reshape([2, 7, -1, 4]).transpose(1, 2);
  const attended = nn.functional.scaledDotProductAttention(
    heads(layer.qNorm!.forward(q!)) as never,
    heads(layer.kNorm!.forward(k!)),
    heads(v!) as never,
  ) as AnyTensor;
  near(layer.forward(x), layer.outProj.forward(attended.transpose(1, 2).reshape([2, 7, 16])));
});

test.each([{ normFirst: false }, { normFirst: true }])(
  'caches of a decoder layer give what the whole sequence does: %j',
  (options) => {
    const layer = new nn.TransformerDecoderLayer(16, 4, options).eval();
    const [x, memory] = [randn([2, 7, 16]), randn([2, 5, 16])];
    const memoryKeyMask = tensor([true, true, true, false, true, true, false, true, true, true], { shape: [2, 5] });
    const whole = layer.forward(x, memory, { memoryKeyMask });
    const [cache, memoryCache] = [new nn.AttentionCache(), new nn.AttentionCache()];
    const parts = x.split([3, 1, 3], 1).map((part, i) => {
      // What is cached is not read again.
      const read = i === 0 ? memory : memory.mul(NaN);
      return noGrad(() => layer.forward(part, read, { memoryKeyMask, cache, memoryCache }));
    });
    expect([cache.length, memoryCache.length]).toEqual([7, 5]);
    near(cat(parts, 1), whole);
  },
);

test('a cache may be filled with and without gradients, past the room that it has', () => {
  const layer = new nn.MultiHeadAttention(8, 2);
  const x = randn([1, 50, 8]);
  const whole = layer.forward(x, x, x, { causal: true });
  const cache = new nn.AttentionCache();
  const step = (i: number): AnyTensor => {
    const part = x.narrow(1, i, 1) as AnyTensor;
    return layer.forward(part, part, part, { causal: true, cache });
  };
  const parts: AnyTensor[] = [];
  let recorded: AnyTensor | undefined;
  for (let i = 0; i < 50; i++) {
    if (i === 20 || i === 21) recorded = step(i);
    parts.push(i === 20 || i === 21 ? recorded! : noGrad(() => step(i)));
  }
  near(cat(parts, 1), whole);
  // Nothing has written to what the recorded steps saw.
  recorded!.sum().backward();
  expect(layer.inProjWeight!.grad!.abs().sum().itemSync()).toBeGreaterThan(0);
});

test('keys of grouped queries are shared: as many heads with repeated weights say the same', () => {
  const grouped = new nn.MultiHeadAttention(8, 4, { keyHeads: 2 });
  const full = new nn.MultiHeadAttention(8, 4);
  const repeat = (x: AnyTensor): AnyTensor => {
    const [q, k, v] = x.split([8, 4, 4], 0) as AnyTensor[];
    const twice = (y: AnyTensor): AnyTensor => y.reshape([2, 2, -1]).repeatInterleave(2, { axis: 0 }).reshape([8, -1]);
    return cat([q!, twice(k!), twice(v!)], 0) as AnyTensor;
  };
  const state = { ...grouped.stateDict() };
  state['in_proj_weight'] = noGrad(() => repeat(state['in_proj_weight']!));
  state['in_proj_bias'] = zeros([24]);
  full.loadStateDict(state);
  const x = randn([2, 5, 8]);
  near(grouped.forward(x), full.forward(x));
  const { output, weights } = grouped.forwardWithWeights(x, x, x, { causal: true });
  near(output, full.forward(x, x, x, { causal: true }));
  near(weights.sum(-1), tensor([1]).expand([2, 5]));
});

describe('scores', () => {
  const weightsOf = (layer: nn.MultiHeadAttention, x: AnyTensor, options: nn.AttentionCall = {}): AnyTensor =>
    layer.forwardWithWeights(x, x, x, options).weights;

  test('of another scale are those of queries that are as many times larger', () => {
    const [scaled, plain] = [new nn.MultiHeadAttention(8, 2, { scale: 1.5 }), new nn.MultiHeadAttention(8, 2)];
    plain.loadStateDict(scaled.stateDict());
    noGrad(() => plain.inProjWeight!.narrow(0, 0, 8).mul_(1.5 * Math.sqrt(4)));
    const x = randn([2, 5, 8]);
    near(scaled.forward(x), plain.forward(x));
    near(weightsOf(scaled, x), weightsOf(plain, x));
  });

  test('are capped, in both calls alike, and before what hides keys', () => {
    const layer = new nn.MultiHeadAttention(8, 1, { keyHeads: 1, softCap: 0.5, scale: 2 });
    const x = randn([2, 5, 8]);
    const [q, k] = nn.functional.linear(x, layer.inProjWeight!, layer.inProjBias).split([8, 8, 8], -1) as AnyTensor[];
    const scores = q!.matmul(k!.transpose()).mul(4).tanh().mul(0.5) as AnyTensor;
    near(weightsOf(layer, x), scores.softmax(-1));
    const keyMask = randn([2, 5]);
    near(weightsOf(layer, x, { keyMask }), scores.add(keyMask.unsqueeze(1)).softmax(-1) as AnyTensor);
    for (const options of [{}, { causal: true }, { keyMask: keyMask.greater(0) as AnyTensor, causal: true }]) {
      near(layer.forward(x, x, x, options), layer.forwardWithWeights(x, x, x, options).output);
    }
  });

  test.each([undefined, 3])('of a query that sees no key give no weights; cap: %s', (softCap) => {
    const layer = new nn.MultiHeadAttention(8, 2, { softCap });
    const x = randn([1, 3, 8]).requiresGrad_();
    const keyMask = tensor([[false, true, true]]);
    const { output, weights } = layer.forwardWithWeights(x, x, x, { keyMask, causal: true });
    expect((weights.sum(-1).toArraySync() as number[][])[0]![0]).toBe(0);
    near(output, layer.forward(x, x, x, { keyMask, causal: true }));
    output.sum().backward();
    expect(x.grad!.isFinite().all().itemSync()).toBe(1);
  });
});

test('a mask that requires a gradient gets it beside dropout', () => {
  const layer = new nn.MultiHeadAttention(8, 2, { dropout: 1e-9 });
  const [x, mask] = [randn([2, 5, 8]), randn([1, 2, 5, 5]).requiresGrad_()];
  const gradientOf = (): AnyTensor => {
    mask.grad = undefined;
    layer.forward(x, x, x, { mask, causal: true }).square().sum().backward();
    return mask.grad!;
  };
  // So few weights are dropped that none is.
  const dropping = gradientOf();
  layer.eval();
  near(dropping, gradientOf());
  expect(dropping.abs().max().itemSync()).toBeGreaterThan(1e-3);
  const halved = new nn.MultiHeadAttention(8, 2, { dropout: 0.5 });
  const [one, other] = [0, 1].map(() => halved.forward(x, x, x, { mask })) as [AnyTensor, AnyTensor];
  expect(one.sub(other).abs().max().itemSync()).toBeGreaterThan(1e-3);
});

describe('a sliding window', () => {
  const options = { keyHeads: 2, headSize: 6, rotary: true };
  const hidden: [string, AnyTensor | undefined][] = [
    ['no keys hidden', undefined],
    [
      'hidden keys',
      tensor([[...'0111111'].map((digit) => digit === '1'), [...'0001011'].map((digit) => digit === '1')]),
    ],
    ['weighed keys', randn([2, 7])],
  ];
  /** Which of 7 keys 7 queries see that look back so far. */
  const band = (window: number): AnyTensor =>
    tensor(Array.from({ length: 7 }, (_, i) => Array.from({ length: 7 }, (_, j) => j <= i && j > i - window)));

  test.each(hidden)('is what a mask would be, and its gradients, with %s', (_, keyMask) => {
    for (const window of [1, 3, 6, 7]) {
      const layer = new nn.MultiHeadAttention(8, 4, { ...options, window });
      const masked = new nn.MultiHeadAttention(8, 4, options);
      masked.loadStateDict(layer.stateDict());
      const x = randn([2, 7, 8]);
      const found = layer.forward(x, x, x, { keyMask });
      const expected = masked.forward(x, x, x, { keyMask, mask: band(window) });
      near(found, expected);
      // Causal or not says nothing more: no query sees what follows it.
      near(layer.forward(x, x, x, { keyMask, causal: true }), expected);
      near(layer.forwardWithWeights(x, x, x, { mask: band(7) }).output, layer.forward(x));
      found.square().sum().backward();
      expected.square().sum().backward();
      near(layer.inProjWeight!.grad!, masked.inProjWeight!.grad!);
    }
  });

  test.each(hidden)('goes on behind a cache, with %s', (_, keyMask) => {
    const layer = new nn.MultiHeadAttention(8, 4, { ...options, window: 3 });
    const x = randn([2, 7, 8]);
    const mask = randn([7, 1]).add(zeros([7, 7])) as AnyTensor;
    const whole = layer.forward(x, x, x, { keyMask, mask });
    const cache = new nn.AttentionCache();
    let end = 0;
    const parts = [1, 2, 3, 1].map((length) => {
      const start = end;
      end += length;
      const part = x.narrow(1, start, length) as AnyTensor;
      // A mask with one column for all keys, and one with a column for each.
      const rows = mask.narrow(0, start, length).narrow(1, 0, start === 3 ? 1 : end) as AnyTensor;
      const call = { cache, keyMask: keyMask?.narrow(1, 0, end) as AnyTensor | undefined, mask: rows };
      return layer.forward(part, part, part, call);
    });
    near(cat(parts, 1), whole);
    expect(cache.length).toBe(7);
  });

  test('what is added behind the keys is seen from every place', () => {
    const extra = { addBiasKv: true, addZeroAttention: true };
    const layer = new nn.MultiHeadAttention(8, 2, { ...extra, window: 2 });
    const masked = new nn.MultiHeadAttention(8, 2, extra);
    masked.loadStateDict(layer.stateDict());
    const x = randn([2, 7, 8]);
    near(layer.forward(x), masked.forward(x, x, x, { mask: band(2) }));
  });

  test('costs nothing where it holds the whole sequence, nor behind a cache', () => {
    const x = randn([2, 7, 8]);
    const ops = (window: number | undefined, length: number): string[] => {
      const layer = new nn.MultiHeadAttention(8, 4, { ...options, window });
      const cache = new nn.AttentionCache();
      return submitted(() =>
        noGrad(() => {
          for (const part of [x.narrow(1, 0, length), x.narrow(1, 0, 1)] as AnyTensor[]) {
            layer.forward(part, part, part, { causal: true, cache });
          }
        }),
      );
    };
    expect(ops(7, 6)).toEqual(ops(undefined, 6));
    expect(ops(7, 7)).toEqual(ops(undefined, 7));
    expect(ops(6, 7)).not.toEqual(ops(undefined, 7));
    // One token needs no mask: the keys that it does not see are passed over.
    expect(ops(6, 6)).toEqual(ops(undefined, 6));
    expect(ops(6, 6)).not.toContain('tril');
  });
});

test('rotary scores depend on relative positions', () => {
  const [q, k] = [randn([1, 6]).expand([5, 6]) as AnyTensor, randn([1, 6]).expand([5, 6]) as AnyTensor];
  const { rotaryEmbedding } = nn.functional;
  const scores = rotaryEmbedding(q).matmul(rotaryEmbedding(k).transpose());
  const moved = rotaryEmbedding(q, { offset: 40 }).matmul(rotaryEmbedding(k, { offset: 40 }).transpose());
  expectClose(plain(scores), plain(moved), { rtol: 1e-4, atol: 1e-4 }, 'scores');
  const by = rotaryEmbedding(q, { positions: arange(40, 45, { dtype: 'int64' }) });
  near(by, rotaryEmbedding(q, { offset: 40 }));
});

test('a function as activation, masks of both kinds', () => {
  const layer = new nn.TransformerEncoderLayer(8, 2, { ...options, activation: (x) => x.relu() });
  const same = new nn.TransformerEncoderLayer(8, 2, options);
  same.loadStateDict(layer.stateDict());
  const x = randn([2, 3, 8]);
  const added = tensor([0, -Infinity, 0.5]);
  const keyMask = tensor([
    [0, -Infinity, -Infinity],
    [0, 0, 0],
  ]);
  const both = layer.forward(x, { mask: added, keyMask });
  const bool = keyMask.equalTo(0);
  near(both, same.forward(x, { mask: added, keyMask: bool }));
  near(
    layer.forward(x, { mask: added.greater(-1), keyMask: bool }),
    same.forward(x, { mask: added.greater(-1), keyMask }),
  );
});

test('the recorded gradient of attention agrees with the kernel', () => {
  const layer = new nn.MultiHeadAttention(8, 2);
  const x = randn([2, 3, 8]).requiresGrad_();
  const hidden = tensor([false, true, true, true, true, true, true, true, true], { shape: [3, 3] });
  const mask = hidden.logicalAnd(tensor([[false], [true], [true]])) as AnyTensor;
  const loss = layer.forward(x, x, x, { mask }).square().sum();
  const [fused] = gradients([loss], [x], { retainGraph: true });
  const [recorded] = gradients([loss], [x], { createGraph: true });
  near(recorded!.detach(), fused!);
});

test('attention without a batch is that of a batch of one', () => {
  const layer = new nn.MultiHeadAttention(8, 2, { keySize: 6, addZeroAttention: true });
  const [x, y, z] = [randn([3, 8]), randn([4, 6]), randn([4, 8])];
  const [keyMask, mask] = [tensor([true, false, true, true]), randn([2, 3, 4])];
  const batch: [AnyTensor, AnyTensor, AnyTensor] = [x.unsqueeze(0), y.unsqueeze(0), z.unsqueeze(0)];
  const many = layer.forwardWithWeights(...batch, { keyMask: keyMask.unsqueeze(0) as AnyTensor, mask });
  const one = layer.forwardWithWeights(x, y, z, { keyMask, mask });
  expect([one.output.shape, one.weights.shape]).toEqual([
    [3, 8],
    [3, 5],
  ]);
  near(one.output, many.output.squeeze(0));
  near(one.weights, many.weights.squeeze(0));
  near(layer.forward(x, y, z, { keyMask, mask }), one.output);
  expect(layer.multiplyAdds([x, y, z])).toBe(layer.multiplyAdds(batch));
  const whole = new nn.Transformer(8, 2, { ...options, encoderLayers: 1, decoderLayers: 1 });
  const masks = { sourceKeyMask: keyMask, keyMask: keyMask.narrow(0, 0, 3) as AnyTensor };
  const batchMasks = { sourceKeyMask: keyMask.unsqueeze(0), keyMask: masks.keyMask.unsqueeze(0) as AnyTensor };
  near(whole.forward(z, x, masks), whole.forward(batch[2], batch[0], batchMasks).squeeze(0));
  const [q, k, v] = [randn([3, 4]), randn([5, 4]), randn([5, 2])];
  const heads = nn.functional.scaledDotProductAttention(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0));
  near(nn.functional.scaledDotProductAttention(q, k, v), heads.squeeze(0) as AnyTensor);
});

describe('what attention layers refuse', () => {
  test.each<[() => unknown, string]>([
    [
      () => new nn.MultiHeadAttention(8, 4, { keyHeads: 3 }),
      'MultiHeadAttention: keyHeads: got 3, expected a divisor of the 4 heads',
    ],
    [
      () => new nn.MultiHeadAttention(8, 2, { headSize: 1.5 }),
      'MultiHeadAttention: headSize: got 1.5, expected a positive integer',
    ],
    [
      () => new nn.MultiHeadAttention(8, 2, { window: 0 }),
      'MultiHeadAttention: window: got 0, expected a positive integer',
    ],
    [
      () => new nn.MultiHeadAttention(8, 2, { softCap: 0 }),
      'MultiHeadAttention: softCap: got 0, expected a positive number',
    ],
    [
      () => new nn.MultiHeadAttention(8, 2, { scale: NaN }),
      'MultiHeadAttention: scale: got NaN, expected a finite number',
    ],
    [
      () => new nn.MultiHeadAttention(8, 2, { keySize: 6 }).forward(zeros([1, 2, 8])),
      'MultiHeadAttention: input: got shape [1, 2, 8], expected [b, t, 6]',
    ],
    [
      () => new nn.TransformerEncoder(() => new nn.TransformerEncoderLayer(8, 2), 0),
      'TransformerEncoder: count: got 0, expected an integer from 1 to 4294967295',
    ],
  ])('%#: %s', (act, message) => {
    expect(act).toThrow(new Error(message));
  });
});
