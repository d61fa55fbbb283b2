// The shortest proof that everything is in place: one small network learns, in well under a second.
import { manualSeed, nn, optim, tensor } from 'hadal';

test('a small network learns exclusive or', async () => {
  manualSeed(0);
  const inputs = tensor([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ]);
  const targets = tensor([[0], [1], [1], [0]]);
  const model = new nn.Sequential(new nn.Linear(2, 16), new nn.Tanh(), new nn.Linear(16, 1));
  const optimizer = new optim.Adam(model.parameters(), { lr: 0.05 });
  let loss = Infinity;
  for (let step = 0; step < 200; ++step) {
    const error = nn.functional.mseLoss(model.forward(inputs), targets);
    optimizer.zeroGrad();
    error.backward();
    optimizer.step();
    loss = await error.item();
  }
  expect(loss).toBeLessThan(0.001);
});
