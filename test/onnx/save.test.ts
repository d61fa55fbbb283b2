// The files that onnx.save writes: names, shapes, sizes that may differ, nodes, the second file; and what it refuses.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { arange, manualSeed, models, nn, noGrad, onnx, randn, tensor, zeros, type AnyTensor } from '../../lib/index';
import { decodeModel, type GraphProto, type NodeProto, type ValueInfoProto } from '../../lib/onnx/messages';
import { expectClose, plain } from '../ops/sample';
import { Runtime } from './runtime';

const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
const path = join(folder, 'model.onnx');
const runtime = new Runtime();
afterAll(async () => {
  await runtime.close();
  rmSync(folder, { recursive: true });
});

const graphIn = (file = path): GraphProto => decodeModel('test', file, readFileSync(file)).graph!;
const nodesOf = (graph: GraphProto): string[] => graph.node!.map(({ opType }) => opType!);
const attribute = (node: NodeProto | undefined, name: string): unknown => {
  const found = node?.attribute?.find((own) => own.name === name);
  return found?.ints?.length ? found.ints : (found?.i ?? found?.f);
};
const described = ({ name, type }: ValueInfoProto): unknown[] => [
  name,
  type!.tensorType!.elemType,
  ...(type!.tensorType!.shape!.dim ?? []).map(({ dimParam, dimValue }) => dimParam ?? dimValue),
];

test('names, shapes and sizes that may differ', async () => {
  const model = new models.LeNet5();
  const options = { inputNames: ['image'], outputNames: ['logits'], dynamicAxes: { image: { 0: 'batch' } } };
  await onnx.save(path, model, [zeros([1, 1, 28, 28])], options);
  const file = decodeModel('test', path, readFileSync(path));
  expect(file).toMatchObject({ irVersion: 9, producerName: 'hadal', opsetImport: [{ version: 20 }] });
  const { graph } = file;
  expect(graph!.input!.map(described)).toEqual([['image', 1, 'batch', 1, 28, 28]]);
  expect(graph!.output!.map(described)).toEqual([['logits', 1, 'batch', 10]]);
  expect(nodesOf(graph!)).toEqual(
    'Conv Tanh AveragePool Conv Tanh AveragePool Reshape Gemm Tanh Gemm Tanh Gemm'.split(' '),
  );
  expect(attribute(graph!.node![0], 'pads')).toEqual([2, 2, 2, 2]);
  expect(attribute(graph!.node![7], 'transB')).toBe(1);
  const names = graph!.initializer!.map(({ name }) => name);
  expect(names.slice(0, -1)).toEqual(Object.keys(model.stateDict()));
  const weight = graph!.initializer!.find(({ name }) => name === 'fc3.weight')!;
  expect(weight).toMatchObject({ dims: [10, 84], dataType: 1 });
  expect(new Float32Array(Uint8Array.from(weight.rawData!).buffer)).toEqual(model.fc3.weight.dataSync());
  const images = randn([5, 1, 28, 28]);
  const { logits } = await runtime.run(path, [images]);
  expectClose(plain(logits!), plain(noGrad(() => model.eval().forward(images))), { rtol: 1e-5, atol: 1e-5 }, 'logits');
});

test('evaluation, and the modes as they were', async () => {
  const inner = new nn.Dropout(0.5).eval();
  const model = new nn.Sequential(new nn.Linear(3, 4), new nn.BatchNorm1d(4), new nn.Dropout(0.5), inner);
  const before = model.layers[1] as nn.BatchNorm1d;
  const statistics = before.runningMean!.dataSync();
  await onnx.save(path, model, [randn([2, 3])]);
  expect(nodesOf(graphIn())).toEqual(['Gemm', 'BatchNormalization']);
  expect(graphIn().node![1]!.input!.slice(1)).toEqual(['1.weight', '1.bias', '1.running_mean', '1.running_var']);
  expect([model.training, inner.training]).toEqual([true, false]);
  expect(before.runningMean!.dataSync()).toEqual(statistics);
});

test('default names, tensors in objects, and results in them', async () => {
  const lstm = new nn.LSTM(3, 4);
  await onnx.save(path, lstm, [randn([5, 2, 3])]);
  expect(graphIn().input!.map(({ name }) => name)).toEqual(['input']);
  expect(graphIn().output!.map(described)).toEqual([
    ['output', 1, 5, 2, 4],
    ['hidden', 1, 1, 2, 4],
    ['cell', 1, 1, 2, 4],
  ]);
  await onnx.save(path, lstm, [randn([5, 2, 3]), { hidden: zeros([1, 2, 4]), cell: zeros([1, 2, 4]) }]);
  expect(graphIn().input!.map(({ name }) => name)).toEqual(['input_0', 'hidden', 'cell']);
  expect(graphIn().output!.map(({ name }) => name)).toEqual(['output', 'output_hidden', 'output_cell']);
  await onnx.save(path, (a: AnyTensor, b: AnyTensor) => [a.add(b), a], [zeros([2]), zeros([2])]);
  expect(graphIn().output!.map(({ name }) => name)).toEqual(['output_0', 'output_1']);
  expect(nodesOf(graphIn())).toEqual(['Add', 'Identity']);
});

test('sizes computed when the model runs', async () => {
  const f = (x: AnyTensor): AnyTensor => {
    const [n, t] = x.shape as [number, number];
    const places = arange(t).mul(2).reshape([1, t, 1]);
    return cat2(
      x
        .add(places)
        .reshape([n * t, 2, 2])
        .transpose(1, 2)
        .reshape([n, 2 * t, 2]),
      t,
    );
  };
  const cat2 = (x: AnyTensor, t: number): AnyTensor => x.narrow(1, 1, t) as AnyTensor;
  const axes = { x: { 0: 'batch', 1: 'time' } };
  await onnx.save(path, f, [randn([2, 3, 4])], { inputNames: ['x'], dynamicAxes: axes });
  expect(graphIn().output!.map(described)).toEqual([['output', 1, 'batch', 'time', 2]]);
  for (const shape of [
    [1, 1, 4],
    [3, 7, 4],
  ]) {
    const x = randn(shape) as AnyTensor;
    const { output } = await runtime.run(path, [x]);
    expectClose(plain(output!), plain(f(x)), { rtol: 1e-6, atol: 1e-6 }, 'output');
  }
});

test('halves of a size are whole ones, or refused where they are rounded', async () => {
  const options = { dynamicAxes: { input: { 0: 'n' } } };
  await onnx.save(path, (x: AnyTensor) => x.reshape([x.shape[0]! / 2, 2]), [zeros([4])], options);
  const { output } = await runtime.run(path, [zeros([10])]);
  expect(output!.shape).toEqual([5, 2]);
  await expect(onnx.save(path, (x: AnyTensor) => x.chunk(2)[0], [zeros([4])], options)).rejects.toThrow(
    'onnx.save: slice depends on dynamicAxes: got 2, 4, 6, 7 as a size, expected a multiple of one of dynamicAxes, or of two, and a fixed number more',
  );
});

test('parameters in a second file', async () => {
  manualSeed(1);
  const model = new nn.Sequential(new nn.Linear(40, 40), new nn.ReLU(), new nn.Linear(40, 3));
  await onnx.save(path, model, [zeros([1, 40])], { externalData: true });
  const [weight, bias, second] = graphIn().initializer!;
  const place = Object.fromEntries(weight!.externalData!.map(({ key, value }) => [key, value]));
  expect(place).toEqual({ location: 'model.onnx.data', offset: '0', length: '6400' });
  expect(weight).toMatchObject({ name: '0.weight', dataLocation: 1, dims: [40, 40] });
  expect(bias!.rawData).toHaveLength(160);
  expect(second!.rawData).toHaveLength(480);
  const x = randn([1, 40]);
  const { output } = await runtime.run(path, [x], 'model.onnx.data');
  expectClose(plain(output!), plain(model.forward(x)), { rtol: 1e-5, atol: 1e-5 }, 'output');
});

test('dtypes as they are, numbers in that of their operand', async () => {
  await onnx.save(path, new nn.Linear(3, 2).to('bfloat16'), [zeros([1, 3], { dtype: 'bfloat16' })]);
  expect(decodeModel('test', path, readFileSync(path)).opsetImport).toEqual([{ version: 22 }]);
  expect(graphIn().initializer!.map(({ dataType, rawData }) => [dataType, rawData!.length])).toEqual([
    [16, 12],
    [16, 4],
  ]);
  await onnx.save(path, (x: AnyTensor) => x.mul(3), [tensor([1, 2], { dtype: 'int64' })]);
  expect(graphIn().initializer!.map(({ dataType, dims }) => [dataType, dims ?? []])).toEqual([[7, []]]);
  expect(graphIn().output!.map(described)).toEqual([['output', 7, 2]]);
});

test('constants from JavaScript, from outside, and memory written in place', async () => {
  const outside = randn([2, 3]);
  const f = (x: AnyTensor): AnyTensor => {
    const y = x
      .add(tensor([1, 2, 3]))
      .mul(outside)
      .clone() as AnyTensor;
    y.select(0, 1).narrow(0, 1, 2).add_(5);
    return y.transpose();
  };
  await onnx.save(path, f, [zeros([2, 3])]);
  const x = randn([2, 3]);
  const { output } = await runtime.run(path, [x]);
  expectClose(plain(output!), plain(f(x)), { rtol: 1e-6, atol: 1e-6 }, 'output');
});

describe('refuses', () => {
  const x = zeros([2, 3]);
  const identity = (y: AnyTensor): AnyTensor => y;
  const axes = (dynamicAxes: object) => ({ dynamicAxes: dynamicAxes as Record<string, Record<number, string>> });
  const refusal = (...args: Parameters<typeof onnx.save>): Promise<string> =>
    onnx.save(...args).then(
      () => 'nothing',
      (error: Error) => error.message,
    );

  test.each<[string, () => Promise<string>]>([
    ['module: got an object, expected a module with forward, or a function', () => refusal(path, {} as never, [x])],
    ['inputs: got a Tensor, expected an array', () => refusal(path, identity, x as never)],
    ['inputs[1]: got number 3, expected a tensor', () => refusal(path, identity, [x, 3 as never])],
    ['options: got names, expected inputNames, outputNames, dynamicAxes, externalData', () => refusal(path, identity, [x], { names: [] } as never)], // prettier-ignore
    ['inputNames: got 2 names, expected one for each of 1 tensors', () => refusal(path, identity, [x], { inputNames: ['a', 'b'] })], // prettier-ignore
    ['outputNames: got 2 names, expected one for each of 1 tensors', () => refusal(path, identity, [x], { outputNames: ['a', 'b'] })], // prettier-ignore
    ['inputNames: got "", expected names', () => refusal(path, identity, [x], { inputNames: [''] })],
    ['outputNames: got a twice, expected different names', () => refusal(path, identity, [x], { inputNames: ['a'], outputNames: ['a'] })], // prettier-ignore
    ['inputNames: got bias, the name of a parameter, expected another', () => refusal(path, new nn.Linear(3, 3), [x], { inputNames: ['bias'] })], // prettier-ignore
    ['dynamicAxes: got image, expected input', () => refusal(path, identity, [x], axes({ image: { 0: 'n' } }))],
    ['dynamicAxes.input: got axis 2, expected one of shape [2, 3]', () => refusal(path, identity, [x], axes({ input: { 2: 'n' } }))], // prettier-ignore
    ['dynamicAxes.input.0: got "", expected the name of a size', () => refusal(path, identity, [x], axes({ input: { 0: '' } }))], // prettier-ignore
    ['dynamicAxes.input.1: got size 3 for n, expected 2 as before', () => refusal(path, identity, [x], axes({ input: { 0: 'n', 1: 'n' } }))], // prettier-ignore
    ['results: got number, expected tensors', () => refusal(path, () => 3, [x])],
    ['results: got none, expected at least one tensor', () => refusal(path, () => [], [x])],
    ['the pass is more than ops: got dataSync, which reads what a tensor holds, expected ops on tensors', () => refusal(path, (y: AnyTensor) => y.mul(y.sum().itemSync()), [x])], // prettier-ignore
    ['ops without a form in ONNX: got digamma, dropout, expected those that docs/onnx.md lists', () => refusal(path, (y: AnyTensor) => nn.functional.dropout(y.digamma(), 0.5), [x])], // prettier-ignore
    ['the pass depends on the sizes of dynamicAxes: got exp at one and log at another, expected the same ops at all', () => refusal(path, (y: AnyTensor) => (y.shape[0]! > 2 ? y.log() : y.exp()), [x], axes({ input: { 0: 'n' } }))], // prettier-ignore
  ])('%s', async (message, call) => {
    expect(await call()).toBe(`onnx.save: ${message}`);
  });

  test('and leaves what was there', async () => {
    await onnx.save(path, identity, [x]);
    const before = readFileSync(path);
    await refusal(path, (y: AnyTensor) => y.digamma(), [x]);
    expect(readFileSync(path)).toEqual(before);
    expect(existsSync(`${path}.tmp`)).toBe(false);
  });
});
