// Llama's relatives and scaled positions beside the library transformers, whose small models lie in test/golden/transformers.
//
// Differences are in terms of the largest value. Both sides round to float32 (6e-8) in some dozen sums one after the other, in another order; 1e-5 has
// room for that, while a key too many, another speed of a pair or a missing bias change the first or second digit.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  cat,
  full,
  gradcheck,
  io,
  manualSeed,
  models,
  nn,
  noGrad,
  ones,
  randint,
  randn,
  tensor,
  where,
  zeros,
  type AnyTensor,
} from '../../lib/index';
import { collect, difference, expectGradients, folderOf, referenceOf } from './references';

/** The likeliest tokens, the prompt first. */
async function continued(model: models.Llama, expected: AnyTensor, prompt: number): Promise<[number[], number[]]> {
  const tokens = Array.from(expected.dataSync(), Number);
  const options = { maxTokens: tokens.length - prompt, temperature: 0 };
  return [await collect(models.generate(model, tokens.slice(0, prompt), options)), tokens.slice(prompt)];
}

const relatives = [
  'qwen2',
  'qwen2-sliding',
  'qwen3',
  'mistral',
  'llama-biases',
  'phi3',
  'phi3-longrope',
  'gemma',
  'gemma2',
  'gemma3',
  'mixtral',
  'qwen2-moe',
  'qwen3-moe',
  'olmoe',
  'olmo2',
  'granite',
  'smollm3',
];

describe.each(relatives)('%s', (name) => {
  let model: models.Llama;
  let reference: nn.StateDict;
  beforeAll(async () => {
    [model, reference] = [await models.Llama.load(folderOf(name)), await referenceOf(name)];
  });

  test('logits are those of the reference', () => {
    expect(difference(model.forward(reference['tokens']!), reference['logits']!)).toBeLessThan(1e-5);
  });

  test('so they are where the first tokens are hidden', () => {
    const { tokens, kept, masked } = reference as Record<string, AnyTensor>;
    // Of a hidden position nothing is said: it sees no key.
    const visible = kept!.unsqueeze(-1).cast('float32');
    const found = model.forward(tokens!, { keyMask: kept! });
    expect(difference(found.mul(visible) as AnyTensor, masked!.mul(visible) as AnyTensor)).toBeLessThan(1e-5);
  });

  // Where other positions serve in longer sequences, a whole one is not what a cache of its pieces is, nor is it in the reference.
  const pieces: [string, number[]][] = [
    ['token by token', Array.from({ length: 12 }, () => 1)],
    ['in pieces', [2, 5, 2, 3]],
  ];
  if (!name.endsWith('longrope')) {
    test.each(pieces)('%s, with caches, they are the same', (_, lengths) => {
      const { tokens, kept, logits, masked } = reference as Record<string, AnyTensor>;
      const visible = kept!.unsqueeze(-1).cast('float32');
      const [caches, hiding] = [model.makeCaches(), model.makeCaches()];
      let start = 0;
      for (const length of lengths) {
        const end = start + length;
        const piece = tokens!.slice(1, start, end);
        const found = noGrad(() => model.forward(piece, { caches }));
        expect(difference(found, logits!.slice(1, start, end))).toBeLessThan(1e-5);
        const keyMask = kept!.slice(1, 0, end);
        const shown = noGrad(() => model.forward(piece, { caches: hiding, keyMask })).mul(visible.slice(1, start, end));
        const expected = masked!.mul(visible).slice(1, start, end);
        expect(difference(shown as AnyTensor, expected as AnyTensor)).toBeLessThan(1e-5);
        start = end;
      }
    });
  }

  const ofLogits = (tokens: AnyTensor, next: AnyTensor): AnyTensor =>
    nn.functional.crossEntropy(model.forward(tokens).flatten(0, 1), next.flatten() as never);
  const losses: [string, (tokens: AnyTensor, next: AnyTensor) => AnyTensor][] = [
    // That of mixtures of experts says too how they are used.
    ...(/moe$|mixtral/.test(name) ? [] : [['the loss', ofLogits] as [string, typeof ofLogits]]),
    ['loss()', (tokens, next) => model.loss(tokens, next)],
    ['loss(), in pieces of the logits', (tokens, next) => model.loss(tokens, next, { rowsAtOnce: 5 })],
  ];
  test.each(losses)('the gradients of %s are those of the reference', async (_, lossOf) => {
    const { tokens, loss } = reference as Record<string, AnyTensor>;
    const found = lossOf(tokens!.narrow(1, 0, 11), tokens!.narrow(1, 1, 11));
    expect(difference(found, loss!.squeeze() as AnyTensor)).toBeLessThan(1e-5);
    model.zeroGrad();
    found.backward();
    expectGradients(model, await models.Llama.load(folderOf(name)), reference);
  });

  test('the likeliest tokens follow one another as in the reference', async () => {
    const [found, expected] = await continued(model, reference['greedy']!, 4);
    expect(found).toEqual(expected);
  });

  test('saved and read into another, it is the same', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hadal-saved-'));
    const file = join(folder, 'model.safetensors');
    await io.writeSafetensors(file, model.stateDict());
    const other = await models.Llama.load(folderOf(name));
    for (const parameter of other.parameters()) nn.init.zeros_(parameter);
    other.loadStateDict(await io.readSafetensors(file));
    rmSync(folder, { recursive: true });
    expect(difference(other.forward(reference['tokens']!), reference['logits']!)).toBeLessThan(1e-5);
  });
});

// The reference in the same calls: keys in a cache stay as they were turned, by the numbers for short sequences.
test.each([
  ['short', [8]],
  ['pieces', [6, 1, 2, 3]],
])('positions scaled by LongRoPE around the original context: %s', async (key, lengths) => {
  const { tokens, [key]: expected } = await referenceOf('phi3-longrope');
  const model = await models.Llama.load(folderOf('phi3-longrope'));
  const caches = model.makeCaches();
  let start = 0;
  for (const length of lengths) {
    const found = noGrad(() => model.forward(tokens!.narrow(1, start, length), { caches }));
    expect(difference(found, expected!.narrow(1, start, length))).toBeLessThan(1e-5);
    start += length;
  }
});

const read = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;

const factors = { short_factor: [1, 1.5, 2], long_factor: [1.5, 3, 5] };
const longrope = { rope_type: 'longrope', rope_theta: 500, partial_rotary_factor: 0.75, ...factors };

describe('files that are changed', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hadal-published-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  /** The model of that name, loaded with other fields in its configuration; those that are undefined are left out. */
  const loaded = (name: string, fields: object): Promise<models.Llama> => {
    cpSync(folderOf(name), folder, { recursive: true });
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...read(join(folder, 'config.json')), ...fields }));
    return models.Llama.load(folder);
  };

  // The first Llama on 40 tokens: it was made for 16, and its positions are scaled for 64.
  describe.each(Object.entries(read(join(folderOf('.'), 'scaled.json')) as Record<string, object>))(
    'positions scaled: %s',
    (name, scaling) => {
      const reference = (): Promise<nn.StateDict> => io.readSafetensors(join(folderOf('.'), 'scaled.safetensors'));
      const longer = /^(linear|llama3)$/.test(name) ? { max_position_embeddings: 64 } : {};

      test('logits are those of the reference, in both forms of the configuration', async () => {
        const { tokens, [`${name}.logits`]: logits } = await reference();
        const { rope_type, ...rest } = scaling as { rope_type: string };
        const older = { rope_parameters: undefined, rope_theta: 500, rope_scaling: { type: rope_type, ...rest } };
        for (const form of [{ rope_parameters: { ...scaling, rope_theta: 500 } }, older]) {
          const model = await loaded('llama', { ...form, ...longer });
          expect(difference(model.forward(tokens!), logits!)).toBeLessThan(1e-5);
        }
      });

      // Dynamic positions are others for each length: a whole sequence is not what a cache of its pieces is, nor is it in the reference.
      if (name !== 'dynamic') {
        test('in pieces, with caches, they are the same', async () => {
          const { tokens, [`${name}.logits`]: logits } = await reference();
          const model = await loaded('llama', { rope_parameters: { ...scaling, rope_theta: 500 }, ...longer });
          const caches = model.makeCaches();
          for (const [start, end] of [
            [0, 14],
            [14, 15],
            [15, 40],
          ] as const) {
            const found = noGrad(() => model.forward(tokens!.slice(1, start, end), { caches }));
            expect(difference(found, logits!.slice(1, start, end))).toBeLessThan(1e-5);
          }
        });
      }

      test('the likeliest tokens follow one another as in the reference', async () => {
        const { [`${name}.greedy`]: greedy } = await reference();
        const model = await loaded('llama', { rope_parameters: { ...scaling, rope_theta: 500 }, ...longer });
        const [found, expected] = await continued(model, greedy!, 8);
        expect(found).toEqual(expected);
      });
    },
  );

  test.each([
    ['qwen2-sliding', { layer_types: undefined }],
    ['qwen2-sliding', { layer_types: undefined, max_window_layers: 0 }, false],
    ['qwen2-sliding', { layer_types: undefined, use_sliding_window: undefined }, false],
    ['qwen2-sliding', { layer_types: ['sliding_attention', 'full_attention'] }, false],
    ['qwen2', { layer_types: undefined, use_sliding_window: false, sliding_window: 5, max_window_layers: 0 }],
    ['qwen2', { sliding_window: undefined, attention_bias: false, mlp_bias: undefined }],
    ['mistral', { layer_types: ['sliding_attention', 'sliding_attention'] }],
    ['mistral', { sliding_window: 12 }, false],
    ['mistral', { sliding_window: null }, false],
    ['mistral', { sliding_window: undefined }, false],
    ['llama', { head_dim: null, rope_parameters: undefined, rope_theta: 500, rope_scaling: null }],
    ['llama', { rope_parameters: undefined }, false],
    ['phi3', { sliding_window: null }, false],
    ['gemma', { hidden_act: 'gelu', tie_word_embeddings: undefined, sliding_window: null }],
    ['gemma2', { layer_types: undefined, hidden_activation: undefined, hidden_act: 'gelu_pytorch_tanh' }],
    ['gemma2', { layer_types: ['full_attention', 'sliding_attention'] }, false],
    ['gemma2', { attn_logit_softcapping: null }, false],
    ['gemma2', { attn_logit_softcapping: undefined }, false],
    ['gemma2', { final_logit_softcapping: null }, false],
    ['gemma2', { query_pre_attn_scalar: undefined }, false],
    ['gemma3', { layer_types: undefined, attn_logit_softcapping: undefined }],
    ['gemma3', { layer_types: undefined, sliding_window_pattern: undefined }, false],
    // As in the first files.
    [
      'gemma3',
      {
        rope_parameters: undefined,
        rope_theta: 500,
        rope_local_base_freq: 20,
        rope_scaling: { rope_type: 'linear', factor: 4 },
      },
    ],
    ['gemma3', { rope_parameters: undefined, rope_theta: 500, rope_local_base_freq: 20, rope_scaling: null }, false],
    [
      'gemma3',
      {
        rope_parameters: { full_attention: { rope_type: 'linear', factor: 4, rope_theta: 500 } },
        rope_local_base_freq: 20,
      },
    ],
    ['gemma3', { rope_parameters: { sliding_attention: { rope_theta: 20 } } }, false],
    ['gemma3', { rope_parameters: undefined }, false],
    ['gemma', { hidden_act: undefined, use_bidirectional_attention: null }],
    ['phi3', { rms_norm_eps: undefined }],
    // As in the first files.
    [
      'phi3-longrope',
      {
        rope_parameters: undefined,
        rope_theta: 500,
        partial_rotary_factor: 0.75,
        rope_scaling: { type: 'su', ...factors },
      },
    ],
    [
      'phi3-longrope',
      {
        rope_parameters: undefined,
        rope_theta: 500,
        partial_rotary_factor: 0.75,
        rope_scaling: { type: 'longrope', factor: 4, ...factors },
      },
    ],
    ['phi3-longrope', { rope_parameters: { ...longrope, attention_factor: 1.1 } }, false],
    ['phi3-longrope', { rope_parameters: { ...longrope, factor: 2 } }, false],
    [
      'mixtral',
      { num_experts_per_tok: undefined, rope_parameters: undefined, rms_norm_eps: undefined, num_key_value_heads: 1 },
    ],
    ['mixtral', { sliding_window: null }, false],
    ['mixtral', { num_experts_per_tok: 3 }, false],
    [
      'qwen2-moe',
      { mlp_only_layers: undefined, decoder_sparse_step: 2, use_sliding_window: undefined, sliding_window: 4 },
    ],
    ['qwen2-moe', { norm_topk_prob: true }, false],
    // As in the first files.
    ['qwen3-moe', { num_local_experts: undefined, num_experts: 4, mlp_only_layers: null }],
    ['qwen3-moe', { norm_topk_prob: undefined }, false],
    ['olmoe', { num_experts_per_tok: 2 }, false],
    ['olmoe', { clip_qkv: undefined, norm_topk_prob: undefined, rms_norm_eps: undefined }],
    ['granite', { embedding_multiplier: undefined }, false],
    ['granite', { residual_multiplier: undefined }, false],
    ['granite', { logits_scaling: undefined }, false],
    ['granite', { attention_multiplier: undefined }, false],
    ['smollm3', { no_rope_layers: undefined, tie_word_embeddings: undefined, sliding_window: 3 }],
    ['smollm3', { no_rope_layers: undefined, no_rope_layer_interval: undefined }, false],
    ['smollm3', { no_rope_layers: [0, 1] }, false],
  ] as const)('%s with %j', async (name, fields, same: boolean = true) => {
    const reference = await referenceOf(name);
    const found = (await loaded(name, fields)).forward(reference['tokens']!);
    const apart = difference(found, reference['logits']!);
    if (same) expect(apart).toBeLessThan(1e-5);
    else expect(apart).toBeGreaterThan(1e-3);
  });

  test.each<[string, object, string]>([
    ['qwen2-sliding', { layer_types: ['full_attention'] }, 'layer_types: got'],
    ['mistral', { layer_types: ['chunked_attention', 'full_attention'] }, 'layer_types: got'],
    ['mistral', { sliding_window: '5' }, 'sliding_window: got'],
    ['mistral', { head_dim: 4 }, 'shapes differ: blocks.0.self_attn.in_proj_weight'],
    ['llama', { attention_bias: true }, 'names differ: missing [blocks.0.self_attn.in_proj_bias'],
    ['llama-biases', { attention_bias: false }, 'unexpected [blocks.0.self_attn.in_proj_bias'],
    ['qwen3', { model_type: 'llama' }, 'unexpected [blocks.0.self_attn.k_norm.weight'],
    [
      'llama',
      { rope_parameters: { rope_type: 'axial' } },
      'rope_type: got axial, expected default, linear, dynamic, llama3, yarn or longrope',
    ],
    ['gemma', { hidden_act: 'silu' }, 'hidden_act: got silu, expected gelu_pytorch_tanh or gelu'],
    ['gemma', { sliding_window: 5 }, 'sliding_window: got 5, expected null'],
    ['gemma', { use_bidirectional_attention: true }, 'use_bidirectional_attention: got true, expected false'],
    ['gemma2', { hidden_activation: 'gelu' }, 'hidden_activation: got gelu, expected gelu_pytorch_tanh'],
    ['gemma2', { use_bidirectional_attention: true }, 'use_bidirectional_attention: got true, expected false'],
    ['gemma2', { final_logit_softcapping: 0 }, 'logitSoftCap: got 0, expected a positive number'],
    ['gemma2', { attn_logit_softcapping: '50' }, 'attn_logit_softcapping: got'],
    ['gemma2', { model_type: 'gemma', sliding_window: null }, 'names differ: '],
    ['gemma3', { attn_logit_softcapping: 50 }, 'attn_logit_softcapping: got 50, expected null'],
    ['gemma3', { use_bidirectional_attention: true }, 'use_bidirectional_attention: got true, expected false'],
    ['gemma3', { model_type: 'gemma3' }, 'model_type: got gemma3, expected llama or'],
    ['gemma3', { rope_parameters: { sliding_attention: { rope_type: 'axial' } } }, 'rope_type: got axial'],
    ['gemma', { head_dim: undefined }, 'shapes differ: blocks.0.self_attn.in_proj_weight'],
    ['phi3-longrope', { rope_parameters: { rope_type: 'longrope' } }, 'short_factor: got undefined, expected an array'],
    ['mixtral', { num_experts_per_tok: 5 }, 'Llama: expertsPerToken: got 5, expected at most the 4 experts'],
    ['mixtral', { num_local_experts: 3 }, 'blocks.0.feed_forward.router.weight: got [4, 8], expected [3, 8]'],
    ['qwen2-moe', { mlp_only_layers: 1 }, 'mlp_only_layers: got 1, expected numbers of layers'],
    ['qwen2-moe', { mlp_only_layers: [] }, 'names differ: missing [blocks.0.feed_forward.gate, '],
    ['qwen2-moe', { use_sliding_window: true }, 'use_sliding_window: got true, expected false'],
    ['qwen2-moe', { shared_expert_intermediate_size: null }, 'unexpected [blocks.1.feed_forward.shared.'],
    ['olmoe', { clip_qkv: 8 }, 'clip_qkv: got 8, expected null'],
    ['smollm3', { no_rope_layers: [1] }, 'no_rope_layers: got an array, expected 0 or 1 for each of 2 layers'],
    ['llama', { rope_parameters: { rope_type: 'dynamic' } }, 'factor: got undefined, expected a number'],
    ['llama', { rope_parameters: { partial_rotary_factor: 0.5 } }, 'partial_rotary_factor: got 0.5, expected 1'],
  ])('%s with %j is refused', async (name, fields, message) => {
    await expect(loaded(name, fields)).rejects.toThrow(message);
  });
});

test('biases are zeros at first', () => {
  const sizes = { vocabulary: 12, context: 8, width: 16, layers: 1, heads: 2, hidden: 16 };
  const model = new models.Llama({ ...sizes, attentionBias: true, hiddenBias: true });
  const biases = model.namedParameters().filter(([name]) => name.endsWith('bias'));
  expect(biases).toHaveLength(5);
  for (const [, bias] of biases) expect(bias.abs().max().itemSync()).toBe(0);
});

test('embeddings are scaled by √width, rounded to their dtype', () => {
  const sizes = { vocabulary: 12, context: 8, width: 12, layers: 0, heads: 2, hidden: 16, scaledEmbedding: true };
  const model = new models.Llama(sizes).to('bfloat16');
  nn.init.constant_(model.tokens.weight, 1.0078125);
  const given = jest.spyOn(model.norm, 'forward');
  model.forward(zeros([1, 1], { dtype: 'int32' }));
  // √12 is 3.46875 in bfloat16, which gives 3.4958 and so 3.5; what √12 = 3.4641 gives, 3.4912, would be 3.484375.
  expect((given.mock.calls[0]![0].cast('float32') as AnyTensor).max().itemSync()).toBe(3.5);
});

test('an activation that there is not', () => {
  const sizes = { vocabulary: 12, context: 8, width: 16, layers: 1, heads: 2, hidden: 16 };
  expect(() => new models.Llama({ ...sizes, activation: 'tanh' as 'silu' })).toThrow(
    'Llama: activation: got tanh, expected relu, gelu, geluTanh or silu',
  );
});

describe('the loss of capped logits', () => {
  const sizes = { vocabulary: 12, context: 8, width: 16, layers: 1, heads: 2, hidden: 16, logitSoftCap: 2 };
  const model = new models.Llama(sizes);
  nn.init.normal_(model.tokens.weight);
  nn.init.normal_(model.head!.weight);
  const tokens = tensor([0, 3, 5, 2, 11, 7, 1, 1], { shape: [2, 4], dtype: 'int32' }).keep();
  const targets = tensor([3, 5, 2, 4, 7, 1, 1, 6], { shape: [2, 4], dtype: 'int32' }).keep();

  test.each<models.LanguageModelLossOptions>([
    {},
    { reduction: 'sum', rowsAtOnce: 3 },
    { reduction: 'none', rowsAtOnce: 1, labelSmoothing: 0.1 },
    { ignoreIndex: 1, rowsAtOnce: 4 },
    {
      labelSmoothing: 0.2,
      ignoreIndex: 7,
      keyMask: tensor([true, true, true, true, false, true, true, true], { shape: [2, 4] }).keep(),
    },
  ])('%o', ({ keyMask, rowsAtOnce, ...options }) => {
    const logits = model.forward(tokens, { keyMask });
    expect(logits.abs().max().itemSync()).toBeLessThan(2);
    const expected = nn.functional.crossEntropy(logits.flatten(0, 1), targets.flatten() as never, options) as AnyTensor;
    expected.sum().backward();
    const gradients = model.namedParameters().map(([name, { grad }]) => [name, grad!] as const);
    model.zeroGrad();
    const found = model.loss(tokens, targets, { keyMask, ...(rowsAtOnce && { rowsAtOnce }), ...options });
    expect(found.shape).toEqual(options.reduction === 'none' ? [2, 4] : []);
    // The same ops in another order: float32 rounds some dozen sums.
    expect(difference(found.flatten() as AnyTensor, expected.flatten() as AnyTensor)).toBeLessThan(1e-6);
    found.sum().backward();
    const grads = new Map(model.namedParameters());
    for (const [name, gradient] of gradients) {
      expect([name, difference(grads.get(name)!.grad!, gradient) < 1e-5]).toEqual([name, true]);
    }
    model.zeroGrad();
  });

  test('what it refuses', () => {
    expect(() => model.loss(tokens, targets.narrow(1, 0, 3))).toThrow(
      'softCappedCrossEntropy: target does not fit: got shape [2, 3] for x [2, 4, 16], expected [2, 4]',
    );
    expect(() => model.loss(tokens, targets, { rowsAtOnce: 0 })).toThrow(
      'softCappedCrossEntropy: rowsAtOnce: got 0, expected an integer of at least 1',
    );
    expect(() => new models.Llama({ ...sizes, logitSoftCap: -1 })).toThrow(
      'Llama: logitSoftCap: got -1, expected a positive number',
    );
  });
});

describe('experts', () => {
  const sizes = { vocabulary: 12, context: 32, width: 16, layers: 2, heads: 2, hidden: 8 };
  const tokens = (b: number, t: number): AnyTensor => randint(0, 12, [b, t], { dtype: 'int32' });

  // As many blocks as any choice can need: all tokens to the same experts, all to others, fewer choices than experts, and blocks of several rows.
  test.each([
    ['to the same', 5, 2, 1, 13],
    ['to others', 5, 3, 7, 3],
    ['by one token', 16, 3, 1, 1],
    ['to all', 4, 4, 3, 5],
    ['to one', 1, 1, 2, 5],
  ])('what each token is sent to is what its experts answer: %s', (kind, experts, expertsPerToken, b, t) => {
    manualSeed(1);
    const model = new models.Llama({ ...sizes, layers: 1, experts, expertsPerToken, normalizedShares: false });
    const layer = model.blocks[0]!.feedForward;
    for (const parameter of layer.parameters()) nn.init.normal_(parameter);
    const x = (kind === 'to the same' ? ones([b, t, 16]) : randn([b, t, 16])) as AnyTensor;
    const { router, gate, up, down } = Object.fromEntries(
      layer.namedParameters().map(([n, p]) => [n.split('.')[0], p]),
    );
    const shares = x.matmul(router!.transpose()).softmax(-1) as AnyTensor;
    const [likeliest] = shares.topk(expertsPerToken) as [AnyTensor, AnyTensor];
    const least = likeliest.narrow(-1, expertsPerToken - 1, 1);
    const used = shares.mul(shares.greaterEqual(least).cast('float32')) as AnyTensor;
    const answers = Array.from({ length: experts }, (_, i) => {
      const own = (weights: AnyTensor): AnyTensor => weights.select(0, i).transpose();
      const hidden = nn.functional.silu(x.matmul(own(gate!))).mul(x.matmul(own(up!)));
      return hidden.matmul(own(down!)).mul(used.narrow(-1, i, 1)) as AnyTensor;
    });
    const expected = answers.reduce((sum, each) => sum.add(each));
    expect(difference(layer.forward(x), expected)).toBeLessThan(1e-5);
  });

  test('gradients, and theirs, are those of differences', () => {
    manualSeed(2);
    const model = new models.Llama({ ...sizes, experts: [0, 3], sharedHidden: 4, expertHidden: 5 }).to('float64');
    const layer = model.blocks[1]!.feedForward;
    const parameters = layer.parameters() as readonly AnyTensor[];
    for (const parameter of parameters) nn.init.normal_(parameter as nn.Parameter, 0, 0.5);
    const x = randn([3, 16], { dtype: 'float64' }).requiresGrad_() as AnyTensor;
    expect(() => gradcheck((...inputs) => layer.forward(inputs[0]!), [x, ...parameters])).not.toThrow();
  });

  // With equal probabilities of 1/4, Σ f·p is 1/4 whoever is used; of one expert it is p.
  test.each([
    ['equal', 0, 1],
    ['of one', 5, 4 / (1 + 3 * Math.exp(-5))],
  ])('how unequally they are used: %s', (_, score, expected) => {
    manualSeed(3);
    const options = { ...sizes, experts: 4, expertsPerToken: 1 };
    const [model, plain] = [new models.Llama({ ...options, balance: 0.5 }), new models.Llama(options)];
    nn.init.ones_(model.tokens.weight);
    for (const { selfAttn, feedForward } of model.blocks) {
      nn.init.zeros_(selfAttn.outProj.weight);
      for (const parameter of feedForward.parameters()) nn.init.zeros_(parameter);
      noGrad(() => (feedForward as unknown as { router: nn.Linear }).router.weight.narrow(0, 2, 1).fill_(score / 16));
    }
    plain.loadStateDict(model.stateDict());
    const [text, targets] = [tokens(2, 8), tokens(2, 8)];
    const found = model.loss(text, targets).sub(plain.loss(text, targets)).itemSync();
    // Of two losses near 3 in float32.
    expect(found / 0.5).toBeCloseTo(expected, 5);
  });

  test('hidden tokens do not count in how they are used', () => {
    manualSeed(6);
    const model = new models.Llama({ ...sizes, experts: 4, balance: 1 });
    for (const parameter of model.parameters()) nn.init.normal_(parameter, 0, 0.5);
    const text = tokens(1, 8);
    const [whole, part] = [text.narrow(1, 3, 4), text.narrow(1, 4, 4)];
    const alone = model.loss(whole, part, { reduction: 'sum' });
    const mask = tensor([[false, false, false, true, true, true, true]]);
    const targets = cat([full([1, 3], -100, { dtype: 'int32' }), part], 1);
    // Rotary positions tell distances only, so that what comes before and is hidden changes nothing else.
    for (const keyMask of [mask, where(mask, 0, -Infinity) as AnyTensor]) {
      const found = model.loss(text.narrow(1, 0, 7), targets, { keyMask, reduction: 'sum' });
      expect(difference(found, alone)).toBeLessThan(1e-5);
    }
  });

  test.each<[object, string]>([
    [{ experts: -1 }, 'Llama: experts: got -1, expected an integer of at least 0'],
    [{ experts: [2] }, 'Llama: experts: got 1 of them, expected one for each of 2 layers'],
    [{ experts: 4, expertsPerToken: 0 }, 'Llama: expertsPerToken: got 0, expected an integer of at least 1'],
    [{ experts: 4, expertHidden: 0 }, 'Llama: expertHidden: got 0, expected a positive integer'],
    [{ balance: NaN }, 'Llama: balance: got NaN, expected'],
    [{ queryKeyNorm: 'heads' }, 'Llama: queryKeyNorm: got heads, expected'],
  ])('%j is refused', (options, message) => {
    expect(() => new models.Llama({ ...sizes, ...options })).toThrow(message);
  });
});

test('as many windows and rotary positions as layers', () => {
  const sizes = { vocabulary: 12, context: 8, width: 16, layers: 2, heads: 2, hidden: 16 };
  expect(() => new models.Llama({ ...sizes, window: [3] })).toThrow(
    'Llama: window: got 1 of them, expected one for each of 2 layers',
  );
  expect(() => new models.Llama({ ...sizes, rotaryBase: [10, 20, 30] })).toThrow(
    'Llama: rotaryBase: got 3 of them, expected one for each of 2 layers',
  );
  expect(() => new models.Llama({ ...sizes, rotaryScaling: [undefined] })).toThrow(
    'Llama: rotaryScaling: got 1 of them, expected one for each of 2 layers',
  );
  expect(() => new models.Llama({ ...sizes, window: 0 })).toThrow('window: got 0, expected a positive integer');
  expect(() => new models.Llama({ ...sizes, heads: 3 })).toThrow('heads: got 3, expected a divisor of the size 16');
});
