// The package as a user gets it: packed, installed without scripts into an empty folder, imported both ways, and type-checked.
// Binaries lie in it as `npm run prebuildify` leaves them.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(__dirname, '../..');
const release = join(root, 'build/Release');
const platform = `${process.platform}-${process.arch}`;

// Compilers and npm run here.
jest.setTimeout(300_000);

let folder: string;
let user: string;
let packed: string[];

function run(cwd: string, command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}\n${stderr}`, { cause: error });
  }
}
const node = (...args: string[]): string => run(user, process.execPath, ...args);
const put = (path: string, content: unknown): void =>
  writeFileSync(join(user, path), typeof content === 'string' ? content : JSON.stringify(content));

// A build with sanitizers is no build to ship; on Windows npm is no program that can be started without a shell.
const isTried = process.env['HADAL_BINARY'] === undefined && process.platform !== 'win32';
const withShippableBuild = isTried ? describe : describe.skip;

withShippableBuild('the package', () => {
  beforeAll(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'hadal-package-')));
    const stage = join(folder, 'stage');
    const prebuilds = join(stage, 'prebuilds', platform);
    mkdirSync(prebuilds, { recursive: true });
    for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'])
      cpSync(join(root, name), join(stage, name));
    for (const name of readdirSync(release).filter((name) => /^(hadal\.node|libhadal-cpu-.*\.so)$/.test(name))) {
      cpSync(join(release, name), join(prebuilds, name.replace('hadal.node', 'hadal.glibc.node')));
    }
    symlinkSync(join(root, 'node_modules'), join(stage, 'node_modules'));
    run(root, process.execPath, 'scripts/build-ts.mjs', join(stage, 'dist'));
    const [result] = JSON.parse(
      run(stage, 'npm', 'pack', '--ignore-scripts', '--json', '--pack-destination', folder),
    ) as [{ filename: string; files: { path: string }[] }];
    packed = result.files.map(({ path }) => path).sort();

    user = join(folder, 'user');
    mkdirSync(user);
    put('package.json', { private: true });
    run(
      user,
      'npm',
      'install',
      '--ignore-scripts',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      join(folder, result.filename),
    );
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('holds the compiled library, the binaries and the documents, and no sources', () => {
    const others = packed.filter((path) => !/^dist\/.+(\.js|\.mjs|\.d\.ts|\.d\.mts)$/.test(path));
    const levels = process.arch === 'x64' ? ['v2', 'v3', 'v4'] : ['neon'];
    expect(others).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'package.json',
      `prebuilds/${platform}/hadal.glibc.node`,
      ...levels.map((level) => `prebuilds/${platform}/libhadal-cpu-${level}.so`),
    ]);
    expect(packed).toEqual(
      expect.arrayContaining(['dist/index.js', 'dist/index.mjs', 'dist/index.d.ts', 'dist/index.d.mts']),
    );
  });

  test('brings no install script, so that nothing is compiled or downloaded', () => {
    const manifest = JSON.parse(readFileSync(join(user, 'node_modules/hadal/package.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    const lifecycle = ['preinstall', 'install', 'postinstall', 'prepare'];
    expect(Object.keys(manifest['scripts'] as object).filter((name) => lifecycle.includes(name))).toEqual([]);
    expect(manifest['gypfile']).toBe(false);
  });

  const program = `
    const x = tensor([[1, 2], [3, 4]], { requiresGrad: true });
    matmul(x, x).sum().backward();
    x.grad.toArray().then((rows) => console.log(JSON.stringify(rows)));`;
  const gradient = [
    [7, 11],
    [9, 13],
  ];

  test('runs as CommonJS', () => {
    expect(JSON.parse(node('-e', `const { matmul, tensor } = require('hadal'); ${program}`))).toEqual(gradient);
  });

  test('runs as an ES module', () => {
    const source = `import { matmul, tensor } from 'hadal'; ${program}`;
    expect(JSON.parse(node('--input-type=module', '-e', source))).toEqual(gradient);
  });

  test('both ways give the same names and the same classes', () => {
    const source = `
      import * as esm from 'hadal';
      import { createRequire } from 'node:module';
      const cjs = createRequire(process.cwd() + '/')('hadal');
      console.log(JSON.stringify({
        count: Object.keys(cjs).length,
        different: [...new Set([...Object.keys(cjs), ...Object.keys(esm)])].filter((name) => cjs[name] !== esm[name]),
      }));`;
    const { count, different } = JSON.parse(node('--input-type=module', '-e', source)) as {
      count: number;
      different: string[];
    };
    expect(different).toEqual([]);
    expect(count).toBeGreaterThan(10);
  });

  test('finds the CUDA backend in a package of its own', () => {
    const cuda = (): string => node('-p', "require('hadal').devices().at(-1).description").trim();
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(cuda()).toBe(`the CUDA backend is not here: install it: npm install hadal-cuda@${version}`);

    const built = join(release, 'libhadal-cuda.so');
    const library = existsSync(built)
      ? built
      : join(
          release,
          readdirSync(release).find((name) => name.endsWith('.so'))!,
        );
    const out = join(folder, 'hadal-cuda');
    run(root, process.execPath, 'scripts/pack-cuda.mjs', '--library', library, '--out', out);
    const [{ filename, files }] = JSON.parse(run(out, 'npm', 'pack', '--json', '--pack-destination', folder)) as [
      { filename: string; files: { path: string }[] },
    ];
    expect(files.map(({ path }) => path).sort()).toEqual(['LICENSE', 'README.md', 'libhadal-cuda.so', 'package.json']);
    run(user, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, filename));
    expect(cuda()).toMatch(
      /^(no NVIDIA driver was found|the NVIDIA driver|.*is not hadal's CUDA backend$|.*compute capability)/,
    );
  });

  test('brings the program hadal, which starts several processes', () => {
    put(
      'ranks.mjs',
      `import { distributed, tensor } from 'hadal';
       distributed.init();
       console.log(await distributed.allReduce(tensor(distributed.rank() + 1)).item());`,
    );
    const printed = run(user, join(user, 'node_modules/.bin/hadal'), 'launch', '--processes', '2', 'ranks.mjs');
    expect(printed.split('\n').sort()).toEqual(['', '[0] 3', '[1] 3']);
  });

  test('its types hold under node16 and bundler resolution, libraries checked too', () => {
    const source = `
      import { matmul, type Tensor, tensor, zeros } from 'hadal';
      export const good: Tensor<[32, 10]> = matmul(zeros([32, 784]), zeros([784, 10]));
      export const row: Tensor = tensor([1, 2, 3]);
      // @ts-expect-error inner sizes differ
      matmul(zeros([32, 784]), zeros([700, 10]));`;
    for (const name of ['esm.mts', 'cjs.cts', 'bundled.ts']) put(name, source);
    mkdirSync(join(user, 'node_modules/@types'), { recursive: true });
    for (const name of ['@types/node', 'undici-types'])
      symlinkSync(join(root, 'node_modules', name), join(user, 'node_modules', name));
    const options = {
      target: 'ES2022',
      lib: ['ES2023', 'ESNext.Disposable'],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      types: ['node'],
    };
    put('node16.json', { compilerOptions: { ...options, module: 'node16' }, files: ['esm.mts', 'cjs.cts'] });
    put('bundler.json', {
      compilerOptions: { ...options, module: 'esnext', moduleResolution: 'bundler' },
      files: ['bundled.ts'],
    });
    for (const project of ['node16.json', 'bundler.json']) {
      node(join(root, 'node_modules/typescript/bin/tsc'), '-p', project);
    }
  });
});
