// Convolutions of few pixels by many weights (native/cpu/conv_unfolded.cc): against the same images among so many others, in float64, that the weights are packed.
import { cat, getNumThreads, manualSeed, nn, randn, setNumThreads, type AnyTensor } from '../../lib';

// Images, weights, options.
const convolutions = [
  [[1, 512, 7, 7], [96, 512, 3, 3], { padding: 1 }],
  [[2, 300, 9, 8], [120, 300, 3, 3], { padding: [1, 0], stride: 2 }],
  [[1, 64, 12, 11], [130, 64, 5, 7], { padding: [2, 9], dilation: [2, 3], stride: [3, 2] }],
  [[3, 512, 5, 5], [1024, 256, 1, 3], { groups: 2, padding: [0, 1] }],
  [[1, 1024, 14, 14], [300, 1024, 1, 1], { stride: 2 }],
  [[1, 512, 14, 14], [513, 512, 1, 1], {}],
  [[2, 600, 9, 8], [450, 600, 1, 1], {}],
  [[1, 512, 27, 30], [520, 512, 1, 1], { stride: [2, 3], padding: [0, 1] }],
  [[1, 1024, 7, 7], [1024, 512, 1, 1], { groups: 2 }],
  [[1, 120, 4, 5, 5], [110, 120, 3, 3, 3], { padding: 1, stride: [2, 1, 1] }],
] as const;
type Convolution = (typeof convolutions)[number];

const images = 40;
const tolerances = { float32: 1e-5, float64: 1e-12, bfloat16: 2e-2 } as const;

function convolve([, , options]: Convolution, x: AnyTensor, weight: AnyTensor, bias: AnyTensor): AnyTensor {
  const f = (weight.rank === 5 ? nn.functional.conv3d : nn.functional.conv2d) as (...args: unknown[]) => AnyTensor;
  return f(x, weight, bias, options);
}

function inputs([shape, weight]: Convolution): AnyTensor[] {
  manualSeed(weight[0]);
  return [randn([...shape]), randn([...weight]), randn([weight[0]])];
}

describe.each(convolutions.map((one) => ({ one, title: `[${one[0].join(', ')}] by [${one[1].join(', ')}]` })))(
  '$title',
  ({ one }) => {
    test.each(['float32', 'float64', 'bfloat16'] as const)('%s', (dtype) => {
      const [x, weight, bias] = inputs(one).map((t): AnyTensor => t.cast(dtype)) as [AnyTensor, AnyTensor, AnyTensor];
      const [exactX, ...exact] = [x, weight, bias].map((t): AnyTensor => t.cast('float64'));
      const many = cat(Array<AnyTensor>(images).fill(exactX!), 0) as AnyTensor;
      const right = convolve(one, many, exact[0]!, exact[1]!).slice(0, 0, x.shape[0]);
      const turned = x.transpose(-1, -2).contiguous().transpose(-1, -2) as AnyTensor;
      for (const given of [x, turned]) {
        const found = convolve(one, given, weight, bias);
        const error = found.cast('float64').sub(right).abs().max().div(right.square().mean().sqrt());
        expect(error.itemSync()).toBeLessThan(tolerances[dtype]);
      }
    });
  },
);

test.each(['float32', 'bfloat16'] as const)('the same bits at any number of threads, in %s', (dtype) => {
  const before = getNumThreads();
  try {
    for (const one of convolutions) {
      const [x, weight, bias] = inputs(one).map((t): AnyTensor => t.cast(dtype)) as [AnyTensor, AnyTensor, AnyTensor];
      const [first, third] = [1, 3].map((threads) => {
        setNumThreads(threads);
        return Buffer.from(convolve(one, x, weight, bias).dataSync().buffer);
      });
      expect(third!.equals(first!)).toBe(true);
    }
  } finally {
    setNumThreads(before);
  }
});
