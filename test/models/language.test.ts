// Language models beside the library transformers, whose small models lie in test/golden/transformers; generation; training.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  cat,
  gradients,
  io,
  manualSeed,
  models,
  nn,
  noGrad,
  optim,
  randint,
  scope,
  tensor,
  zeros,
  type AnyTensor,
} from '../../lib/index';
import { collect, difference, folderOf, referenceOf } from './references';

const tiny = { vocabulary: 12, context: 8, width: 16, layers: 2, heads: 2 };

describe.each([
  ['gpt2', models.GPT2.load.bind(models.GPT2)],
  ['llama', models.Llama.load.bind(models.Llama)],
])('%s', (name, load) => {
  test('logits are those of the reference', async () => {
    const [model, { tokens, logits }] = [await load(folderOf(name)), await referenceOf(name)];
    expect(difference(model.forward(tokens!), logits!)).toBeLessThan(1e-5);
  });

  test('in pieces, with caches, they are the same', async () => {
    const [model, { tokens, logits }] = [await load(folderOf(name)), await referenceOf(name)];
    const caches = model.makeCaches();
    const pieces = [tokens!.slice(1, 0, 3), tokens!.slice(1, 3, 4), tokens!.slice(1, 4)];
    let start = 0;
    for (const piece of pieces) {
      const end = start + piece.shape[1]!;
      expect(difference(model.forward(piece, { caches }), logits!.slice(1, start, end))).toBeLessThan(1e-5);
      start = end;
    }
  });

  test('of the last token alone they are the last', async () => {
    const [model, { tokens, logits }] = [await load(folderOf(name)), await referenceOf(name)];
    expect(difference(model.forward(tokens!, { lastOnly: true }), logits!.narrow(1, -1, 1))).toBeLessThan(1e-5);
  });

  test('the likeliest tokens follow one another as in the reference', async () => {
    const [model, { greedy }] = [await load(folderOf(name)), await referenceOf(name)];
    const expected = Array.from(greedy!.dataSync(), Number);
    const prompt = expected.slice(0, 7);
    expect(await collect(models.generate(model, prompt, { maxTokens: 9, temperature: 0 }))).toEqual(expected.slice(7));
  });
});

test.each([
  ['GPT2', new models.GPT2({ ...tiny, dropout: 0 })],
  ['Llama', new models.Llama({ ...tiny, hidden: 24 })],
  ['Llama, tied', new models.Llama({ ...tiny, hidden: 24, tied: true })],
])('the loss of %s is the cross entropy of its logits', (_, model) => {
  manualSeed(4);
  const [tokens, targets] = [randint(0, 12, [2, 7]), randint(0, 12, [2, 7])] as [AnyTensor, AnyTensor];
  const keyMask = tensor([true, true, false, true, true, true, true], { shape: [1, 7] }).expand([2, 7]) as AnyTensor;
  const parameters = model.parameters() as AnyTensor[];
  const run = (loss: AnyTensor): AnyTensor[] => [loss, ...gradients([loss], parameters)] as AnyTensor[];
  const logits = model.forward(tokens, { keyMask }).reshape([14, 12]);
  const whole = run(nn.functional.crossEntropy(logits, targets.reshape([14]) as never, { ignoreIndex: 3 }));
  const found = run(model.loss(tokens, targets, { keyMask, ignoreIndex: 3, rowsAtOnce: 4 }));
  // Sums of some ten products each, in another order: with 1,500 seeds they differed by 1.2e-6 of the largest element at most.
  found.forEach((each, i) => expect(difference(each, whole[i]!)).toBeLessThan(2e-6));
});

test('BERT is that of the reference, with and without its first task', async () => {
  const { tokens, types, seen, hidden, pooled } = await referenceOf('bert');
  const found = (await models.Bert.load(folderOf('bert'))).forward(tokens!, { types: types!, keyMask: seen! });
  // Of a hidden position nothing is said: the reference computes it otherwise.
  const visible = seen!.unsqueeze(-1).cast('float32');
  expect(difference(found.hidden.mul(visible) as AnyTensor, hidden!.mul(visible) as AnyTensor)).toBeLessThan(1e-5);
  expect(difference(found.pooled!, pooled!)).toBeLessThan(1e-5);

  const masked = await referenceOf('bert-masked');
  const logits = (await models.BertMaskedLM.load(folderOf('bert-masked'))).forward(masked['tokens']!, {
    types: masked['types']!,
    keyMask: masked['seen']!,
  });
  expect(difference(logits.mul(visible) as AnyTensor, masked['logits']!.mul(visible) as AnyTensor)).toBeLessThan(1e-5);
});

test('weights with heads for other tasks load into the encoder alone', async () => {
  const weights = await io.readSafetensors(join(folderOf('bert-masked'), 'model.safetensors'));
  const model = new models.Bert({
    vocabulary: 40,
    context: 16,
    width: 16,
    layers: 2,
    heads: 4,
    hidden: 24,
    pooler: false,
  });
  model.eval().loadPublished(weights);
  const whole = await models.BertMaskedLM.load(folderOf('bert-masked'));
  model.loadPublished({ ...weights, 'classifier.weight': zeros([3, 16]), 'qa_outputs.bias': zeros([2]) });
  const { tokens } = await referenceOf('bert-masked');
  expect(model.forward(tokens!).hidden.toArraySync()).toEqual(whole.bert.forward(tokens!).hidden.toArraySync());
});

describe('generate', () => {
  const model = (): models.GPT2 => {
    manualSeed(3);
    const made = new models.GPT2(tiny).eval();
    for (const parameter of made.parameters()) if (parameter.rank === 2) parameter.detach().mul_(40);
    return made;
  };

  test('goes on beyond the context', async () => {
    const tokens = await collect(models.generate(model(), [1, 2, 3], { maxTokens: 30 }));
    expect(tokens).toHaveLength(30);
    expect(tokens.every((token) => Number.isInteger(token) && token >= 0 && token < 12)).toBe(true);
  });

  test('the same seed gives the same tokens', async () => {
    const one = await collect(models.generate(model(), [1], { maxTokens: 20, topP: 0.9 }));
    expect(await collect(models.generate(model(), [1], { maxTokens: 20, topP: 0.9 }))).toEqual(one);
  });

  test.each([
    ['topK', { topK: 1 }],
    ['a small topP', { topP: 1e-6 }],
    ['a low temperature', { temperature: 1e-4 }],
  ])('%s of nothing else than the likeliest token is greedy', async (_, options) => {
    const greedy = await collect(models.generate(model(), [5, 1], { maxTokens: 12, temperature: 0 }));
    expect(await collect(models.generate(model(), [5, 1], { maxTokens: 12, ...options }))).toEqual(greedy);
  });

  test('draws only among those that topK and topP leave, all of them', async () => {
    const net = model();
    const logits = net.forward(tensor([[4]], { dtype: 'int32' })).select(1, -1);
    const order = Array.from(logits.argsort({ axis: -1, descending: true }).dataSync(), Number);
    const first = async (options: models.GenerateOptions): Promise<Set<number>> => {
      const found = new Set<number>();
      for (let i = 0; i < 60; i++) {
        for await (const token of models.generate(net, [4], { maxTokens: 1, temperature: 60, ...options }))
          found.add(token);
      }
      return found;
    };
    expect(await first({ topK: 3 })).toEqual(new Set(order.slice(0, 3)));
    const chances = Array.from(logits.div(60).softmax(-1).sort({ axis: -1, descending: true })[0]!.dataSync(), Number);
    expect(await first({ topP: chances[0]! + chances[1]! / 2 })).toEqual(new Set(order.slice(0, 2)));
  });

  test('ends at the token to stop at', async () => {
    const greedy = await collect(models.generate(model(), [1, 2], { maxTokens: 10, temperature: 0 }));
    const stop = greedy[3]!;
    const tokens = await collect(models.generate(model(), [1, 2], { maxTokens: 10, temperature: 0, stop }));
    expect(tokens).toEqual(greedy.slice(0, greedy.indexOf(stop) + 1));
  });

  test.each([
    [[], {}, 'generate: prompt: got no tokens, expected at least one'],
    [[1], { topP: 0 }, 'generate: topP: got 0, expected a number in (0, 1]'],
    [[1], { topK: 0.5 }, 'generate: topK: got 0.5, expected'],
    [[1], { temperature: -1 }, 'generate: temperature: got -1, expected'],
  ])('refuses %j with %j', async (prompt, options, message) => {
    await expect(collect(models.generate(model(), prompt, options))).rejects.toThrow(message);
  });
});

test.each([
  ['GPT-2', new models.GPT2(tiny).eval()],
  ['Llama', new models.Llama({ ...tiny, hidden: 24 })],
  ['a decoder', new models.Bart({ ...tiny, hidden: 24 }).eval().given(tensor([[1, 2]], { dtype: 'int32' }))],
])('%s: tokens may stand apart, as if those between were hidden', (_, model) => {
  const tokens = tensor([[3, 9, 9, 1, 4, 9, 7]], { dtype: 'int32' });
  const positions = tensor([[0, 3, 4, 6]], { dtype: 'int32' });
  const places = positions.select(0, 0) as AnyTensor;
  const keyMask = tensor([[true, false, false, true, true, false, true]]);
  const expected = model.forward(tokens, { keyMask }).indexSelect(1, places as never) as AnyTensor;
  const apart = tokens.indexSelect(1, places as never) as AnyTensor;
  expect(difference(model.forward(apart, { positions }), expected)).toBeLessThan(1e-5);
  const caches = model.makeCaches();
  const pieces = [
    [0, 1],
    [1, 3],
  ].map(([start, count]) =>
    noGrad(() =>
      model.forward(apart.narrow(1, start!, count!), { caches, positions: positions.narrow(1, start!, count!) }),
    ),
  );
  expect(difference(cat(pieces, 1), expected)).toBeLessThan(1e-5);
});

test.each([
  ['GPT-2', () => new models.GPT2({ ...tiny, dropout: 0 })],
  ['Llama', () => new models.Llama({ ...tiny, keyHeads: 1, hidden: 32, tied: true })],
])('%s learns to count', (_, make) => {
  manualSeed(1);
  const model = make();
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const count = (start: number): number[] => Array.from({ length: 8 }, (_, i) => (start + i) % 12);
  const [x, y] = [0, 1].map((shift) =>
    tensor(
      Array.from({ length: 12 }, (_, start) => count(start + shift)),
      { dtype: 'int32' },
    ),
  ) as [AnyTensor, AnyTensor];
  const losses = Array.from({ length: 60 }, () =>
    scope(() => {
      optimizer.zeroGrad();
      const loss = nn.functional.crossEntropy(model.forward(x).flatten(0, 1), y.flatten() as never);
      loss.backward();
      optimizer.step();
      return loss.itemSync();
    }),
  );
  expect(losses[0]).toBeGreaterThan(2);
  expect(losses.at(-1)).toBeLessThan(0.1);
});

describe('what is no such model is refused', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hadal-published-'));
    cpSync(folderOf('llama'), folder, { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const change = (fields: object): void => {
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...fields }));
  };

  test('another folder', async () => {
    await expect(models.GPT2.load(tmpdir())).rejects.toThrow('GPT2: folder: got');
    change({ model_type: null, hidden_act: null, tie_word_embeddings: true });
    await expect(models.GPT2.load(folder)).rejects.toThrow(
      'GPT2: config.json: n_embd: got undefined, expected a number',
    );
  });

  test('sizes that are not those of the weights', async () => {
    change({ intermediate_size: 20 });
    await expect(models.Llama.load(folder)).rejects.toThrow(
      'loadStateDict: shapes differ: blocks.0.feed_forward.gate.weight',
    );
  });

  test('layers that the weights lack', async () => {
    change({ num_hidden_layers: 3 });
    await expect(models.Llama.load(folder)).rejects.toThrow(
      'loadStateDict: names differ: missing [blocks.2.norm1.weight',
    );
  });

  test.each([
    [
      'llama',
      models.Llama,
      { model_type: 'gpt2' },
      'llama or mistral or qwen2 or qwen3 or mixtral or qwen2_moe or qwen3_moe or olmoe or olmo2 or granite or smollm3 or phi3 or gemma or gemma2 or gemma3_text',
    ],
    ['llama', models.Llama, { sliding_window: 4 }, 'null'],
    ['llama', models.Llama, { attention_bias: 'all' }, 'false or true'],
    ['llama', models.Llama, { mlp_bias: 1 }, 'false or true'],
    ['qwen2', models.Llama, { use_sliding_window: 'no' }, 'false or true'],
    ['qwen3', models.Llama, { partial_rotary_factor: 0.5 }, '1'],
    ['gpt2', models.GPT2, { model_type: 'gpt_bigcode' }, 'gpt2'],
    ['gpt2', models.GPT2, { scale_attn_weights: false }, 'true'],
    ['gpt2', models.GPT2, { scale_attn_by_inverse_layer_idx: true }, 'false'],
    ['gpt2', models.GPT2, { tie_word_embeddings: false }, 'true'],
    ['bert', models.Bert, { model_type: 'electra' }, 'bert or roberta or xlm-roberta or distilbert'],
    ['bert', models.Bert, { is_decoder: true }, 'false'],
    ['bert', models.Bert, { position_embedding_type: 'relative_key' }, 'absolute'],
    ['bert-masked', models.BertMaskedLM, { tie_word_embeddings: false }, 'true'],
    ['vit', models.ViT, { model_type: 'deit' }, 'vit'],
    ['vit', models.ViT, { qkv_bias: false }, 'true'],
  ])('%s: what %o of its options asks for', async (name, { load }, fields, expected) => {
    cpSync(folderOf(name), folder, { recursive: true });
    change(fields);
    const [option, value] = Object.entries(fields).at(-1)!;
    await expect(load(folder)).rejects.toThrow(`config.json: ${option}: got ${value}, expected ${expected}`);
  });

  test('weights of which a part is missing', async () => {
    const weights = await io.readSafetensors(join(folder, 'model.safetensors'));
    delete weights['model.layers.0.self_attn.k_proj.weight'];
    const model = new models.Llama({ ...tiny, keyHeads: 1, hidden: 32 });
    expect(() => model.loadPublished(weights)).toThrow(
      'Llama: weights: blocks.0.self_attn.in_proj_weight: some parts are missing',
    );
  });

  test('another activation', async () => {
    change({ hidden_act: 'relu' });
    await expect(models.Llama.load(folder)).rejects.toThrow('Llama: config.json: hidden_act: got relu, expected silu');
  });

  test('a configuration that is no JSON', async () => {
    writeFileSync(join(folder, 'config.json'), '{');
    await expect(models.Llama.load(folder)).rejects.toThrow('Llama: ');
  });

  test('sequences longer than the context', () => {
    const model = new models.GPT2(tiny);
    const long = tensor([Array.from({ length: 9 }, () => 1)], { dtype: 'int32' });
    expect(() => noGrad(() => model.forward(long))).toThrow('GPT2: tokens: got 9 in a sequence, expected at most 8');
    expect(() => model.forward(tensor([1], { dtype: 'int32' }))).toThrow(
      'GPT2: tokens: got shape [1], expected [b, t]',
    );
  });
});
