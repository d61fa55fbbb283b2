// Leaves the process while kernels run: `tsx exiting-run.ts exit|throw MILLISECONDS`.
import { models, nn, randn } from '../../lib';

const model = new models.CifarResNet(20);
const x = randn([128, 3, 32, 32]);
for (let i = 0; i < 3; i++) nn.functional.relu(model.forward(x)).sum().backward();
setTimeout(() => {
  if (process.argv[2] === 'throw') throw new Error('thrown while kernels run');
  process.exit(3);
}, Number(process.argv[3]));
