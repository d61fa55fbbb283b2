// PyTorch's checkpoints: both formats give what PyTorch saved, and a hostile pickle does nothing but fail. golden/make-io.py wrote the files.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { io, nn, scope, type AnyTensor } from '../../lib/index';

const golden = join(__dirname, '../golden/io');
const folder = mkdtempSync(join(tmpdir(), 'hadal-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Checkpoint = Record<string, AnyTensor> & {
  state: Record<string, AnyTensor>;
  plain: unknown[];
  numbered: Map<number, unknown>;
};
const valuesOf = (x: AnyTensor): unknown => [x.dtype, x.toArraySync()];

describe.each(['zip.pt', 'legacy.pt', 'protocol-5.pt'])('%s', (name) => {
  let all: Checkpoint;
  beforeAll(async () => {
    all = (await io.readPyTorch(join(golden, name))) as Checkpoint;
  });

  test.each<[string, string, unknown]>([
    ['base', 'float32', [0, 1, 2, 3].map((row) => [0, 1, 2, 3, 4, 5].map((column) => 6 * row + column))],
    ['transposed', 'float32', [0, 1, 2, 3, 4, 5].map((row) => [0, 1, 2, 3].map((column) => 6 * column + row))],
    [
      'sliced',
      'float32',
      [
        [6, 8, 10],
        [12, 14, 16],
      ],
    ],
    [
      'expanded',
      'float32',
      [
        [7, 7],
        [7, 7],
        [7, 7],
      ],
    ],
    ['scalar', 'float64', 2.5],
    ['empty', 'float32', []],
    ['half', 'float16', [1.5, -2]],
    ['ints', 'int32', [-5, 6]],
    ['shorts', 'int16', [-5, 6]],
    ['chars', 'int8', [-5, 6]],
    ['bytes', 'uint8', [0, 255]],
    ['bools', 'bool', [1, 0]],
    ['parameter', 'float32', [1, 2]],
    ['longs', 'int64', [-1, 2 ** 62]],
  ])('%s', (key, dtype, expected) => {
    expect(valuesOf(all[key]!)).toEqual([dtype, expected]);
  });

  test('bfloat16, bit by bit', () => {
    expect(all['bfloat']!.dtype).toBe('bfloat16');
    expect([...all['bfloat']!.dataSync()]).toEqual([0x3fc0, 0xc000, 0x7f62]);
  });

  test('views share their storage, with their strides', () => {
    expect(all['transposed']!.strides).toEqual([1, 6]);
    expect(all['transposed']!.storage).toBe(all['base']!.storage);
    expect(all['sliced']!.offset).toBe(6);
    expect(all['expanded']!.strides).toEqual([0, 0]);
  });

  test('a parameter collects gradients, a tensor does not', () => {
    expect([all['parameter']!.requiresGrad, all['base']!.requiresGrad]).toEqual([true, false]);
  });

  test('an ordered dictionary keeps its order', () => {
    expect(Object.keys(all.state)).toEqual(['z', 'a']);
    expect(all.state['z']!.toArraySync()).toEqual([1, 1]);
  });

  test('plain data', () => {
    expect(all.plain).toEqual([
      1,
      -7,
      2 ** 40,
      2n ** 80n,
      1.25,
      Infinity,
      null,
      true,
      'text ☃',
      Uint8Array.of(0, 255),
      [1, [2]],
    ]);
    expect(all.numbered).toEqual(new Map<number, unknown>([[0, 'zero'], [1, { step: 3 }]])); // prettier-ignore
    expect(all['size']).toEqual([2, 3]);
    expect(all['dtype']).toBe('bfloat16');
    expect(all['device']).toBe('cpu');
    expect(all['set']).toEqual(new Set([1]));
  });
});

test('tensors read inside a scope live as long as they are returned', async () => {
  const { base } = (await io.readPyTorch(join(golden, 'zip.pt'))) as Checkpoint;
  expect(scope(() => base!.sum()).itemSync()).toBe(276);
});

test('a whole model is refused, by the name of its class', async () => {
  const path = join(golden, 'model.pt');
  await expect(io.readPyTorch(path)).rejects.toThrow(
    /^readPyTorch: .*model\.pt: model\/data\.pkl: global at byte \d+: got "torch\.nn\.modules\.linear\.Linear", expected one that/,
  );
});

describe('hostile pickles', () => {
  const pickle = (body: string): Buffer => Buffer.from(`\x80\x02${body}.`, 'latin1');
  const magic = Buffer.from('\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.', 'latin1');
  const legacy = (body: string, keys = ']', storages = ''): Buffer =>
    Buffer.concat([
      magic,
      pickle('M\xe9\x03'),
      pickle('}'),
      pickle(body),
      pickle(keys),
      Buffer.from(storages, 'latin1'),
    ]);
  const read = (bytes: Buffer): Promise<unknown> => {
    const path = join(folder, 'hostile.pt');
    writeFileSync(path, bytes);
    return io.readPyTorch(path);
  };

  test.each([
    ['os.system', 'cos\nsystem\nX\x0b\0\0\0touch owned\x85R'],
    ['posix.system', 'cposix\nsystem\nX\x0b\0\0\0touch owned\x85R'],
    ['builtins.eval', 'cbuiltins\neval\nX\x03\0\0\x001+1\x85R'],
    ['builtins.getattr', 'cbuiltins\ngetattr\n'],
    ['subprocess.Popen', 'csubprocess\nPopen\n'],
    ['torch.load', 'ctorch\nload\n'],
    ['torch.hub.load', 'ctorch.hub\nload\n'],
    ['numpy.core.multiarray._reconstruct', 'cnumpy.core.multiarray\n_reconstruct\n'],
    ['__main__.Net', 'c__main__\nNet\n'],
    ['Object.constructor', 'cObject\nconstructor\n'],
    ['torch.__proto__', 'ctorch\n__proto__\n'],
    ['os.system', '\x8c\x02os\x8c\x06system\x93'],
  ])('%s is named and not called', async (name, body) => {
    const before = readdirSync(folder);
    await expect(read(legacy(body))).rejects.toThrow(`got "${name}", expected one that a checkpoint`);
    expect(existsSync('owned')).toBe(false);
    expect(readdirSync(folder).filter((file) => !before.includes(file) && file !== 'hostile.pt')).toEqual([]);
  });

  test('nesting as deep as the file is long is no problem', async () => {
    const value = await read(legacy(']' + ']'.repeat(200_000) + 'a'.repeat(200_000)));
    expect(Array.isArray(value)).toBe(true);
  });

  test('references doubled forty times cost no memory, and a list may hold itself', async () => {
    const doubled = Array.from(
      { length: 40 },
      (_, i) => `]q${String.fromCharCode(i + 1)}(h${String.fromCharCode(i)}h${String.fromCharCode(i)}e`,
    );
    expect(await read(legacy(`]q\0${doubled.join('')}`))).toHaveLength(2);
    const own = (await read(legacy(']q\0h\0a'))) as unknown[];
    expect(own[0]).toBe(own);
  });

  const viewOf = (placed: string, metadata = ''): string =>
    `ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpuK\0tQ${placed}\x89}${metadata}tR`;

  test('a view of nothing may begin behind the end of its storage', async () => {
    const view = viewOf('K\x01K\x03K\0K\x01\x87K\x02K\x02K\x01\x87');
    expect(((await read(legacy(view, ']X\x01\0\0\0ka', '\0'.repeat(8)))) as AnyTensor).shape).toEqual([3, 0, 1]);
  });

  test('a view that negates is refused', async () => {
    await expect(read(legacy(viewOf('K\0K\0\x85K\x01\x85', '}X\x03\0\0\0neg\x88s')))).rejects.toThrow(
      'got a view that negates or conjugates',
    );
  });

  test('bytes that may change are bytes', async () => {
    const expected = Uint8Array.of(0x78, 0xff);
    expect(await read(legacy('c__builtin__\nbytearray\nX\x03\0\0\0x\xc3\xbfX\x07\0\0\0latin-1\x86R'))).toEqual(
      expected,
    );
    expect(await read(legacy('\x96\x02\0\0\0\0\0\0\0x\xff'))).toEqual(expected);
  });

  test('a counter, as schedules with milestones keep one, is a dictionary', async () => {
    expect(await read(legacy('ccollections\nCounter\n}(K\x03K\x02K\x09K\x01u\x85R'))).toEqual(
      new Map([
        [3, 2],
        [9, 1],
      ]),
    );
  });

  test('a key named __proto__ is a key', async () => {
    const value = (await read(legacy('}X\x09\0\0\0__proto__}X\x01\0\0\0aK\x01ss'))) as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(value['a']).toBeUndefined();
  });
});

const models = join(process.env['HADAL_DATA'] ?? join(__dirname, '../../../shared/data'), '../models/cifar10_resnet');
(existsSync(models) ? describe : describe.skip)('pretrained ResNets', () => {
  test('ResNet-20 from .th is the one from safetensors', async () => {
    const { state_dict: state } = (await io.readPyTorch(join(models, 'resnet20-12fca82f.th'))) as {
      state_dict: Record<string, AnyTensor>;
    };
    const expected = await io.readSafetensors(join(models, 'ref/resnet20.safetensors'));
    const named = Object.entries(state).map(([name, x]) => [name.replace(/^module\./, ''), x] as const);
    const missing = named.filter(([name]) => expected[name] === undefined).map(([name]) => name);
    expect(missing).toEqual([]);
    for (const [name, x] of named) {
      expect([name, x.dtype, x.shape]).toEqual([name, expected[name]!.dtype, expected[name]!.shape]);
      expect(Buffer.from(x.dataSync().buffer).equals(Buffer.from(expected[name]!.dataSync().buffer))).toBe(true);
    }
    expect(named).toHaveLength(Object.keys(expected).length);
    const first = new nn.Conv2d(3, 16, 3, { bias: false });
    first.loadStateDict({ weight: state['module.conv1.weight']! });
  });

  test('load tells each format by its bytes', async () => {
    const th = (await io.load(join(models, 'resnet32-d509ac18.th'))) as Record<string, Record<string, AnyTensor>>;
    expect(th['state_dict']!['module.linear.weight']!.shape).toEqual([10, 64]);
    const safetensors = (await io.load(join(models, 'ref/resnet20.safetensors'))) as Record<string, AnyTensor>;
    expect(safetensors['linear.weight']!.shape).toEqual([10, 64]);
  });
});

test('the golden files are small', () => {
  const sizes = readdirSync(golden).map((name) => readFileSync(join(golden, name)).length);
  expect(Math.max(...sizes)).toBeLessThan(20_000);
});
