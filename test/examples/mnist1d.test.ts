// A small convolutional network on MNIST-1D (Greydanus and Kobak, 2020): digits as signals of 40 samples.
import { join } from 'node:path';

import { data, io, manualSeed, nn, noGrad, optim, type AnyTensor } from '../../lib/index';
import { withData } from './run-example';

const mnist1d = withData('mnist1d');
mnist1d.test(
  'at least 92 % of the test signals are told right',
  async () => {
    manualSeed(0);
    const { x, y, x_test: testX, y_test: testY } = await io.readNpz(join(mnist1d.folder, 'mnist1d.npz'));
    const signals = (all: AnyTensor): AnyTensor => all.unsqueeze(1).cast('float32');
    const model = new nn.Sequential(
      new nn.Conv1d(1, 48, 5, { padding: 2 }),
      new nn.BatchNorm1d(48),
      new nn.ReLU(),
      new nn.MaxPool1d(2),
      new nn.Conv1d(48, 48, 3, { padding: 1 }),
      new nn.BatchNorm1d(48),
      new nn.ReLU(),
      new nn.MaxPool1d(2),
      new nn.Conv1d(48, 48, 3, { padding: 1 }),
      new nn.BatchNorm1d(48),
      new nn.ReLU(),
      new nn.Flatten(),
      new nn.Dropout(0.4),
      new nn.Linear(480, 10),
    );
    const optimizer = new optim.AdamW(model.parameters(), { lr: 0.005, weightDecay: 0.05 });
    const set = new data.TensorDataset(signals(x!), y!.cast('int32'));
    const loader = new data.DataLoader<AnyTensor[]>(set, { batchSize: 64, shuffle: true });
    const epochs = 25;
    for (let epoch = 0; epoch < epochs; epoch++) {
      optimizer.groups[0]!.lr = 0.0025 * (1 + Math.cos((Math.PI * epoch) / epochs));
      for await (const [inputs, labels] of loader) {
        optimizer.zeroGrad();
        nn.functional.crossEntropy(model.forward(inputs!), labels!).backward();
        optimizer.step();
      }
    }
    model.eval();
    const right = noGrad(() => model.forward(signals(testX!)).argmax(1).equalTo(testY!).cast('float32').mean());
    expect(await right.item()).toBeGreaterThanOrEqual(0.92);
  },
  900_000,
);
