// Models as PyTorch exports them (golden/make-models.py): outputs, gradients, a compiled step, and training that goes on from a file.
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { autocast, compile, io, nn, noGrad, onnx, optim, scope, tensor, zeros, type AnyTensor } from 'hadal';

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
