// Convolutions of random sizes and layouts, in whatever form each is computed, with their gradients: against the same in float64, which is computed tap by tap.
import * as hadal from '../../lib/index';
import { data, gradients, manualSeed, randn, scope, type AnyTensor, type DType } from '../../lib/index';

type Convolution = (x: AnyTensor, weight: AnyTensor, bias: undefined, options: object) => AnyTensor;
const convolutions = hadal as unknown as Record<string, Convolution>;

/** Of the largest element: rounded once, or summed in float32 (twice as much and more in Winograd's form, whose terms are larger). */
const tolerances: Partial<Record<DType, number>> = { float32: 1e-4, bfloat16: 2 ** -7, float16: 2 ** -10 };

interface Case {
  readonly op: string;
  readonly x: readonly number[];
  readonly weight: readonly number[];
  readonly options: object;
}

function randomCase(random: data.Random): Case | undefined {
  const pick = <T>(...of: readonly T[]): T => of[random.integer(of.length)]!;
  const rank = pick(1, 2, 2, 2, 3);
  const isTransposed = random.uniform() < 0.3;
  const groups = pick(1, 1, 1, 1, 2, 5);
  const [from, to] = [1, 2].map(() => groups * pick(1, 2, 3, 8, 16, 17, 32, 64)) as [number, number];
  const each = <T>(f: () => T): T[] => Array.from({ length: rank }, f);
  const kernel = random.uniform() < 0.3 ? each(() => 3) : each(() => pick<number>(1, 2, 3, 4, 5));
  const isPatches = random.uniform() < 0.2;
  const stride = isPatches ? kernel : random.uniform() < 0.5 ? each(() => 1) : each(() => pick<number>(1, 2, 3));
  const dilation = isPatches ? 1 : pick(1, 1, 2);
  const padding = kernel.map((size) => (isPatches ? 0 : pick(0, size >> 1)));
  const planes = each(() => pick<number>(1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 28));
  const batch = pick<number>(1, 2, 3, 8, 17, 32, 64, 128);
  const pixels = planes.reduce((product, size) => product * size, batch);
  const taps = kernel.reduce((product, size) => product * size, 1);
  // What is left of a plane between the first tap's place and the last's; transposed, of what it becomes between its edges.
  const left = (size: number, i: number): number => {
    const [reach, edges] = [dilation * (kernel[i]! - 1), 2 * padding[i]!];
    return isTransposed ? (size - 1) * stride[i]! + reach - edges : size + edges - reach - 1;
  };
  if (!planes.every((size, i) => left(size, i) >= 0)) return;
  if ((pixels * from * to * taps) / groups > 2e7 || pixels * Math.max(from, to) > 4e5) return;
  return {
    op: `conv${isTransposed ? 'Transpose' : ''}${rank}d`,
    x: [batch, from, ...planes],
    weight: [...(isTransposed ? [from, to / groups] : [to, from / groups]), ...kernel],
    options: {
      stride: rank === 1 ? stride[0] : stride,
      padding: rank === 1 ? padding[0] : padding,
      dilation,
      groups,
    },
  };
}

/** The same values, channels innermost in memory. */
function channelsLast(x: AnyTensor): AnyTensor {
  const axes = [...Array(x.rank).keys()];
  const last = [0, ...axes.slice(2), 1];
  return x
    .permute(last)
    .contiguous()
    .permute(axes.map((axis) => last.indexOf(axis))) as AnyTensor;
}

test.each([1, 2, 3, 4])('random convolutions and their gradients, seed %i', (seed) => {
  const random = new data.Random(seed);
  manualSeed(seed);
  for (let done = 0; done < 500;) {
    const made = randomCase(random);
    if (made === undefined) continue;
    done++;
    scope(() => {
      const { op, options } = made;
      const dtype = (['float32', 'bfloat16', 'float16'] as const)[done % 3]!;
      const laid = random.uniform() < 0.3 ? channelsLast : (x: AnyTensor): AnyTensor => x;
      const given = [randn(made.x), randn(made.weight)].map((t) => t.cast(dtype) as AnyTensor);
      let g: AnyTensor | undefined;
      const run = (of: DType): AnyTensor[] => {
        const [x, weight] = given.map((t, i) => {
          const cast = t.cast(of) as AnyTensor;
          return (i === 0 ? laid(cast) : cast).detach().requiresGrad_() as AnyTensor;
        });
        const y = convolutions[op]!(x!, weight!, undefined, options);
        g ??= randn(y.shape).cast(dtype) as AnyTensor;
        const slopes = gradients([y], [x!, weight!], { gradients: [laid(g.cast(of) as AnyTensor)] }) as AnyTensor[];
        return [y.detach(), ...slopes];
      };
      const right = run('float64');
      run(dtype).forEach((found, i) => {
        const [off, largest] = [found.cast('float64').sub(right[i]!), right[i]!].map(
          (t) => t.abs().max().itemSync() as number,
        ) as [number, number];
        const what = `${['y', 'the gradient of x', 'the gradient of the weights'][i]} in ${dtype} of ${JSON.stringify(made)}`;
        if (!(off <= tolerances[dtype]! * largest))
          throw new Error(`${what}: off by ${off}, the largest is ${largest}`);
      });
    });
  }
});
