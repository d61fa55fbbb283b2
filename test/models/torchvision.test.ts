// Image networks beside torchvision's, of which test/golden/torchvision.json has the names and shapes of states, scores, gradients and running statistics.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { compile, manualSeed, models, nn, noGrad, optim, randn, scope, tensor, type AnyTensor } from '../../lib/index';
import { digest, fill, listed, numbers } from './filled';

type Digests = Readonly<Record<string, readonly [number, number]>>;

interface Results {
  /** Height and width of the images. */
  readonly size: readonly [number, number];
  /** Mean and deviation of what parameters begin with. */
  readonly initial: Digests;
  readonly logits: readonly (readonly number[])[];
  readonly loss: number;
  readonly constants: Digests;
  readonly gradients: Digests;
  readonly statistics: Digests;
}

const golden = JSON.parse(readFileSync(join(__dirname, '../golden/torchvision.json'), 'utf8')) as {
  readonly states: Readonly<Record<string, unknown>>;
  readonly results: Readonly<Record<string, Results>>;
};

interface Options {
  readonly numClasses?: number;
}
type Make = (options?: Options) => nn.Layer;

/** Every variant by torchvision's name, which a factor of the width may follow. */
const networks: Record<string, Make> = {
  mobilenet_v2: (options) => new models.MobileNetV2(options),
  'mobilenet_v2 0.35': (options) => new models.MobileNetV2({ ...options, width: 0.35 }),
  'mobilenet_v2 1.4': (options) => new models.MobileNetV2({ ...options, width: 1.4 }),
  mobilenet_v3_small: (options) => new models.MobileNetV3('small', options),
  'mobilenet_v3_small 0.75': (options) => new models.MobileNetV3('small', { ...options, width: 0.75 }),
  mobilenet_v3_large: (options) => new models.MobileNetV3('large', options),
  'mobilenet_v3_large 1.25': (options) => new models.MobileNetV3('large', { ...options, width: 1.25 }),
  efficientnet_b0: (options) => new models.EfficientNet('b0', options),
  efficientnet_b1: (options) => new models.EfficientNet('b1', options),
  efficientnet_b2: (options) => new models.EfficientNet('b2', options),
  efficientnet_b3: (options) => new models.EfficientNet('b3', options),
  efficientnet_b4: (options) => new models.EfficientNet('b4', options),
  efficientnet_b5: (options) => new models.EfficientNet('b5', options),
  efficientnet_b6: (options) => new models.EfficientNet('b6', options),
  efficientnet_b7: (options) => new models.EfficientNet('b7', options),
  efficientnet_v2_s: (options) => new models.EfficientNet('v2s', options),
  efficientnet_v2_m: (options) => new models.EfficientNet('v2m', options),
  efficientnet_v2_l: (options) => new models.EfficientNet('v2l', options),
  convnext_tiny: (options) => new models.ConvNeXt('tiny', options),
  convnext_small: (options) => new models.ConvNeXt('small', options),
  convnext_base: (options) => new models.ConvNeXt('base', options),
  convnext_large: (options) => new models.ConvNeXt('large', options),
  swin_t: (options) => new models.SwinTransformer('tiny', options),
  swin_s: (options) => new models.SwinTransformer('small', options),
  swin_b: (options) => new models.SwinTransformer('base', options),
  swin_v2_t: (options) => new models.SwinTransformer('tiny', { ...options, version: 2 }),
  swin_v2_s: (options) => new models.SwinTransformer('small', { ...options, version: 2 }),
  swin_v2_b: (options) => new models.SwinTransformer('base', { ...options, version: 2 }),
  resnet34: (options) => new models.ResNet(34, options),
  resnext50_32x4d: (options) => new models.ResNet(50, { ...options, groups: 32, groupWidth: 4 }),
  resnext101_32x8d: (options) => new models.ResNet(101, { ...options, groups: 32, groupWidth: 8 }),
  resnext101_64x4d: (options) => new models.ResNet(101, { ...options, groups: 64, groupWidth: 4 }),
  wide_resnet50_2: (options) => new models.ResNet(50, { ...options, groupWidth: 128 }),
  wide_resnet101_2: (options) => new models.ResNet(101, { ...options, groupWidth: 128 }),
};

test.each(Object.keys(networks))('%s has the state of the reference', (name) => {
  expect(listed(networks[name]!())).toEqual(golden.states[name]);
});

test('every state of the reference is there', () => {
  expect(Object.keys(networks)).toEqual(Object.keys(golden.states));
});

/** Puts a model into training mode, but for what drops something at random. */
function trained(model: nn.Layer): nn.Layer {
  for (const module of model.modules())
    module.training = !(module instanceof nn.Dropout || module instanceof nn.StochasticDepth);
  return model;
}

/** A network for ten classes with weights of the formula. */
function filled(name: string, dtype: 'float32' | 'float64'): nn.Layer {
  const model = networks[name]!({ numClasses: 10 }).to(dtype);
  fill(model);
  return model;
}

const labels = tensor([0, 1, 2], { dtype: 'int64' }).keep();

/**
 * Fails unless both numbers of a digest are those of the reference, to 1e-7 of its norm unless another share is given: the gradient of hardsigmoid has 1 / 6 as a
 * float32 number in PyTorch.
 */
function expectDigest(name: string, x: AnyTensor, expected: readonly [number, number], share = 1e-7): void {
  const [norm, product] = digest(name, x);
  const bound = share * expected[0] + 1e-12;
  const near = Math.abs(norm - expected[0]) <= bound && Math.abs(product - expected[1]) <= bound;
  if (!near) throw new Error(`${name}: got ${norm}, ${product}, expected ${expected.join(', ')}`);
}

describe.each(Object.entries(golden.results))('%s', (name, expected) => {
  const { size, initial, constants, logits, loss, gradients, statistics } = expected;
  const images = numbers('images', [3, 3, ...size]).keep();

  test('parameters begin with numbers of the mean and deviation of the reference', () => {
    manualSeed(0);
    const model = networks[name]!({ numClasses: 10 });
    const state = model.stateDict();
    // Made in float32.
    for (const [each, wanted] of Object.entries(constants)) expectDigest(each, state[each]!, wanted, 1e-6);
    for (const [each, parameter] of model.namedParameters()) {
      const [mean, deviation] = initial[each]!;
      // Six standard errors of the difference of two samples, and float32 beside float64.
      const bound = deviation * 6 * Math.sqrt(2 / parameter.size) + 1e-6 * Math.abs(mean);
      const found = [parameter.mean().itemSync(), parameter.std(undefined, { correction: 0 }).itemSync()];
      const near = Math.abs(found[0]! - mean) <= bound && Math.abs(found[1]! - deviation) <= bound;
      if (!near) throw new Error(`${each}: got ${found.join(' ± ')}, expected ${mean} ± ${deviation}`);
    }
  });

  test('scores, gradients and running statistics are those of the reference', () => {
    const model = filled(name, 'float64');
    const scores = scope(() => noGrad(() => model.eval().forward(images))).toArraySync() as number[][];
    scores.forEach((row, i) => row.forEach((value, j) => expect(value).toBeCloseTo(logits[i]![j]!, 7)));
    const got = nn.functional.crossEntropy(trained(model).forward(images), labels as never) as AnyTensor;
    got.backward();
    expect(got.itemSync()).toBeCloseTo(loss, 9);
    expect(
      model
        .namedParameters()
        .map(([each]) => each)
        .sort(),
    ).toEqual(Object.keys(gradients).sort());
    for (const [each, { grad }] of model.namedParameters()) expectDigest(each, grad!, gradients[each]!);
    const state = model.stateDict();
    for (const [each, wanted] of Object.entries(statistics)) expectDigest(each, state[each]!, wanted);
  });
});

test.each(['mobilenet_v2', 'mobilenet_v3_small', 'efficientnet_b0', 'convnext_tiny', 'swin_t', 'swin_v2_t'])(
  'compiled steps of %s are eager ones',
  (name) => {
    type Step = (x: AnyTensor) => AnyTensor;
    const train = (wrap: (step: Step) => Step): AnyTensor[] => {
      const model = trained(filled(name, 'float32'));
      const optimizer = new optim.SGD(model.parameters(), { lr: 1e-3 });
      const step = wrap((x: AnyTensor) => {
        optimizer.zeroGrad();
        const error = nn.functional.crossEntropy(model.forward(x), labels as never) as AnyTensor;
        error.backward();
        optimizer.step();
        return error;
      });
      manualSeed(1);
      // The fourth call is the first that is replayed.
      const losses = Array.from({ length: 4 }, () => step(randn([3, 3, 40, 40])));
      return [...losses, ...Object.values(model.stateDict())];
    };
    const eager = train((step) => (x) => scope(() => step(x)));
    const compiled = train(compile);
    expect(eager.map((x, i) => x.equalSync(compiled[i]!)).indexOf(false)).toBe(-1);
  },
);

test.each([
  [() => new models.MobileNetV2({ width: 0 }), 'MobileNetV2: width: got 0, expected a positive number'],
  [() => new models.MobileNetV3('medium' as 'small'), 'MobileNetV3: size: got medium, expected small or large'],
  [
    () => new models.EfficientNet('b8' as 'b7'),
    'EfficientNet: variant: got b8, expected b0, b1, b2, b3, b4, b5, b6, b7, v2s, v2m or v2l',
  ],
  [() => new models.ConvNeXt('huge' as 'large'), 'ConvNeXt: size: got huge, expected tiny, small, base or large'],
  [() => new models.SwinTransformer('tiny', { version: 3 as 2 }), 'SwinTransformer: version: got 3, expected 1 or 2'],
])('%#: %s', (act, message) => {
  expect(act).toThrow(new Error(message));
});

test('the head is replaced to train it alone', () => {
  const model = new models.MobileNetV3('small').requiresGrad_(false);
  const last = model.classifier.layers.at(-1) as nn.Linear;
  model.classifier = new nn.Sequential(...model.classifier.layers.slice(0, -1), new nn.Linear(last.inFeatures, 3));
  expect(model.forward(randn([2, 3, 32, 32])).shape).toEqual([2, 3]);
  const trained = model.namedParameters().filter(([, { requiresGrad }]) => requiresGrad);
  expect(trained.map(([name]) => name)).toEqual(['classifier.3.weight', 'classifier.3.bias']);
});
