/** A small training run that tests repeat: in workers, at several thread counts, in a loop that never yields. */
import { data, manualSeed, nn, optim, tensor } from '../../lib';
import type { AnyTensor } from '../../lib';

export interface Run {
  /** One step, unawaited; answers the loss. */
  step(): AnyTensor;
  readonly model: nn.Module;
}

/** A convolutional network on 64 rendered digits, everything from one seed. */
export function prepareTraining(seed = 0): Run {
  manualSeed(seed);
  const { images, labels, count } = data.renderDigits(64, { seed: 1 });
  const x = tensor(images).reshape([count, 1, 28, 28]).cast('float32').div(255);
  const y = tensor(Int32Array.from(labels));
  const model = new nn.Sequential(
    new nn.Conv2d(1, 8, 3, { padding: 1 }),
    new nn.BatchNorm2d(8),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Flatten(),
    new nn.Dropout(0.2),
    new nn.Linear(8 * 14 * 14, 10),
  );
  const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-2 });
  const step = (): AnyTensor => {
    optimizer.zeroGrad();
    const loss = nn.functional.crossEntropy(model.forward(x), y);
    loss.backward();
    optimizer.step();
    return loss.detach();
  };
  return { step, model };
}
