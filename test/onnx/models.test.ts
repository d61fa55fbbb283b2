// Models as PyTorch exports them (golden/make-models.py): outputs, gradients, a compiled step, and training that goes on from a file.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { autocast, compile, io, nn, noGrad, onnx, optim, memory, tensor, zeros, type AnyTensor } from 'hadal';

const folder = join(__dirname, 'golden/models');
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.onnx'))
  .map((name) => name.slice(0, -'.onnx'.length));
const load = (name: string): Promise<onnx.Model<AnyTensor | AnyTensor[]>> => onnx.load(join(folder, `${name}.onnx`));
const read = (name: string): Promise<nn.StateDict> => io.readSafetensors(join(folder, `${name}.safetensors`));

/** Σ y·w, w the sine of the position. */
const weighted = (y: AnyTensor): AnyTensor => {
  const w = Float32Array.from({ length: y.size }, (_, i) => Math.sin(i));
  return y.mul(tensor(w, { shape: y.shape })).sum() as AnyTensor;
};

const list = (y: AnyTensor | AnyTensor[]): AnyTensor[] => (Array.isArray(y) ? y : [y]);

function distance(got: AnyTensor, expected: AnyTensor): number {
  expect(got.shape).toEqual(expected.shape);
  const size = Math.max(Number(expected.abs().amax().dataSync()[0]), 1);
  return Number(got.sub(expected).abs().amax().dataSync()[0]) / size;
}

interface Run {
  readonly inputs: AnyTensor[];
  readonly outputs: AnyTensor[];
  /** By parameter. */
  readonly gradients: [string, AnyTensor][];
}

function runsOf(model: onnx.Model<unknown>, all: nn.StateDict): Run[] {
  const count = Object.keys(all).filter((key) => key.endsWith('/y.0')).length;
  return Array.from({ length: count }, (_, i) => ({
    inputs: model.inputs.map(({ name }) => all[`${i}/x.${name}`]!),
    outputs: model.outputs.map((__, j) => all[`${i}/y.${j}`]!),
    gradients: Object.entries(all)
      .filter(([key]) => key.startsWith(`${i}/g.`))
      .map(([key, value]) => [key.slice(`${i}/g.`.length), value]),
  }));
}

// 1e-5 of the largest value: sums of a few hundred float32 products in another order.
const close = 1e-5;

test.each(names)('%s: outputs, eager and compiled, recorded and not', async (name) => {
  const model = (await load(name)).eval();
  const compiled = compile((...inputs: AnyTensor[]) => model.forward(...inputs));
  for (const { inputs, outputs } of runsOf(model, await read(name))) {
    const calls = [
      () => model.forward(...inputs),
      () => noGrad(() => model.forward(...inputs)),
      () => noGrad(() => compiled(...inputs)),
      () => noGrad(() => compiled(...inputs)),
      () => model.forward(Object.fromEntries(model.inputs.map((input, i) => [input.name, inputs[i]!]))),
    ];
    for (const call of calls) {
      for (const [j, y] of list(call()).entries()) expect(distance(y, outputs[j]!)).toBeLessThan(close);
    }
  }
});

/** The gradient of a model's parameter under PyTorch's name, or undefined where its exporter has renamed it. */
function gradientOf(model: onnx.Model<unknown>, name: string, like: AnyTensor): AnyTensor | undefined {
  const parameter = model.namedParameters().find(([own]) => own === name)?.[1];
  return parameter !== undefined && parameter.shape.join() === like.shape.join() ? parameter.grad : undefined;
}

test.each([
  ['mlp', 4],
  ['lenet', 8],
  ['resnet-unfused', 24],
  ['encoder', 19],
  ['encoder-dynamo', 19],
])('%s: gradients of %d parameters', async (name, count) => {
  const model = (await load(name)).eval();
  for (const { inputs, gradients } of runsOf(model, await read(name))) {
    model.zeroGrad();
    for (const y of list(model.forward(...inputs))) weighted(y).backward();
    const compared = gradients.filter(([own, expected]) => {
      const found = gradientOf(model, own, expected);
      if (found !== undefined) expect([own, distance(found, expected) < close]).toEqual([own, true]);
      return found !== undefined;
    });
    expect(compared).toHaveLength(count);
  }
});

test('autocast', async () => {
  const model = (await load('encoder')).eval();
  const [run] = runsOf(model, await read('encoder'));
  const y = noGrad(() => autocast('bfloat16', () => model.forward(...run!.inputs))) as AnyTensor;
  // Products of bfloat16 have 8 bits.
  expect(distance(y, run!.outputs[0]!)).toBeLessThan(0.05);
  expect(distance(y, run!.outputs[0]!)).toBeGreaterThan(close);
});

test('a model is trained further in a compiled step, and its state written and read', async () => {
  const model = await onnx.load(join(folder, 'lenet.onnx'));
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 });
  const [x] = runsOf(model, await read('lenet'))[0]!.inputs;
  const target = tensor([3, 7], { dtype: 'int64' });
  const step = compile((images: AnyTensor) => {
    optimizer.zeroGrad();
    const loss = nn.functional.crossEntropy(model.forward(images) as never, target as never) as AnyTensor;
    loss.backward();
    optimizer.step();
    return loss;
  });
  const losses: number[] = [];
  for (let i = 0; i < 20; i++) losses.push(Number((await step(x!).data())[0]));
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 10);

  const path = join(mkdtempSync(join(tmpdir(), 'hadal-onnx-')), 'state.safetensors');
  await io.writeSafetensors(path, model.stateDict());
  const other = await onnx.load(join(folder, 'lenet.onnx'));
  other.loadStateDict(await io.readSafetensors(path));
  rmSync(path);
  expect(distance(other.forward(x!), model.forward(x!))).toBe(0);
});

test('what a model says about itself', async () => {
  const model = await load('bert');
  expect(model.inputs).toEqual([
    { name: 'x', dtype: 'int64', shape: ['batch', 'length'] },
    { name: 'mask', dtype: 'int64', shape: ['batch', 'length'] },
  ]);
  expect(model.outputs.map(({ dtype }) => dtype)).toEqual(['float32', 'float32']);
  expect(String(await load('mlp'))).toBe('Model(x → 8)');
  const unfused = await load('resnet-unfused');
  const names = (entries: [string, AnyTensor][]): string[] =>
    entries.map(([name]) => name).filter((name) => /stem/.test(name));
  expect(names(unfused.namedParameters())).toEqual(['stem.0.weight', 'stem.0.bias', 'stem.1.weight', 'stem.1.bias']);
  expect(names(unfused.namedBuffers())).toEqual(['stem.1.running_mean', 'stem.1.running_var']);
});

test('no memory is kept beyond results', async () => {
  const model = await onnx.load(join(folder, 'resnet.onnx'));
  const x = zeros([2, 3, 32, 32]);
  const bytes = (): number => memory().liveBytes;
  noGrad(() => model.forward(x)).dispose();
  const before = bytes();
  const y = noGrad(() => model.forward(x));
  expect(bytes() - before).toBeLessThanOrEqual(256);
  y.dispose();
  expect(bytes()).toBe(before);
});
