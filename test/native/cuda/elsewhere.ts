// What makes tensors of its own makes them where its operands are, not on the default device.
import * as hadal from '../../../lib/index';
import { data, models, nn, randn, setDefaultDevice, tensor, type AnyTensor, type Device } from '../../../lib/index';
import { expectEqual, type Reporter } from './checks';

type There = (...shape: number[]) => AnyTensor;

/** Calls whose results are where `there` makes tensors. */
const calls: Readonly<Record<string, (there: There, device: Device) => readonly (AnyTensor | undefined)[]>> = {
  'arrays of positions': (there) => [there(4, 3).at([0, 2], [1, 1]), there(4).setAt([[1, 3]], 0)] as AnyTensor[],
  'average pooling with a divisor': (there) =>
    [nn.functional.avgPool2d(there(1, 2, 5, 5), 2, { stride: 2, ceilMode: true, divisorOverride: 5 })] as AnyTensor[],
  'adaptive pooling': (there) => nn.functional.adaptiveMaxPool2dWithIndices(there(1, 2, 7, 5), [3, 4]) as AnyTensor[],
  'CTC with lengths as arrays': (there, device) =>
    [
      nn.functional.ctcLoss(
        there(6, 2, 4).logSoftmax(2) as never,
        tensor(
          [
            [1, 2],
            [3, 1],
          ],
          { dtype: 'int64', device },
        ) as never,
        [6, 5] as never,
        [2, 1] as never,
      ),
    ] as AnyTensor[],
  'sequences with lengths': (there, device) => {
    const layer = new nn.GRU(3, 4);
    layer.to(device);
    return [
      layer.forward(there(5, 2, 3) as never, { lengths: tensor([5, 3], { dtype: 'int64' }) as never })
        .output as AnyTensor,
    ];
  },
  'normal numbers of given means': (there) => [hadal.normal(there(3), 1) as AnyTensor],
  'a copy from another device': (there) => [there(2, 3).copy_(randn([2, 3], { device: 'cpu' }))],
  initialisers: (there) => [
    nn.init.eye_(there(3, 4)),
    nn.init.orthogonal_(there(3, 4)),
    nn.init.sparse_(there(3, 4), 0.5),
    nn.init.truncNormal_(there(3, 4)),
    nn.init.dirac_(there(3, 4, 3)),
  ],
  'weights from another device': (_, device) => {
    const [layer, other] = [new nn.Linear(3, 4), new nn.Linear(3, 4)];
    layer.to(device);
    layer.loadStateDict(other.stateDict());
    return [layer.weight as AnyTensor];
  },
  'a summary': (there, device) => {
    const layer = new nn.Linear(3, 4);
    layer.to(device);
    nn.summary(layer, [2, 3]);
    return [there(1)];
  },
  sounds: (there) => {
    const { audio } = data;
    const waveform = there(2, 4000).mul(0.1) as AnyTensor;
    const mel = audio.melSpectrogram(waveform, { sampleRate: 16_000 });
    const masked = audio.specAugment({ timeMasks: 1 })(mel, new data.Random(1));
    return [mel, masked, audio.mfcc(waveform, { sampleRate: 16_000 }), audio.resample(waveform, 16_000, 8_000)];
  },
  augmentations: (there) => {
    const { augment } = data;
    const random = new data.Random(1);
    const images = there(4, 3, 8, 8).sigmoid() as AnyTensor;
    return [
      augment.horizontalFlip(),
      augment.normalize([0.5, 0.5, 0.5], [0.2, 0.2, 0.2]),
      augment.colorJitter({ brightness: 0.2, saturation: 0.2 }),
      augment.randomGrayscale(0.5),
      augment.randomErasing(),
      augment.randomRotation(20),
      augment.randAugment(),
    ].map((f) => f(images, random) as AnyTensor);
  },
};

/** With the CPU as the default device, tensors on another. */
export async function elsewhere(device: Device, report: Reporter): Promise<void> {
  setDefaultDevice('cpu');
  const there: There = (...shape) => randn(shape, { device }) as AnyTensor;
  for (const [what, f] of Object.entries(calls)) {
    await report.check(what, () => {
      const devices = f(there, device).map((x) => x?.device);
      hadal.synchronize(device);
      expectEqual(
        devices,
        devices.map(() => there(1).device),
        'devices',
      );
    });
  }
  await report.check('a language model writes', async () => {
    const model = new models.GPT2({ vocabulary: 20, context: 8, width: 8, layers: 1, heads: 2 });
    model.to(device);
    model.eval();
    let written = 0;
    for await (const token of models.generate(model, [1, 2], { maxTokens: 3 })) written += token >= 0 ? 1 : 0;
    expectEqual(written, 3, 'tokens');
  });
}
