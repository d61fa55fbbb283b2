// A call at random sizes and layouts, with its gradients, against the same in float64 on the CPU, of tensors that lie in their order.
import { compile, gradients, randn, scope, type AnyTensor, type Device, type DType } from '../../../lib/index';
import type { Kind } from './call';
import { Chance } from './chance';
import { kinds } from './kinds';

/** Of the largest element, or the terms of its sum: a sum of float32, or one rounding to 16 bits. */
const tolerances = { float32: 5e-5, bfloat16: 2 ** -8, float16: 2 ** -11 } as const;
type Tested = keyof typeof tolerances;
const tested = Object.keys(tolerances) as Tested[];

const largest = (x: AnyTensor): number => (x.size === 0 ? 0 : (x.abs().max().itemSync() as number));

/** Makes one call of a kind and compares: of its result and gradients, what is off and by how many roundings of its dtype. */
function compare(kind: Kind, chance: Chance, device: Device): { what: string; off: number } | undefined {
  const call = kind(chance);
  if (call === undefined) return;
  const { inputs, f, options, roundings = 1, terms = 1 } = call;
  const dtype = chance.pick(...tested.filter((each) => call.dtypes?.includes(each) ?? true));
  const given = inputs.map((x) => x.cast(dtype) as AnyTensor);
  const layouts = given.map(({ rank }) => chance.layout(rank, call.varies));
  let slope: AnyTensor | undefined;
  let slopeLayout = (x: AnyTensor): AnyTensor => x;
  const isCompiled = chance.happens(0.2);
  const run = (of: DType, on: Device): AnyTensor[] => {
    const there = (x: AnyTensor, layout: (x: AnyTensor) => AnyTensor): AnyTensor => {
      const laid = layout(x.to(on).cast(of) as AnyTensor);
      return of === dtype ? laid : laid.contiguous();
    };
    const laid = given.map((x, i) => there(x, layouts[i]!).detach());
    const step = (...leaves: AnyTensor[]): AnyTensor[] => {
      leaves.forEach((leaf) => leaf.requiresGrad_());
      const y = f(...leaves);
      if (slope === undefined) {
        slope = randn(y.shape, { device: 'cpu' }).cast(dtype) as AnyTensor;
        slopeLayout = chance.layout(y.rank);
      }
      const slopes = gradients([y], leaves, { gradients: [there(slope, slopeLayout)] }) as AnyTensor[];
      return [y.detach(), ...slopes];
    };
    return (isCompiled && of === dtype ? compile(step) : step)(...laid).map(
      (x) => x.to('cpu').cast('float64') as AnyTensor,
    );
  };
  const right = run('float64', 'cpu');
  const offs = run(dtype, device).map((found, i) => {
    // As many terms meet in an element of a gradient as there are results for each.
    const meet = i === 0 ? 1 : Math.max(1, right[0]!.size / right[i]!.size);
    const scale = Math.max(largest(right[i]!), terms * Math.sqrt(meet));
    return largest(found.sub(right[i]!) as AnyTensor) / (scale * tolerances[dtype] * roundings);
  });
  const i = offs.findIndex((off) => !(off <= 1));
  const worst = i < 0 ? offs.indexOf(Math.max(...offs)) : i;
  const shapes = inputs.map(({ shape }) => `[${shape.join(', ')}]`).join(', ');
  const part = worst === 0 ? 'the result' : `the gradient of input ${worst - 1}`;
  return {
    what: `${part} in ${dtype}${isCompiled ? ', compiled,' : ''} of ${shapes} with ${JSON.stringify(options) ?? 'no options'}`,
    off: offs[worst]!,
  };
}

/** `calls` random calls of a kind; throws at the first whose results are off. */
export function checkRandomCalls(name: string, seed: number, calls: number, device: Device, most: number): void {
  const chance = new Chance(seed, most);
  for (let done = 0, drawn = 0; done < calls; drawn++) {
    const found = scope(() => compare(kinds[name]!, chance, device));
    if (found === undefined) continue;
    done++;
    if (!(found.off <= 1)) {
      throw new Error(`${name}, seed ${seed}, call ${drawn}: ${found.what}: off by ${found.off} of what it may be`);
    }
  }
}
