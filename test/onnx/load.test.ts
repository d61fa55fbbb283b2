// What a file may say wrongly, and what forward may be given wrongly: each costs one clear error and nothing else.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HadalError, compile, nn, noGrad, ones, onnx, tensor, zeros, type AnyTensor } from 'hadal';
import {
  AttributeType,
  encodeModel,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from '../../lib/onnx/messages';

const folder = mkdtempSync(join(tmpdir(), 'hadal-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'model.onnx');

const info = (name: string, elemType = 1, ...sizes: (number | string)[]): object => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: { dim: sizes.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size })) },
    },
  },
});
const node = (opType: string, input: string[], output: string[], ...attribute: AttributeProto[]): NodeProto => ({
  opType,
  input,
  output,
  attribute,
});
const int = (name: string, i: number): AttributeProto => ({ name, type: AttributeType.int, i });
const floats = (name: string, ...values: number[]): TensorProto => ({
  name,
  dataType: 1,
  dims: [values.length],
  floatData: values,
});
const longs = (name: string, ...values: number[]): TensorProto => ({
  name,
  dataType: 7,
  dims: [values.length],
  int64Data: values,
});

const modelOf = (graph: GraphProto, rest: ModelProto = {}): ModelProto => ({
  irVersion: 8,
  opsetImport: [{ domain: '', version: 17 }],
  graph: { input: [info('x', 1, 'n', 3)], output: [info('y')], ...graph },
  ...rest,
});
const write = (model: ModelProto): void => writeFileSync(file, encodeModel('test', model));
async function loaded<Y = AnyTensor>(graph: GraphProto, rest?: ModelProto): Promise<onnx.Model<Y>> {
  write(modelOf(graph, rest));
  return onnx.load<Y>(file);
}
const refused = async (graph: GraphProto, rest?: ModelProto): Promise<string> => {
  const error: unknown = await loaded(graph, rest).catch((thrown: unknown) => thrown);
  if (!(error instanceof HadalError)) throw new Error(`not refused: ${String(error)}`);
  return error.message.replaceAll(file, 'FILE');
};

const identity = node('Identity', ['x'], ['y']);

describe('files', () => {
  test.each<[string, GraphProto, ModelProto | undefined, string]>([
    ['no graph', {}, { graph: undefined as never }, 'FILE: graph: got none, expected one'],
    [
      'an old opset',
      { node: [identity] },
      { opsetImport: [{ version: 6 }] },
      'FILE: opset: got version 6, expected 7 to 28',
    ],
    [
      'a new opset',
      { node: [identity] },
      { opsetImport: [{ version: 99 }] },
      'FILE: opset: got version 99, expected 7 to 28',
    ],
    [
      'unknown operators, all in one error',
      { node: [node('Foo', ['x'], ['a']), { ...node('Bar', ['a'], ['y']), domain: 'org.acme' }] },
      undefined,
      'FILE: operators that are not supported: got Foo, org.acme.Bar, expected those of docs/onnx.md',
    ],
    [
      'a dangling name',
      { node: [node('Relu', ['z'], ['y'])] },
      undefined,
      'FILE: Relu "": input "z": got one that nothing makes, expected an earlier one',
    ],
    [
      'a cycle',
      { node: [node('Relu', ['b'], ['a']), node('Relu', ['a'], ['b']), node('Relu', ['b'], ['y'])] },
      undefined,
      'FILE: Relu "": input "b": got a value that a later node makes, or the node itself, expected an earlier one',
    ],
    [
      'a name twice',
      { node: [identity, identity] },
      undefined,
      'FILE: names: got "y" twice, expected one value of that name',
    ],
    [
      'an output that nothing makes',
      { node: [] },
      undefined,
      'FILE: output "y": got no node that makes it, expected one',
    ],
    [
      'too few elements',
      { node: [identity], initializer: [{ ...floats('w', 1, 2), dims: [3] }] },
      undefined,
      'FILE: tensor "w": data: got 2 elements, expected 3 for float32 [3]',
    ],
    [
      'raw data of another length',
      { node: [identity], initializer: [{ name: 'w', dataType: 1, dims: [2 ** 40], rawData: new Uint8Array(8) }] },
      undefined,
      'FILE: tensor "w": data: got 8 bytes, expected 4398046511104 for float32 [1099511627776]',
    ],
    [
      'sizes beyond all memory',
      { node: [identity], initializer: [{ name: 'w', dataType: 1, dims: [2 ** 40, 2 ** 40] }] },
      undefined,
      'FILE: tensor "w": dims: got [1099511627776, 1099511627776], expected fewer elements',
    ],
    [
      'negative sizes',
      { node: [identity], initializer: [{ ...floats('w', 1), dims: [-1] }] },
      undefined,
      'FILE: tensor "w": dims: got [-1], expected sizes',
    ],
    [
      'strings',
      { node: [identity], initializer: [{ name: 'w', dataType: 8, dims: [0] }] },
      undefined,
      'FILE: tensor "w": dtype: got string, expected one that hadal has',
    ],
    [
      'a uint64 that int64 cannot hold',
      { node: [identity], initializer: [{ name: 'w', dataType: 13, dims: [1], rawData: new Uint8Array(8).fill(255) }] },
      undefined,
      'FILE: tensor "w": int64 cannot hold a value: got 18446744073709551615',
    ],
    [
      'sparse initializers',
      { node: [identity], sparseInitializer: [{ dims: [1] }] },
      undefined,
      'FILE: sparse initializers: got some, expected none',
    ],
    [
      'external data outside of the folder',
      {
        node: [identity],
        initializer: [
          {
            name: 'w',
            dataType: 1,
            dims: [1],
            dataLocation: 1,
            externalData: [{ key: 'location', value: '../secret' }],
          },
        ],
      },
      undefined,
      'FILE: tensor "w": external data: got location "../secret", expected a path inside of the model\'s folder',
    ],
  ])('%s', async (_, graph, rest, message) => {
    expect(await refused(graph, rest)).toBe(`onnx.load: ${message}`);
  });

  test('truncated, and nothing at all', async () => {
    writeFileSync(file, Buffer.from([0x3a, 0x7f, 1]));
    await expect(onnx.load(file)).rejects.toThrow(/cannot be decoded: got index out of range/);
    writeFileSync(file, '');
    await expect(onnx.load(file)).rejects.toThrow(/graph: got none/);
    await expect(onnx.load(join(folder, 'none.onnx'))).rejects.toThrow(/ENOENT/);
    await expect(onnx.load(7 as never)).rejects.toThrow('onnx.load: path: got number 7, expected a path as a string');
  });

  test('functions that call themselves, or more than there is room for', async () => {
    const call = (name: string): NodeProto => ({ ...node(name, ['x'], ['y']), domain: 'f' });
    const again = { name: 'F', domain: 'f', input: ['x'], output: ['y'], node: [call('F')] };
    expect(await refused({ node: [call('F')] }, { functions: [again] })).toMatch(/more than 32 inside each other/);
    // Each function calls the one before twice.
    const tower = Array.from({ length: 31 }, (_, i) => ({
      name: `F${i}`,
      domain: 'f',
      input: ['x'],
      output: ['y'],
      node:
        i === 0
          ? [identity]
          : [
              { ...call(`F${i - 1}`), output: ['a'] },
              { ...call(`F${i - 1}`), input: ['a'] },
            ],
    }));
    expect(await refused({ node: [call('F30')] }, { functions: tower })).toMatch(
      /nodes: got more than 200000, functions included/,
    );
  });
});

describe('external data', () => {
  const outside = (location: string, offset?: number, length?: number): GraphProto => ({
    node: [node('Add', ['x', 'w'], ['y'])],
    initializer: [
      {
        name: 'w',
        dataType: 1,
        dims: [3],
        dataLocation: 1,
        externalData: Object.entries({ location, offset, length })
          .filter(([, value]) => value !== undefined)
          .map(([key, value]) => ({ key, value: String(value) })),
      },
    ],
  });

  test('is read from its place', async () => {
    mkdirSync(join(folder, 'data'), { recursive: true });
    writeFileSync(join(folder, 'data/weights.bin'), new Uint8Array(new Float32Array([0, 1, 2, 3]).buffer));
    const model = await loaded(outside('data/weights.bin', 4, 12));
    expect(await model.forward(zeros([1, 3])).toArray()).toEqual([[1, 2, 3]]);
  });

  test('is refused where it lies', async () => {
    expect(await refused(outside('data/weights.bin', 8))).toMatch(/got bytes 8 to 20, expected them within the 16 of/);
    expect(await refused(outside('data/weights.bin', 0, 8))).toMatch(
      /got offset 0 and length 8, expected a length of 12/,
    );
    expect(await refused(outside('none.bin'))).toMatch(/ENOENT/);
    expect(await refused(outside('/etc/passwd'))).toMatch(/expected a path inside of the model's folder/);
    expect(await refused(outside(''))).toMatch(/expected a path inside of the model's folder/);
    symlinkSync('/etc', join(folder, 'link'));
    expect(await refused(outside('link/passwd'))).toMatch(/expected a path inside of the model's folder/);
  });
});

describe('running', () => {
  test('inputs are checked', async () => {
    const model = await loaded({ node: [identity] });
    expect(() => model.forward()).toThrow('onnx: inputs: got 0, expected 1: x');
    expect(() => model.forward(zeros([2, 4]))).toThrow('onnx: input x: got shape [2, 4], expected [n, 3]');
    expect(() => model.forward(zeros([2, 3], { dtype: 'float64' }))).toThrow(
      'onnx: input x: got float64, expected float32',
    );
    expect(() => model.forward('x' as never)).toThrow('onnx: input x: got string x, expected a tensor, or numbers');
    expect(() => model.forward([[1, 2, 3], [4]])).toThrow(/onnx: input x: got .*, expected a tensor, or numbers/);
    expect(() => model.forward({ z: zeros([1, 3]) })).toThrow('onnx: inputs: got z, expected x');
    expect(() => model.forward({})).toThrow('onnx: input x: got undefined, expected a tensor, or numbers');
    expect(await model.forward({ x: [[1, 2, 3]] }).toArray()).toEqual([[1, 2, 3]]);
  });

  test('shapes that depend on elements are asked for as numbers', async () => {
    const graph = {
      input: [info('x', 1, 'n', 3), info('shape', 7, 'k')],
      node: [node('Reshape', ['x', 'shape'], ['y'])],
    };
    const model = await loaded(graph);
    const x = ones([2, 3]);
    expect(() => model.forward(x, tensor([6], { dtype: 'int64' }))).toThrow(
      'onnx: Reshape "y": input shape: got a tensor, expected a constant, or what follows from shapes alone; where it is an input of the model, numbers',
    );
    expect(model.forward(x, [3, -1]).shape).toEqual([3, 2]);
    expect(() => model.forward(x, [4, 5])).toThrow(
      'onnx: Reshape "y": shape: got [4, 5], expected one for the elements of [2, 3]',
    );
    const step = compile((each: AnyTensor) => model.forward(each, [3, 2]));
    expect(step(x).shape).toEqual([3, 2]);
  });

  test('errors name the node', async () => {
    const wrong = await loaded({
      node: [{ ...node('Softmax', ['x'], ['y'], { name: 'axis', type: AttributeType.float, f: 1 }), name: 'soft' }],
    });
    expect(() => wrong.forward(zeros([1, 3]))).toThrow(
      'onnx: Softmax "soft": attribute axis: got type 1, expected int (type 2)',
    );
    const axis = await loaded({ node: [node('Softmax', ['x'], ['y'], int('axis', 5))] });
    expect(() => axis.forward(zeros([1, 3]))).toThrow(/^onnx: Softmax "y": axis 5 out of range/);
    const few = await loaded({ node: [node('Add', ['x'], ['y'])] });
    expect(() => few.forward(zeros([1, 3]))).toThrow('onnx: Add "y": input 1: got none, expected one');
    expect(() => few.forward([[1, 2, 3]])).toThrow('onnx: Add "y": input 1: got none, expected one');
    const sizes = await loaded({ node: [node('MatMul', ['x', 'x'], ['y'])] });
    expect(() => sizes.forward(zeros([1, 3]))).toThrow(/^onnx: MatMul "y": matmul: /);
    const many = await loaded({ node: [node('Relu', ['x'], ['y', 'z'])] });
    expect(() => many.forward(zeros([1, 3]))).toThrow('onnx: Relu "y": outputs: got 2, expected at most 1');
  });

  test('initializers are parameters where they are weights, and buffers where they are settings', async () => {
    const model = await loaded({
      node: [
        node('Mul', ['x', 'w'], ['a']),
        node('Mul', ['scales', 'scales'], ['squares']),
        node('Reshape', ['a', 'rank'], ['b']),
        node('Resize', ['b', '', 'squares'], ['y']),
      ],
      initializer: [floats('w', 1, 2, 3), floats('scales', 1, 1, 2), longs('rank', 1, -1, 3)],
    });
    expect(model.namedParameters().map(([name]) => name)).toEqual(['w']);
    expect(model.namedBuffers().map(([name]) => name)).toEqual(['scales', 'rank']);
    expect(model.forward(ones([2, 3])).shape).toEqual([1, 2, 12]);
    const layer: nn.Layer = model;
    expect(new nn.Sequential(layer).forward(ones([2, 3])).shape).toEqual([1, 2, 12]);
    const doubled = nn.functionalCall(model, { w: model.stateDict()['w']!.mul(2) }, ones([2, 3]));
    expect(
      await doubled
        .sub(model.forward(ones([2, 3])).mul(2))
        .abs()
        .amax()
        .item(),
    ).toBe(0);
    model.to('float64');
    expect(model.parameters().map(({ dtype }) => dtype)).toEqual(['float64']);
  });

  test('a loop that never ends', async () => {
    const body = {
      input: [info('i', 7), info('on', 9), info('v')],
      node: [node('Identity', ['on'], ['still']), node('Identity', ['v'], ['w'])],
      output: [info('still', 9), info('w')],
    };
    const loop = node('Loop', ['', '', 'x'], ['y'], { name: 'body', type: AttributeType.graph, g: body });
    const model = await loaded({ node: [loop] });
    expect(() => model.forward(ones([1, 3]))).toThrow('onnx: Loop "y": turns: got more than 1000000, expected fewer');
  });

  test('functions of the model, with attributes of their own', async () => {
    const scaled = {
      name: 'Scaled',
      domain: 'f',
      input: ['a'],
      output: ['c'],
      attribute: ['by'],
      node: [
        node('Constant', [], ['b'], { name: 'value_float', refAttrName: 'by', type: AttributeType.float }),
        node('Mul', ['a', 'b'], ['c']),
      ],
      opsetImport: [{ domain: '', version: 17 }],
    };
    const by = (name: string, output: string, f: number): NodeProto => ({
      ...node('Scaled', [name], [output], { name: 'by', type: AttributeType.float, f }),
      domain: 'f',
    });
    const model = await loaded({ node: [by('x', 'c', 2), by('c', 'y', 3)] }, { functions: [scaled] });
    expect(await model.forward(ones([1, 3])).toArray()).toEqual([[6, 6, 6]]);
  });

  test("training mode is the graph's, unless the model is in evaluation mode", async () => {
    const model = await loaded({
      node: [node('Dropout', ['x', 'ratio', 'mode'], ['y'])],
      initializer: [
        { name: 'ratio', dataType: 1, floatData: [0.5] },
        { name: 'mode', dataType: 9, int32Data: [1] },
      ],
    });
    const x = ones([100, 3]);
    const dropped = async (): Promise<number> =>
      Number(
        (
          await noGrad(() => model.forward(x))
            .equalTo(0)
            .sum()
            .data()
        )[0],
      );
    expect(await dropped()).toBeGreaterThan(50);
    model.eval();
    expect(await dropped()).toBe(0);
  });
});

test('whatever bytes of a file are changed or cut, there is a model or one of our errors', async () => {
  let seed = 1;
  const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
  const counts = { models: 0, runs: 0, errors: 0 };
  for (const name of ['mlp', 'lstm', 'vae', 'encoder-dynamo']) {
    const good = readFileSync(join(__dirname, `golden/models/${name}.onnx`));
    for (let i = 0; i < 150; i++) {
      const bytes = Buffer.from(i % 3 === 0 ? good.subarray(0, random(good.length)) : good);
      for (let flips = i % 3 === 0 ? 0 : 1 + random(4); flips > 0; flips--)
        bytes[random(bytes.length)]! ^= 1 << random(8);
      writeFileSync(file, bytes);
      try {
        const model = await onnx.load<unknown>(file);
        counts.models++;
        const inputs = model.inputs.map(({ dtype, shape }) =>
          ones(
            (shape ?? []).map((size) => (typeof size === 'string' ? 2 : Math.min(size, 8))),
            { dtype: dtype ?? 'float32' },
          ),
        );
        model.forward(...inputs);
        counts.runs++;
      } catch (error) {
        if (!(error instanceof HadalError)) throw error;
        counts.errors++;
      }
    }
  }
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(50);
});
